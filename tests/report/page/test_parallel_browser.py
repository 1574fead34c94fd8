"""Parallel coordinates in a real browser: brushes choose the rows that NumPy does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from page_sweeps import grid_sweep, page_with, shoot

from psyrun.report.page.collecting import Sweep
from psyrun.report.page.columns import Label, Measured, Parameter

pytestmark = pytest.mark.browser

AXES = "return [...document.querySelectorAll('.coordinate')].map(e => e.dataset.axis)"
VALUE = "return document.querySelector(arguments[0]).getAttribute('aria-valuetext')"


def axis(name: str) -> str:
    return f".coordinate[data-axis='{name}']"


def brushed(browser: Browser) -> tuple[int, int]:
    """Return how many rows are behind the brushes, and of how many."""
    counts = browser.text("#readout").rpartition(": ")[2].replace("\u202f", "")
    behind, _, total = counts.removesuffix(" rows").partition(" of ")
    return int(behind), int(total)


def press(browser: Browser, keys: str, *, shift: bool = False) -> None:
    from selenium.webdriver import ActionChains, Keys

    action = ActionChains(browser.driver)
    if shift:
        action.key_down(Keys.SHIFT).send_keys(keys).key_up(Keys.SHIFT).perform()
    else:
        action.send_keys(keys).perform()


def values_of(sweep: Sweep) -> dict[str, np.ndarray]:
    found = {
        each.label.name: np.array(each.levels, dtype=object)[each.codes]
        for each in sweep.parameters
    }
    return {**found, "y": sweep.results[0].values, "state": sweep.status}


def test_brushes_by_keyboard_list_the_rows_behind_them(
    browser: Browser, tmp_path: Path
) -> None:
    from selenium.webdriver import Keys

    sweep = grid_sweep((6, 5, 4, 3))
    browser.open(page_with(sweep, tmp_path), "#kind=parallel")
    parameters = ["p.a", "p.b", "p.c", "p.seed"]
    assert browser.script(AXES) == [*parameters, "state", "q.result:y"]
    assert browser.table("rows-table") == []
    browser.script(f'document.querySelector("{axis("p.a")}").focus()')
    press(browser, Keys.ARROW_UP * 2)
    press(browser, Keys.ARROW_UP, shift=True)
    press(browser, Keys.ARROW_RIGHT + Keys.ARROW_DOWN)
    values = values_of(sweep)
    is_in = (values["a"] >= 1) & (values["a"] <= 2) & (values["b"] == 4)
    assert browser.script(VALUE, axis("p.a")) == "1 to 2"
    assert browser.script(VALUE, axis("p.b")) == "4"
    assert brushed(browser) == (is_in.sum(), len(sweep))
    rows = browser.table("rows-table")
    assert [row[0] for row in rows] == np.flatnonzero(is_in).tolist()
    address = browser.script("return location.hash")
    shoot(browser, "parallel-coordinates")
    browser.open(tmp_path / "large.html", address)
    assert browser.table("rows-table") == rows
    browser.script(f'document.querySelector("{axis("p.b")}").focus()')
    press(browser, Keys.ESCAPE)
    assert brushed(browser) == (np.isin(values["a"], [1, 2]).sum(), len(sweep))
    browser.element("#clear-mark").click()
    assert browser.table("rows-table") == []
    assert "brush" not in browser.script("return location.hash")


def test_brushes_of_numbers_take_whole_and_parts_of_an_axis(
    browser: Browser, tmp_path: Path
) -> None:
    from selenium.webdriver import Keys

    sweep = grid_sweep((6, 5, 4, 3))
    path = page_with(sweep, tmp_path)
    values = values_of(sweep)["y"]
    below = np.where(np.isnan(values), np.nan, -np.inf)
    logs = np.log(values, out=below, where=values > 0)
    for scale, finite in (("linear", values), ("log", logs)):
        browser.open(path, f"#kind=parallel&scale={scale}")
        browser.script(f'document.querySelector("{axis("q.result:y")}").focus()')
        # From the lowest twentieth up to the half.
        press(browser, Keys.ARROW_UP)
        press(browser, Keys.PAGE_UP * 2 + Keys.ARROW_DOWN, shift=True)
        shown = finite[np.isfinite(finite)]
        middle = (shown.min() + shown.max()) / 2
        assert brushed(browser)[0] == np.sum(finite <= middle)
        press(browser, Keys.PAGE_UP * 3, shift=True)
        assert brushed(browser)[0] == np.isfinite(values).sum()


def test_a_drag_along_an_axis_brushes(browser: Browser, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains

    sweep = grid_sweep((6, 5, 4, 3))
    browser.open(page_with(sweep, tmp_path), "#kind=parallel")
    hit = browser.element(f"{axis('p.b')} .hit")
    height = hit.rect["height"] - 28  # from the lowest level to the highest
    action = ActionChains(browser.driver)
    action.move_to_element_with_offset(hit, 0, int(height * 0.2)).click_and_hold()
    action.move_by_offset(0, -int(height * 0.5)).release().perform()
    b = values_of(sweep)["b"]
    assert browser.script(VALUE, axis("p.b")) == "2 to 3"
    assert brushed(browser)[0] == np.sum((b == 2) | (b == 3))
    action = ActionChains(browser.driver)
    action.move_to_element_with_offset(hit, 0, -int(height * 0.1)).click().perform()
    assert browser.script(VALUE, axis("p.b")) == "all"


@pytest.mark.parametrize("end", [60, 10_000, 200_000])
def test_dates_of_any_span_have_ticks(
    browser: Browser, tmp_path: Path, end: int
) -> None:
    sweep = grid_sweep((600, 2, 1, 1))
    first, *others = sweep.parameters
    levels = np.linspace(0, end * 365.25 * 86400e3, 600)
    date = replace(first, kind="date", levels=levels)
    path = page_with(replace(sweep, parameters=[date, *others]), tmp_path)
    browser.open(path, "#kind=parallel")
    ticks = f'document.querySelectorAll("{axis("p.a")} .tick").length'
    assert 3 <= browser.script(f"return {ticks}") <= 12


def test_times_of_day_have_ticks_without_a_day(
    browser: Browser, tmp_path: Path
) -> None:
    sweep = grid_sweep((600, 2, 1, 1))
    first, *others = sweep.parameters
    times = replace(first, kind="time", levels=np.arange(600) * 144e3)
    path = page_with(replace(sweep, parameters=[times, *others]), tmp_path)
    texts = (
        "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
    )
    browser.open(path, "#kind=parallel")
    ticks = browser.script(texts, f"{axis('p.a')} .tick")
    assert 3 <= len(ticks) <= 12
    assert all(re.fullmatch(r"\d\d:\d\d", text) for text in ticks)
    browser.open(path, "#kind=lines&x=a")
    assert "12:00" in browser.script(texts, "svg text")


def test_axes_are_chosen_and_kept_in_the_address(
    browser: Browser, tmp_path: Path
) -> None:
    browser.open(page_with(grid_sweep((4, 3, 2, 2)), tmp_path), "#kind=parallel")
    browser.element("#axes-details summary").click()
    for name in ("axis-p.a", "axis-state", "axis-p.a"):
        browser.driver.find_element("id", name).click()
    expected = ["p.b", "p.c", "p.seed", "p.a", "q.result:y"]
    assert browser.script(AXES) == expected
    address = browser.script("return location.hash")
    browser.open(tmp_path / "large.html", address)
    assert browser.script(AXES) == expected
    browser.open(tmp_path / "large.html", f"{address}&brush.p.a=7_9&brush.p.b=nan_1")
    assert browser.script("return document.querySelectorAll('.brush').length") == 0


def test_lines_of_a_million_rows_are_limited_but_not_brushes(
    browser: Browser, tmp_path: Path
) -> None:
    sweep = grid_sweep((100, 50, 10, 20))
    path = page_with(sweep, tmp_path)
    browser.open(path, "#kind=parallel&brush.p.a=20_40&brush.state=2_2")
    values = values_of(sweep)
    is_in = (values["a"] >= 20) & (values["a"] <= 40) & (values["state"] == 2)
    assert brushed(browser) == (is_in.sum(), 1_000_000)
    n = f"{is_in.sum():,}".replace(",", "\u202f")
    assert f"Lines are drawn of about 2\u202f500 of {n} rows" in browser.text("#said")
    shoot(browser, "parallel-a-million-rows")


def test_fifty_axes_and_ten_thousand_levels(browser: Browser, tmp_path: Path) -> None:
    n = 10_000
    rng = np.random.default_rng(0)
    base = grid_sweep((n, 1, 1, 1))
    texts = [f"subject {i}" for i in range(n)]
    parameters = [Parameter(Label("subject", "subject"), "text", texts, np.arange(n))]
    for i in range(49):
        levels = np.arange(float(i % 7 + 2))
        codes = rng.integers(0, len(levels), n)
        label = Label(f"p{i}", f"parameter {i}")
        parameters.append(Parameter(label, "number", levels, codes))
    results = [Measured(Label("y", "y"), rng.normal(size=n))]
    sweep = replace(base, parameters=parameters, results=results)
    path = page_with(sweep, tmp_path)
    for kind in ("heat", "lines", "scatter", "parallel"):
        browser.open(path, f"#kind={kind}&x=subject&by=p0")
        assert browser.script("return document.querySelectorAll('.chart').length") == 1
        wide = "return document.documentElement.scrollWidth - window.innerWidth"
        assert browser.script(wide) <= 0
    address = "".join(f"&axis=p.{each.label.name}" for each in parameters)
    browser.open(path, f"#kind=parallel{address}&brush.p.subject=9000_9999")
    assert len(browser.script(AXES)) == 51
    assert brushed(browser)[0] == np.sum(base.status[9000:] < 4)
    shoot(browser, "fifty-axes")
