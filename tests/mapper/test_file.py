"""Files that a function fills, over several calls and versions of the function."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import wait_until

from psyrun import AutodetectStore, Param, map_pspace_hdd_backed
from psyrun.pspace import ParameterSpace, replicates

STORES = [".pkl", ".npz", ".h5"]
SLOW = """\
import sys, time
from psyrun import Param, map_pspace_hdd_backed


def fn(x):
    with open("calls", "a") as file:
        file.write(f"{x}\\n")
    if x >= int(sys.argv[1]):
        time.sleep(600)
    return {"y": x**2}


n_jobs = int(sys.argv[2])
map_pspace_hdd_backed(fn, Param(x=range(8)), "rows.pkl", n_jobs=n_jobs)
"""


def by_first(x: int) -> dict[str, int]:
    return {"y": 10 * x}


def by_second(x: int) -> dict[str, int]:
    return {"y": 20 * x}


def by_both(x: int) -> dict[str, int]:
    if x == 3:
        raise ValueError("three")
    return {"y": 30 * x}


def later_ones_first(x: int, folder: str) -> dict[str, int]:
    """Wait for the next one, if there is one."""
    following = Path(folder, str(x + 1))
    wait_until(lambda: x % 2 or following.exists())
    Path(folder, str(x)).touch()
    return {"y": x}


@pytest.fixture(params=STORES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"rows{request.param}"


def rows_in(file: Path) -> dict[str, list[Any]]:
    return {k: list(v) for k, v in AutodetectStore().load(file).items()}


def warnings_of(call: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(each.message) for each in caught]


def test_rows_are_in_the_order_of_the_space_at_the_end(
    file: Path, tmp_path: Path
) -> None:
    space = Param(x=range(6), folder=str(tmp_path))
    options: dict[str, Any] = {"n_jobs": 2, "exclude": ["folder"]}
    if file.suffix == ".h5":
        space = Param(x=range(6)) * Param(folder=[str(tmp_path)])
    map_pspace_hdd_backed(later_ones_first, space[:2], file, **options)
    rows = map_pspace_hdd_backed(later_ones_first, space, file, **options)
    assert rows == {"x": list(range(6)), "y": list(range(6))}
    assert rows_in(file) == rows


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interruption_loses_what_was_going_on(tmp_path: Path, n_jobs: int) -> None:
    (tmp_path / "script.py").write_text(SLOW)
    calls = tmp_path / "calls"

    def start(first_slow: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "script.py", str(first_slow), str(n_jobs)]
        errors = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=tmp_path, start_new_session=True, stderr=errors
        )

    process = start(4)
    try:
        wait_until(
            lambda: calls.exists() and calls.read_text().count("\n") == 4 + n_jobs
        )
        # As a terminal does for Ctrl-C.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = {0, 1, 2, 3}
    assert rows_in(tmp_path / "rows.pkl")["x"] == sorted(done)
    calls.unlink()
    assert start(8).wait(60) == 0
    assert sorted(map(int, calls.read_text().split())) == sorted({*range(8)} - done)
    assert rows_in(tmp_path / "rows.pkl")["x"] == list(range(8))


def test_rows_of_another_version_are_told_of(file: Path) -> None:
    map_pspace_hdd_backed(by_first, Param(x=[1, 2, 3]), file)
    space = Param(x=[1, 2, 3, 4])
    told = warnings_of(lambda: map_pspace_hdd_backed(by_second, space, file))
    assert told == [
        f"{file}: rows 0 to 2 of 4 are from before by_second() was changed. renew=True "
        "evaluates them again; renew=False keeps them without this warning."
    ]
    assert rows_in(file) == {"x": [1, 2, 3, 4], "y": [10, 20, 30, 80]}
    assert warnings_of(lambda: map_pspace_hdd_backed(by_second, space[3:], file)) == []
    kept = map_pspace_hdd_backed(by_second, space, file, renew=False)
    assert kept is not None and kept["y"] == [10, 20, 30, 80]


def test_the_line_of_the_caller_is_warned_of(tmp_path: Path) -> None:
    map_pspace_hdd_backed(by_first, Param(x=[1]), tmp_path / "rows.pkl")
    with pytest.warns(UserWarning, match="row 0 of 1 is from before") as told:
        map_pspace_hdd_backed(by_second, Param(x=[1]), tmp_path / "rows.pkl")
    assert told[0].filename == __file__


def test_rows_of_another_version_are_evaluated_again(file: Path) -> None:
    map_pspace_hdd_backed(by_first, Param(x=[9, 1, 2, 3]), file)
    map_pspace_hdd_backed(by_second, Param(x=[3, 4]), file, renew=False)
    space = Param(x=[1, 2, 3, 4])
    rows = map_pspace_hdd_backed(by_second, space, file, renew=True)
    assert rows == {"x": [1, 2, 3, 4], "y": [20, 40, 60, 80]}
    # What is not in the space is still there.
    assert rows_in(file) == {"x": [9, 4, 1, 2, 3], "y": [90, 80, 20, 40, 60]}
    assert warnings_of(lambda: map_pspace_hdd_backed(by_second, space, file)) == []
    told = warnings_of(lambda: map_pspace_hdd_backed(by_second, Param(x=[9]), file))
    assert len(told) == 1


def test_rows_of_another_version_stay_until_there_are_new_ones(file: Path) -> None:
    space = Param(x=[1, 2, 3, 4])
    map_pspace_hdd_backed(by_first, space, file)
    with pytest.raises(ValueError, match="three"):
        map_pspace_hdd_backed(by_both, space, file, renew=True)
    assert rows_in(file) == {"x": [3, 4, 1, 2], "y": [30, 40, 30, 60]}
    told = warnings_of(lambda: map_pspace_hdd_backed(by_both, space, file))
    assert [text.partition(" are")[0] for text in told] == [f"{file}: rows 2 to 3 of 4"]


def test_a_change_that_is_taken_back_is_none(file: Path) -> None:
    space = Param(x=[1, 2])
    map_pspace_hdd_backed(by_first, space[:1], file)
    map_pspace_hdd_backed(by_second, space, file, renew=False)
    told = warnings_of(lambda: map_pspace_hdd_backed(by_first, space, file))
    assert ["row 1 of 2 is" in text for text in told] == [True]


def test_nothing_is_said_of_files_whose_versions_are_not_known(file: Path) -> None:
    space = Param(x=[1, 2])
    AutodetectStore().save(file, {"x": [1], "y": [0.5]})
    rows = map_pspace_hdd_backed(by_first, space, file, renew=True)
    assert rows == {"x": [1, 2], "y": [0.5, 20]}
    # Somebody writes another file in its place.
    AutodetectStore().save(file, {"x": [1, 2, 3], "y": [0.5] * 3})
    assert warnings_of(lambda: map_pspace_hdd_backed(by_second, space, file)) == []


@pytest.mark.parametrize("content", [b"", b"{}", b'{"size": "x"}', b"\xff\xfe"])
def test_a_damaged_record_of_versions_does_no_harm(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "rows.pkl"
    map_pspace_hdd_backed(by_first, Param(x=[1, 2]), file)
    (tmp_path / ".rows.pkl.versions.json").write_bytes(content)
    rows = map_pspace_hdd_backed(by_second, Param(x=[1, 2, 3]), file)
    assert rows == {"x": [1, 2, 3], "y": [10, 20, 60]}


KILLED = """\
import os, signal, sys
from psyrun import Param, map_pspace_hdd_backed


def fn(x):
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"y": x}


map_pspace_hdd_backed(fn, Param(x=[1, 2, 3]), "rows.pkl", append_interval=0)
"""


def test_the_versions_of_rows_are_known_after_a_kill(tmp_path: Path) -> None:
    for text in (KILLED, KILLED.replace("== 3", "== 4")):
        (tmp_path / "script.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True
        )
    assert done.returncode == 0
    assert "rows.pkl: row" in done.stderr
    assert "from before fn() was changed" in done.stderr


def test_nothing_is_left_where_nothing_was_evaluated(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="three"):
        map_pspace_hdd_backed(by_both, Param(x=[3]), tmp_path / "rows.pkl")
    assert list(tmp_path.iterdir()) == []


def with_random(x: int, rng: np.random.Generator | None = None) -> dict[str, Any]:
    return {"y": x if rng is None else x + rng.random()}


def test_the_seed_of_replicates_makes_another_version(file: Path) -> None:
    def rows(space: ParameterSpace) -> list[float]:
        return map_pspace_hdd_backed(with_random, space, file, renew=True)["y"]

    points, one = Param(x=[1, 2]), replicates(2, seed=1)
    assert rows(points) == [1, 2]
    first = rows(points + points * one)
    assert first[:2] == [1, 2]
    # Those without random numbers stay, and those with more replicates, too.
    more = rows(points + points * replicates(3, seed=1))
    assert [more[i] for i in (0, 1, 2, 3, 5, 6)] == first
    other = rows(points + points * replicates(2, seed=2))
    assert other[:2] == [1, 2]
    assert not set(other[2:]) & set(more[2:])
    assert len(rows_in(file)["y"]) == 8


def test_rows_of_another_seed_are_told_of(file: Path) -> None:
    space = Param(x=[1]) * replicates(2, seed=1)
    first = map_pspace_hdd_backed(with_random, space, file)
    other = Param(x=[1]) * replicates(2, seed=2)
    told = warnings_of(lambda: map_pspace_hdd_backed(with_random, other, file))
    assert told[0].startswith(
        f"{file}: rows 0 to 1 of 2 are from before with_random() or the seed of "
        "replicates was changed."
    )
    assert rows_in(file) == first
