"""A result of a grid as an xarray Dataset, beside loading its columns.

The reference makes the same Dataset of the columns with pandas:
``DataFrame(columns).set_index(parameters).to_xarray()``. Ratios are of times that were
measured in the same call, in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from options import parse

import psyrun
from psyrun.store.registry import store_named
from psyrun.utils.checksums import Checksum
from psyrun.workdir.division import Division
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.merged_rows import keep_rows
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord

TASK = """\
import numpy as np

from psyrun import Param

pspace = (
    Param(a=range({n}))
    * Param(b=np.linspace(0.0, 1.0, {n}))
    * Param(c=range({n}))
    * Param(d=np.linspace(0.0, 1.0, {n}))
)
store = {store!r}
max_jobs = 1


def execute(a, b, c, d):
    return {{"y": 0.0, "z": 0.0}}
"""
PARAMETERS = ["a", "b", "c", "d"]


def make_task(folder: Path, store: str, n: int) -> None:
    """Make a task whose result is there, as a run leaves it, without evaluating it."""
    (folder / "psy-tasks").mkdir()
    Path(folder, "psy-tasks/task_a.py").write_text(TASK.format(n=1, store=store))
    subprocess.run([sys.executable, "-m", "psyrun.cli", "run", "--quiet"], check=True)
    layout = TaskLayout.of("psy-work", "a")
    plan = Plan.required(layout)
    round_, result = layout.round(plan.round), Path(plan.resultfile)
    axes = [range(n), np.linspace(0.0, 1.0, n)] * 2
    space = psyrun.Param(a=axes[0])
    for key, axis in zip(PARAMETERS[1:], axes[1:], strict=True):
        space = space * psyrun.Param(**{key: axis})
    Division(space, 1).save(round_, plan)
    grid = np.meshgrid(*(np.asarray(axis) for axis in axes), indexing="ij")
    columns = {k: g.ravel() for k, g in zip(PARAMETERS, grid, strict=True)}
    random = np.random.default_rng(1)
    columns |= {key: random.random(len(space)) for key in ("y", "z")}
    store_named(store).save(result, columns)
    written, modified = Checksum.of(result), result.stat().st_mtime_ns
    MergeRecord(
        plan.merge, str(result), len(space), result=written, modified=modified
    ).save(round_)
    keep_rows(round_, result, len(space), [], written, PARAMETERS)


def in_turn(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Return the median time of each call, in seconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for name in [name for _ in range(repeats + 1) for name in calls]:
        begun = time.perf_counter()
        calls[name]()
        times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def measure(store: str, n: int, repeats: int) -> None:
    """Print the times of one store."""
    columns = psyrun.load("a")

    def by_pandas() -> xr.Dataset:
        return pd.DataFrame(columns).set_index(PARAMETERS).to_xarray()

    results = ["y", "z"]
    found = psyrun.load("a", as_="xarray")
    assert found.sizes == dict.fromkeys(PARAMETERS, n)
    np.testing.assert_array_equal(found["y"], by_pandas()["y"])
    calls = {
        "columns": lambda: psyrun.load("a", columns=results),
        "xarray": lambda: psyrun.load("a", as_="xarray"),
        "by pandas": by_pandas,
        "where": lambda: psyrun.load("a", as_="xarray", where={"a": n // 2}),
        "where, inner": lambda: psyrun.load("a", as_="xarray", where={"d": 1.0}),
    }
    t = in_turn(calls, repeats)
    beyond = t["xarray"] - t["columns"]
    print(
        f"{store:5} columns {1e3 * t['columns']:6.1f} ms, as xarray "
        f"{1e3 * beyond:+6.1f} ms, by pandas {1e3 * t['by pandas']:+6.1f} ms "
        f"(ratio {beyond / t['by pandas']:5.2f}); "
        f"where {t['where'] / t['columns']:.2f} of the columns, "
        f"on the last axis {t['where, inner'] / t['columns']:.2f}"
    )


def main() -> None:
    """Print the times for each store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=32, help="values of each parameter")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parse(parser, side=8, repeats=1)
    warnings.simplefilter("error")
    print(f"{arguments.side**4:.2g} rows, 4 axes, 2 results")
    for store in (".npz", ".h5"):
        with tempfile.TemporaryDirectory() as name:
            os.chdir(name)
            make_task(Path(name), store, arguments.side)
            measure(store, arguments.side, arguments.repeats)
            os.chdir("/")


if __name__ == "__main__":
    main()
