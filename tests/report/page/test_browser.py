"""The page in a real browser: it shows what psyrun.load returns, and loads nothing."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser
from page_sweeps import grid_sweep, page_with, shoot
from projects import Project, kill_all_of, wait_until

import psyrun
from psyrun.pspace import Random, log, uniform
from psyrun.report.numbers import is_geometric
from psyrun.report.page.collecting import DONE, FAILED, RUNNING, TO_DO
from psyrun.report.page.columns import Label, Measured
from psyrun.report.page.payload import BUDGET, payload_of
from psyrun.report.page.writing import page_of, write_page
from psyrun.results.efficiency import JobUse

pytestmark = pytest.mark.browser

BACKGROUND = "return getComputedStyle(document.body).backgroundColor"
MARKUP = '</script><img src=x onerror="document.title=1">'

EPIDEMIC = """\
import numpy as np

from psyrun import Param

pspace = (
    Param(beta=[0.2, 0.4, 0.6, 0.8, 1.0])
    * Param(gamma=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    * Param(model=["SIR", "SEIR"])
    * Param(seed=range(5))
)
max_jobs = 2
attrs = {"peak": {"long_name": "largest share infected", "units": "%"}}


def execute(beta, gamma, model, seed):
    if gamma > 0.55 and beta > 0.7:
        raise ValueError("no epidemic")
    rng = np.random.default_rng(seed)
    if beta == 0.2 and gamma == 0.1:
        return {"peak": np.nan, "n": seed}
    peak = 100 * beta / (beta + gamma) + rng.normal() * (1 + (model == "SIR"))
    return {"peak": peak, "n": seed}
"""
ODD = f"""\
from psyrun import Param

texts = ["a'b", {MARKUP!r}, "\\N{{SNOWMAN}} & <b>", "long " * 60]
pspace = Param(name=texts) * Param(n=[1, 2, 4])
max_jobs = 1


def execute(name, n):
    if n == 4:
        raise RuntimeError({MARKUP!r})
    return {{"y": n * len(name)}}
"""
RANDOM = """\
import numpy as np

from psyrun import Param

rng = np.random.default_rng(1)
pspace = Param(a=rng.uniform(size=300), kind=rng.choice(["x", "y"], 300))
max_jobs = 1


def execute(a, kind):
    return {"score": a + (kind == "y")}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = Project(tmp_path_factory.mktemp("sweeps"))
    for name, text in (("epidemic", EPIDEMIC), ("odd", ODD), ("random", RANDOM)):
        project.write(text, name)
    project.psy("run", "--quiet", status=1)
    project.psy("report")
    return project.folder


@pytest.fixture
def report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder / "report.html"


def load() -> Any:
    return psyrun.load("epidemic", partial=True, as_="pandas")


STATISTICS = {
    "mean": lambda values: values.mean(),
    "median": lambda values: values.median(),
    "min": lambda values: values.min(),
    "max": lambda values: values.max(),
    "sd": lambda values: values.std(),
    "n": lambda values: values.count(),
}


def test_numbers_are_those_of_load(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=epidemic&kind=heat&x=beta&by=gamma")
    browser.element("#numbers-details summary").click()
    groups = load().groupby(["gamma", "beta"])["peak"]
    for statistic, compute in STATISTICS.items():
        browser.choose("choose-statistic", statistic)
        browser.wait("return document.querySelector('#numbers-table tbody')")
        rows = browser.table("numbers-table")
        assert len(rows) == 5 * 7
        expected = compute(groups).to_dict()
        for gamma, beta, value, n, failed, _ in rows:
            known = expected.get((float(gamma), float(beta)), math.nan)
            if statistic == "n" and math.isnan(known):
                known = 0
            assert value == pytest.approx(known, rel=1e-12, nan_ok=True)
            assert failed == (10 if n == 0 and float(beta) > 0.5 else 0)


def test_bands_are_those_of_numpy(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=epidemic&kind=lines&x=gamma&by=model&fix.beta=1")
    browser.element("#numbers-details summary").click()
    frame = load().query("beta == 0.4")
    for band in ("sd", "sem", "range", "q10"):
        browser.choose("choose-band", band)
        browser.wait("return document.querySelector('#numbers-table tbody')")
        for model, gamma, value, low, high, *_ in browser.table("numbers-table"):
            part = frame[(frame.gamma == float(gamma)) & (frame.model == model)].peak
            half = {"sd": part.std(), "sem": part.sem()}.get(band, 0.0)
            expected = {
                "range": (part.min(), part.max()),
                "q10": tuple(np.quantile(part, [0.1, 0.9])),
            }.get(band, (part.mean() - half, part.mean() + half))
            assert (low, high) == pytest.approx(expected)
            assert value == pytest.approx(part.mean())
    shoot(browser, "lines-with-bands")


def test_a_click_shows_the_rows_behind_a_cell(browser: Browser, report: Path) -> None:
    from selenium.webdriver import ActionChains

    browser.open(report, "#task=epidemic&kind=heat&x=beta&by=gamma")
    chart = browser.element(".chart svg")
    ActionChains(browser.driver).move_to_element(chart).click().perform()
    rows = browser.table("rows-table")
    head = browser.head("rows-table")
    assert len(rows) == 10
    found = {key: [row[i] for row in rows] for i, key in enumerate(head)}
    (beta,), (gamma,) = set(found["beta"]), set(found["gamma"])
    frame = load()
    frame = frame[(frame.beta == beta) & (frame.gamma == gamma)]
    title = "largest share infected (%)"
    assert found[title] == frame["peak"].tolist()
    assert found["seed"] == frame["seed"].tolist()
    assert found["number"] == frame.index.map(lambda i: numbers_of_rows()[i]).tolist()
    browser.element("#clear-mark").click()
    assert browser.table("rows-table") == []


def numbers_of_rows() -> list[int]:
    failed = set(psyrun.failed("epidemic")["number"])
    return [i for i in range(5 * 7 * 2 * 5) if i not in failed]


def test_cells_are_marked_with_the_keyboard(browser: Browser, report: Path) -> None:
    from selenium.webdriver import Keys

    browser.open(report, "#task=epidemic&kind=heat&x=beta&by=gamma")
    chart = browser.element(".chart svg")
    keys = [Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ENTER]
    chart.send_keys(*keys)
    assert "gamma = 0.2, beta = 0.4" in browser.text("#readout")
    assert len(browser.table("rows-table")) == 10
    chart.send_keys(Keys.SHIFT + Keys.ARROW_RIGHT)
    assert len(browser.table("rows-table")) == 20
    chart.send_keys(Keys.ESCAPE)
    assert browser.table("rows-table") == []


def test_a_drag_marks_points_of_a_scatter_plot(browser: Browser, report: Path) -> None:
    from selenium.webdriver import ActionChains

    browser.open(report, "#task=random")
    assert browser.element("#choose-kind").get_property("value") == "scatter"
    chart = browser.element(".chart svg")
    action = ActionChains(browser.driver).move_to_element(chart).click_and_hold()
    action.move_by_offset(200, 100).release().perform()
    rows = browser.table("rows-table")
    assert rows
    mark = browser.script(
        "return new URLSearchParams(location.hash.slice(1)).get('mark')"
    )
    _, x0, y0, x1, y1 = map(float, mark.split("_"))
    frame = psyrun.load("random", as_="pandas")
    inside = frame[frame.a.between(x0, x1) & frame.score.between(y0, y1)]
    assert {row[0] for row in rows} == set(inside.index)
    shoot(browser, "random-space")


def test_numbers_drawn_by_ratios_are_known_as_in_psy_plot(
    browser: Browser, report: Path
) -> None:
    browser.open(report)
    source = resources.files("psyrun.report.page") / "static" / "numbers.js"
    code = f"{source.read_text()}\nreturn arguments[0].map(isSpreadByRatios)"
    drawn = [
        np.array(Random(60, seed=seed, x=each).build()["x"])
        for seed in range(5)
        for each in (uniform(0.001, 1), log(1e-5, 0.1))
    ]
    found = browser.script(code, [values.tolist() for values in drawn])
    assert found == [False, True] * 5
    assert found == [is_geometric(np.sort(values)) for values in drawn]


def test_the_first_lines_are_those_of_psy_plot(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=epidemic")
    chosen = [
        browser.element(f"#choose-{each}").get_property("value")
        for each in ("kind", "x", "by")
    ]
    assert chosen == ["lines", "gamma", "model"]


def test_the_address_shows_the_same_again(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=epidemic")
    browser.choose("choose-kind", "lines")
    browser.choose("choose-x", "gamma")
    browser.choose("choose-by", "beta")
    browser.choose("choose-facet", "model")
    browser.choose("choose-statistic", "median")
    browser.choose("fix-seed", "2")
    address = browser.script("return location.hash")
    controls = (
        "return [...document.querySelectorAll('#result-controls select')]"
        ".map(select => [select.id, select.value])"
    )
    chosen = browser.script(controls)
    assert ["fix-seed", "2"] in chosen
    browser.open(report, address)
    assert browser.script(controls) == chosen
    assert browser.script("return document.querySelectorAll('.panel').length") == 2


def test_every_choice_of_every_control_works(browser: Browser, report: Path) -> None:
    for task in ("epidemic", "odd", "random"):
        browser.open(report, f"#task={task}")
        for kind in ("heat", "lines", "scatter"):
            for control in ("quantity", "x", "by", "facet", "scale"):
                browser.choose("choose-kind", kind)
                for value in browser.options(f"choose-{control}"):
                    browser.choose(f"choose-{control}", value)
            browser.element("#start-again").click()
        browser.choose("choose-kind", "parallel")
        for control in ("quantity", "scale"):
            for value in browser.options(f"choose-{control}"):
                browser.choose(f"choose-{control}", value)
        browser.element("#start-again").click()
        for value in browser.options("progress-axis"):
            browser.choose("progress-axis", value)
        for look in ("failed", "time", "memory"):
            for button in browser.driver.find_elements("id", f"look-{look}"):
                button.click()
                assert browser.element("#choose-quantity").get_property("value") == look


def test_bands_above_zero_on_a_logarithmic_scale(
    browser: Browser, tmp_path: Path
) -> None:
    sweep = grid_sweep((3, 1, 1, 4), has_repeats=True)
    values = np.tile([-3.0, -2.0, -1.0, 2.0], 3)
    sweep = replace(sweep, results=[Measured(Label("y", "y"), values)])
    browser.open(page_with(sweep, tmp_path), "#kind=lines&x=a&band=range&scale=log")
    assert browser.script("return document.querySelectorAll('.chart svg').length") == 1
    assert "Values of zero or below are at the lower end" in browser.text("#said")


def test_parameters_may_have_the_names_of_methods(
    browser: Browser, tmp_path: Path
) -> None:
    sweep = grid_sweep((3, 2, 2, 4), has_repeats=False)
    *others, last = sweep.parameters
    odd = replace(last, label=Label("constructor", "constructor"))
    sweep = replace(sweep, parameters=[*others, odd])
    browser.open(page_with(sweep, tmp_path), "#kind=lines&x=a&by=b")
    assert browser.text("#said") == "Reduced over c (2), constructor (4)."
    assert browser.element("#fix-constructor").get_property("value") == ""
    browser.choose("fix-constructor", "1")
    assert browser.text("#said") == "Reduced over c (2)."


def test_what_a_link_says_of_another_chart_is_left_out(
    browser: Browser, report: Path
) -> None:
    address = "#task=epidemic&kind=lines&x=gamma&by=model&mark=0_9_70_9_71&fix.beta="
    browser.open(report, address)
    assert browser.element("#fix-beta").get_property("value") == ""
    assert browser.script("return document.querySelectorAll('.mark').length") == 0


@pytest.mark.parametrize("kind", ["heat", "lines", "parallel"])
def test_charts_fit_on_paper(browser: Browser, report: Path, kind: str) -> None:
    browser.open(report, f"#task=epidemic&kind={kind}&x=beta&by=gamma")
    axis = ".chart svg .axis:nth-of-type(2) line"
    last = ".coordinate:last-of-type line" if kind == "parallel" else axis
    browser.media("print")
    # The width of A4; charts are not drawn anew for it.
    right = browser.script(
        "document.body.style.width = '718px';"
        "return ['main', '.chart svg', arguments[0], '#timeline-chart svg'].map("
        "each => document.querySelector(each).getBoundingClientRect().right)",
        last,
    )
    browser.media("")
    assert right[0] >= max(right)


def test_rows_without_a_place_are_counted(browser: Browser, tmp_path: Path) -> None:
    sweep = grid_sweep((60, 3, 1, 1), has_repeats=False)
    first, *others = sweep.parameters
    levels = np.append(np.arange(58.0), [np.inf, np.nan])
    sweep = replace(sweep, parameters=[replace(first, levels=levels), *others])
    path = page_with(sweep, tmp_path)
    said = "6 rows have no place along a, as it is nan or ∞."
    browser.open(path, "#kind=scatter&x=a")
    assert said in browser.text("#said")
    browser.choose("choose-kind", "lines")
    assert said not in browser.text("#said")
    browser.choose("choose-x", "b")
    browser.choose("choose-by", "a")
    assert said in browser.text("#said")
    rows = browser.table("progress-table")
    assert rows[-1][0] == "nan or ∞"
    assert sum(sum(row[1:5]) for row in rows) == 180


def test_what_single_numbers_and_unknown_costs_are_called(
    browser: Browser, tmp_path: Path
) -> None:
    sweep = grid_sweep((7, 3, 1, 1), has_repeats=False)
    times = np.full(len(sweep), np.nan)
    times[0] = 1.0
    time_ = Measured(Label("time", "time", "s"), times)
    sweep = replace(sweep, status=np.zeros_like(sweep.status), costs=[time_])
    path = page_with(sweep, tmp_path)
    browser.open(path, "#kind=heat&x=a&by=b&stat=sd")
    assert "fewer than two numbers" in browser.text("#legend")
    browser.choose("choose-statistic", "mean")
    browser.choose("choose-quantity", "time")
    assert "not known" in browser.text("#legend")
    assert browser.text("#said").endswith("20 values are not known.")


def test_what_running_jobs_hold_is_not_called_evaluated(
    browser: Browser, tmp_path: Path
) -> None:
    sweep = grid_sweep((4, 1, 1, 1), has_repeats=False)
    status = np.full(4, RUNNING, np.int8)
    counts = {DONE: 0, FAILED: 0, RUNNING: 4, TO_DO: 0}
    sweep = replace(sweep, status=status, n_of_status=counts)
    browser.open(page_with(sweep, tmp_path))
    assert "in running jobs" in browser.head("progress-table")
    label = browser.element("#progress .bar").get_attribute("aria-label")
    assert label == "0 done, 0 failed, 4 in running jobs, 0 to do"


def test_numbers_at_scales_are_told_apart(browser: Browser, tmp_path: Path) -> None:
    sweep = grid_sweep((4, 3, 1, 1), has_repeats=False)
    values = 18262.25 + np.linspace(0, 2, 12)
    sweep = replace(sweep, results=[Measured(Label("y", "y"), values)])
    path = page_with(sweep, tmp_path)
    texts = (
        "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
    )
    browser.open(path, "#kind=heat&x=a&by=b")
    shown = browser.script(texts, "#legend text")
    assert (shown[0], shown[-1]) == ("18262.25", "18264.25")
    browser.choose("choose-kind", "lines")
    ticks = [float(each) for each in browser.script(texts, ".axis:first-child text")]
    assert np.diff(ticks) == pytest.approx(np.diff(ticks)[0])
    assert 18262.25 <= min(ticks) < max(ticks) <= 18264.25


def test_markup_in_texts_shows_as_text(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=odd&kind=lines&x=n&by=name")
    assert browser.script("return document.querySelectorAll('img, b').length") == 0
    assert browser.driver.title == "epidemic, odd, random: psyrun"
    assert MARKUP in browser.text("#legend")
    assert MARKUP in browser.text("#failures")
    assert MARKUP in browser.text("#progress-table")
    assert "☃ & <b>" in browser.text("#legend")
    shoot(browser, "odd-texts")


def test_progress_and_failures_are_those_of_psyrun(
    browser: Browser, report: Path
) -> None:
    browser.open(report, "#task=epidemic")
    failed = psyrun.failed("epidemic")
    n_failed, n_done = len(failed["number"]), len(load())
    assert browser.text("#n-done").startswith(f"{n_done} ")
    assert browser.text("#n-failed").startswith(f"{n_failed} ")
    rule = "All 40 of 40 failures have beta ≥ 0.8 and gamma ≥ 0.6"
    assert rule in browser.text("#failure-rule")
    assert "ValueError: no epidemic" in browser.text("#failures .group summary")
    assert 'raise ValueError("no epidemic")' in browser.text("#failures .traceback")
    browser.choose("progress-axis", "beta")
    frame = load().groupby("beta").size()
    assert {float(row[0]): row[1] for row in browser.table("progress-table")} == (
        frame.to_dict()
    )
    frame = psyrun.load("epidemic", partial=True, as_="pandas", costs=True)
    slowest = browser.table("slowest-table")
    assert [row[2] for row in slowest] == pytest.approx(
        frame.cost_duration.nlargest(20).tolist()
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200, 2000])
def test_it_fits_every_width(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    browser.size(width, 900)
    browser.prefer(scheme)
    browser.open(report, "#task=epidemic")
    scrolled = "return document.documentElement.scrollWidth - window.innerWidth"
    assert browser.script(scrolled) <= 0
    # Charts are drawn anew when the width changes.
    browser.size(width - 40, 900)
    browser.wait(f"return ({scrolled.removeprefix('return ')}) <= 0")
    browser.size(width, 900)
    background = browser.script(
        "return getComputedStyle(document.body).backgroundColor"
    )
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    shoot(browser, f"epidemic-{width}-{scheme}")


def test_numbers_are_not_broken_into_lines(browser: Browser, report: Path) -> None:
    browser.size(400, 900)
    browser.open(report, "#task=random")
    intervals = "[...document.querySelectorAll('#progress-table td:first-child')]"
    n_lines = (
        "cell => cell.clientHeight / parseFloat(getComputedStyle(cell).lineHeight)"
    )
    assert max(browser.script(f"return {intervals}.map({n_lines})")) < 3


def test_colours_can_be_switched(browser: Browser, report: Path) -> None:
    browser.open(report)
    light = browser.script(BACKGROUND)
    browser.choose("choose-theme", "dark")
    assert browser.script(BACKGROUND) != light
    browser.choose("choose-theme", "light")
    assert browser.script(BACKGROUND) == light


def test_another_task_is_shown(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.choose("choose-task", "random")
    browser.wait("return document.getElementById('title').textContent === 'random'")
    assert browser.text("#n-assignments") == "300"


def test_every_control_has_a_name(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=epidemic")
    nameless = browser.script(
        "return [...document.querySelectorAll('select, button, svg[tabindex]')]"
        ".filter(e => !(e.labels?.length || e.textContent.trim() && e.tagName !== 'svg'"
        " || e.getAttribute('aria-label'))).map(e => e.outerHTML)"
    )
    assert nameless == []


def test_a_million_rows(browser: Browser, tmp_path: Path) -> None:
    shape = (100, 50, 10, 20)
    sweep = grid_sweep(shape, has_repeats=False)
    path = page_with(sweep, tmp_path)
    assert path.stat().st_size < 6_000_000
    began = time.perf_counter()
    browser.open(path, "#kind=heat&x=a&by=b")
    took = time.perf_counter() - began
    print(f"a million rows: {path.stat().st_size / 1e6:.1f} MB, shown in {took:.1f} s")
    browser.element("#numbers-details summary").click()
    browser.wait("return document.querySelector('#numbers-table tbody')")
    values = sweep.results[0].values
    means = np.nanmean(values.reshape(shape), axis=(2, 3))
    step = (np.nanmax(values) - np.nanmin(values)) / 65532
    for b, a, value, *_ in browser.table("numbers-table"):
        assert value == pytest.approx(means[int(a), int(b)], abs=step)
    shoot(browser, "a-million-rows")


def test_repeats_that_are_put_together(browser: Browser, tmp_path: Path) -> None:
    shape = (12, 5, 4, 60)
    sweep = grid_sweep(shape, has_repeats=True)
    path = page_with(sweep, tmp_path, budget=30_000)
    browser.open(path, "#kind=lines&x=a&by=b&band=sd")
    assert "Repeats over seed (60) are put together" in browser.text("#said")
    browser.element("#numbers-details summary").click()
    values = sweep.results[0].values.reshape(shape)
    computed = {
        "mean": np.nanmean(values, axis=(2, 3)),
        "sd": np.nanstd(values, axis=(2, 3), ddof=1),
        "min": np.nanmin(values, axis=(2, 3)),
        "max": np.nanmax(values, axis=(2, 3)),
        "n": np.isfinite(values).sum(axis=(2, 3)),
    }
    for statistic, expected in computed.items():
        browser.choose("choose-statistic", statistic)
        browser.wait("return document.querySelector('#numbers-table tbody')")
        for b, a, value, low, high, n, failed, _ in browser.table("numbers-table"):
            place = int(a), int(b)
            assert value == pytest.approx(expected[place], abs=1e-3)
            half = computed["sd"][place]
            assert (high - low) / 2 == pytest.approx(half, abs=1e-3)
            assert (n, n + failed) == (computed["n"][place], 240)
    browser.choose("choose-quantity", "failed")
    browser.choose("choose-statistic", "mean")
    browser.wait("return document.querySelector('#numbers-table tbody')")
    for b, a, value, *_ in browser.table("numbers-table"):
        share = 1 - computed["n"][int(a), int(b)] / 240
        assert value == pytest.approx(share)
    done = [row[1] for row in browser.table("progress-table")]
    assert sum(done) == np.isfinite(values).sum()
    shoot(browser, "repeats-put-together")


def test_the_page_follows_its_file(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"

    def write(n: int, refresh: float | None) -> None:
        payload = payload_of(
            grid_sweep((n, 1, 1, 1), has_repeats=False), "", "", BUDGET
        )
        write_page(path, page_of([payload], "a", datetime.now(UTC), refresh))

    # It may be between two pages when it is looked at.
    shown = "return document.getElementById('n-assignments')?.textContent"
    write(5, 1)
    browser.open(path, "#kind=scatter")
    browser.wait(f"{shown} === '5'")
    write(7, None)
    browser.wait(f"{shown} === '7'")
    assert "kind=scatter" in browser.script("return location.hash")
    assert browser.element("#choose-kind").get_property("value") == "scatter"


def test_the_timeline_has_the_times_of_all_evaluations(
    browser: Browser, report: Path
) -> None:
    from selenium.webdriver import Keys

    browser.open(report, "#task=epidemic")
    browser.element("#timeline-details summary").click()
    browser.wait("return document.querySelector('#timeline-table tbody')")
    lanes = browser.table("timeline-table")
    frame = psyrun.load("epidemic", partial=True, as_="pandas", costs=True)
    assert {lane[0] for lane in lanes} == set(frame.cost_host)
    assert sum(lane[2] for lane in lanes) == len(frame)
    failed = psyrun.failed("epidemic", as_="pandas")
    assert sum(lane[3] for lane in lanes) == len(failed) > 0
    in_vain, near = failed.duration.sum(), {"abs": 2e-6 * 350}
    assert sum(lane[4] for lane in lanes) == pytest.approx(in_vain, **near)
    seconds = frame.cost_duration.sum() + in_vain
    assert sum(lane[5] for lane in lanes) == pytest.approx(seconds, **near)
    digits, _, exponent = browser.text("#core-hours").partition("·10")
    power = int(exponent.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")) or 0)
    assert float(digits) * 10.0**power == pytest.approx(seconds / 3600, rel=0.01)
    # What failed is hatched, within the lanes.
    box = "getBoundingClientRect()"
    hatched, all_of_it = (
        browser.script(
            f"const b = document.querySelector('{each}').{box};"
            "return [b.top, b.bottom, b.width]"
        )
        for each in (".busy.failed", "#timeline-chart svg")
    )
    assert all_of_it[0] <= hatched[0] < hatched[1] <= all_of_it[1]
    assert hatched[2] > 0
    chart = browser.element("#timeline-chart svg")
    chart.send_keys(Keys.ARROW_RIGHT)
    text = browser.text("#timeline-readout")
    assert f"worker 1 of {frame.cost_host[0]}: busy" in text
    for _ in range(300):
        if "with what failed" in browser.text("#timeline-readout"):
            break
        chart.send_keys(Keys.ARROW_RIGHT)
    assert "with what failed" in browser.text("#timeline-readout")
    shoot(browser, "timeline-with-failures")


def test_what_jobs_used_of_what_was_reserved(browser: Browser, tmp_path: Path) -> None:
    use = JobUse("process", 12, 11, "queue", cpu_seconds=1e4, core_seconds=4e4)
    memory = replace(use, step="merge", n_counted=12, peak_bytes=2.0**28)
    memory = replace(memory, memory_bytes=2.0**34)
    sweep = replace(grid_sweep((3, 2, 1, 1)), uses=[use, memory])
    browser.open(page_with(sweep, tmp_path))
    rows = browser.table("uses-table")
    assert rows[0] == [
        *("process", "11 of 12", "core-hours, all jobs", "2.78", "11.1", "25 %"),
    ]
    assert rows[2][2:] == ["memory, the most of a job", "256 MiB", "16 GiB", "1.6 %"]
    assert browser.text("#uses-advice") == "merge: memory 320M"
    shoot(browser, "used-of-reserved")


WAITING = """\
from pathlib import Path
from time import sleep

from psyrun import Param

pspace = Param(x=range(20)) * Param(kind=["a", "b"])
max_jobs = 1
pool_size = 1


def execute(x, kind):
    while x >= 10 and not Path("go").exists():
        sleep(0.05)
    return {"y": x}
"""


@pytest.mark.slow
def test_the_page_follows_a_run(browser: Browser, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(WAITING, "waiting")
    processes = [project.start("psyrun.cli", "run", "--quiet")]
    try:
        wait_until(lambda: "20/40" in project.psy("status").stdout)
        processes.append(project.start("psyrun.cli", "report", "--watch"))
        wait_until((tmp_path / "report.html").exists)
        browser.open(tmp_path / "report.html", "#kind=parallel&brush.p.kind=1_1")
        assert browser.text("#n-done").startswith("20 ")
        assert browser.text("#task-state").startswith("running")
        assert browser.text("#rate").endswith(("per second", "per minute"))
        assert browser.text("#expected-end")
        browser.choose("choose-scale", "log")
        (tmp_path / "go").touch()
        assert [process.wait() for process in processes] == [0, 0]
    finally:
        for process in processes:
            kill_all_of(process)
    # It may be between two pages when it is looked at.
    browser.wait("return document.getElementById('n-done')?.textContent[0] === '4'")
    browser.wait("return document.documentElement.dataset.ready === 'yes'")
    assert browser.element("#choose-scale").get_property("value") == "log"
    assert len(browser.table("rows-table")) == 20
    assert browser.text("#task-state") == "done"
    assert "It is written anew" not in browser.text("#footer")
