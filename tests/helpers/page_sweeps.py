"""Sweeps that need no run, and pages of them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from browser import Browser

from psyrun.report.page.collecting import DONE, FAILED, RUNNING, TO_DO, Sweep
from psyrun.report.page.columns import Label, Measured, Parameter
from psyrun.report.page.payload import BUDGET, payload_of
from psyrun.report.page.writing import page_of, write_page
from psyrun.results.failure_rules import TaskFailures

SCREENSHOTS = Path(__file__).parents[2] / "build/screenshots"


def grid_sweep(shape: tuple[int, ...], *, has_repeats: bool = False) -> Sweep:
    """A sweep over a grid, of which one row in twenty has failed."""
    n = math.prod(shape)
    places = np.unravel_index(np.arange(n), shape)
    rng = np.random.default_rng(0)
    status = np.where(rng.random(n) < 0.05, FAILED, DONE).astype(np.int8)
    values = np.sin(places[0] / 20) * places[1] + rng.normal(size=n)
    values[status == FAILED] = np.nan
    n_done = int(np.sum(status == DONE))
    names = ("a", "b", "c", "seed")
    return Sweep(
        name="large",
        n_assignments=n,
        n_of_status={DONE: n_done, FAILED: n - n_done, RUNNING: 0, TO_DO: 0},
        indices=np.arange(n),
        status=status,
        parameters=[
            Parameter(
                Label(name, name),
                "number",
                np.arange(float(size)),
                codes,
                has_repeats and name == "seed",
            )
            for name, size, codes in zip(names, shape, places, strict=True)
        ],
        results=[Measured(Label("y", "y"), values)],
        costs=[],
        constants={},
        versions=np.zeros(n, np.int64),
        version_names=[""],
        current_versions=set(),
        failures=TaskFailures([]),
        origin={},
    )


def page_with(sweep: Sweep, folder: Path, budget: int = BUDGET) -> Path:
    path = folder / "large.html"
    payload = payload_of(sweep, "done", "", budget)
    write_page(path, page_of([payload], "large", datetime.now(UTC)))
    return path


def shoot(browser: Browser, name: str) -> None:
    """Keep a picture of the whole page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    height = browser.script("return document.documentElement.scrollHeight")
    width = browser.script("return window.innerWidth")
    browser.size(width, min(height + 20, 6000))
    browser.driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))
