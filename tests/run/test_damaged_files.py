"""Damaged files: `psy run` ends with the right result, and repeats nothing for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from accepting import accept_plan
from projects import Project

import psyrun
from psyrun.steps.main import run
from psyrun.utils.files import write_json
from psyrun.workdir.copies import settle
from psyrun.workdir.layout import TaskLayout

pytestmark = pytest.mark.slow

TASK = """\
import os

from psyrun import Param

pspace = Param(x=range({n_items}))
max_jobs = 3
store = "{ext}"
keep_blocks = {keep_blocks}


def execute(x):
    with open("calls", "a") as file:
        file.write(f"{{x}}\\n")
    if os.path.exists(f"broken-{{x}}"):
        raise ValueError("as asked")
    # So much that journals give rows up that a block has.
    return {{"y": [float(x)] * 500}}
"""
N_ITEMS, N_MORE = 12, 15
WORK = Path("psy-work/a")


def write(ext: str, n_items: int = N_ITEMS, *, keep_blocks: bool = True) -> None:
    Path("psy-tasks").mkdir(exist_ok=True)
    text = TASK.format(ext=ext, n_items=n_items, keep_blocks=keep_blocks)
    Path("psy-tasks/task_a.py").write_text(text)


def go_on(*, keep_going: bool = False) -> tuple[bool, list[str]]:
    """Do what `psy run` does, in this process; return whether that went well.

    With it goes what is said of damage.
    """
    task = accept_plan(Path("psy-tasks/task_a.py"), keep_going=keep_going)
    where = [str(task.layout.folder), str(task.plan.round)]
    decision = task.decision
    steps = [["split"]] * decision.split
    steps += [["process", str(block)] for block in decision.blocks]
    status = [run([step[0], *where, *step[1:]]) for step in steps]
    if decision.merge and not any(status):
        status.append(run(["merge", *where]))
    # Other tests in this process may have had files opened that count as read.
    about_damage = (text for text in task.remarks if "file_dep" not in text)
    said = [*task.mended, *about_damage]
    task.release()
    return not any(status), said


def unmerged(ext: str) -> set[int]:
    """Two of three blocks are there, as an assignment of the third one failed."""
    write(ext)
    Path("broken-11").touch()
    assert not go_on()[0]
    Path("broken-11").unlink()
    return {11}


def merged(ext: str) -> set[int]:
    write(ext)
    assert go_on()[0]
    return set()


def merged_once(ext: str) -> set[int]:
    """Only the result has the rows."""
    write(ext, keep_blocks=False)
    assert go_on()[0]
    return set()


def continued(ext: str) -> set[int]:
    """Three more were wanted, one of which failed; blocks have the others as well."""
    merged(ext)
    write(ext, N_MORE)
    Path("broken-14").touch()
    assert not go_on(keep_going=True)[0]
    Path("broken-14").unlink()
    return {14}


STATES: list[Callable[[str], set[int]]] = [unmerged, merged, merged_once, continued]


def flip(path: Path) -> None:
    """Change one byte, as a disk does: the time of the file stays."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def gone(path: Path) -> None:
    path.unlink()


DAMAGES: list[Callable[[Path], None]] = [flip, cut, empty, gone]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, set[int]]]:
    """Projects by what was done in them, and what is missing there."""
    found = {}
    for state in STATES:
        exts = (".pkl", ".npz", ".h5") if state in (unmerged, continued) else (".pkl",)
        for ext in exts:
            folder = tmp_path_factory.mktemp("made")
            with chdir(folder):
                found[f"{state.__name__}{ext}"] = folder, state(ext)
                Path("calls").unlink()
    return found


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield


def copy(source: Path) -> None:
    # With -a, what has two names has two names there.
    subprocess.run(["cp", "-a", f"{source}/.", "."], check=True)
    settle(TaskLayout(WORK))


def calls() -> list[int]:
    path = Path("calls")
    return sorted(map(int, path.read_text().split())) if path.exists() else []


def is_right(n_items: int) -> bool:
    found = psyrun.load("a")
    expected = np.arange(n_items)
    is_y = all(np.all(y == x) for x, y in zip(expected, found["y"], strict=True))
    return is_y and np.array_equal(np.asarray(found["x"]), expected)


def set_aside() -> list[str]:
    folder = WORK / "damaged"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


BLOCK = {0, 1, 2, 3}
ROWS = "round-1/rows-*"
TRIALS: dict[str, dict[str, set[int]]] = {
    # What is in no other file is evaluated again: that of a file in all its names.
    "unmerged": {"round-1/blocks/0.*": BLOCK, "round-1/blocks/.0.json": set()},
    "merged": {"round-1/blocks/0.*": set(), "result.*": set(), ROWS: set()},
    "merged_once": {"result.*": set(range(N_ITEMS)), ROWS: set(range(N_ITEMS))},
    "continued": {
        "round-2/kept.*": set(),
        "round-2/blocks/0.*": set(),
        "round-1/blocks/0.*": set(),
        "result.*": set(),
    },
}


OTHER_STORES = ("round-1/blocks/0.*", "round-2/kept.*")


def trials() -> Iterator[tuple[str, str, str, Callable[[Path], None]]]:
    for state, files in TRIALS.items():
        for file in files:
            for damage in DAMAGES:
                yield state, ".pkl", file, damage
            for ext in (".npz", ".h5"):
                if file in OTHER_STORES and state != "merged":
                    yield state, ext, file, flip


def damaged_path(pattern: str) -> Path:
    # What is to be known of a pickle is in a file beside it.
    (path,) = (found for found in WORK.glob(pattern) if found.suffix != ".psyrun")
    return path


@pytest.mark.parametrize(("state", "ext", "file", "damage"), [*trials()])
def test_rows_that_are_somewhere_are_not_evaluated_again(
    made, state, ext, file, damage
) -> None:
    folder, missing = made[f"{state}{ext}"]
    copy(folder)
    lost = TRIALS[state][file] if damage is not gone else set()
    path = damaged_path(file)
    damage(path)
    if damage is flip and file in ("result.*", ROWS):
        os.utime(path)
    keep_going = state == "continued"
    is_done, said = go_on(keep_going=keep_going)
    if not is_done:
        # A merge has found what does not show without reading.
        is_done, said = go_on(keep_going=keep_going)
    assert is_done
    assert is_right(N_MORE if keep_going else N_ITEMS)
    assert calls() == sorted({*lost, *missing}), said
    assert go_on(keep_going=keep_going) == (True, [])


def test_what_a_merge_finds_damaged_is_mended_by_the_next_run(
    made: dict[str, tuple[Path, set[int]]],
) -> None:
    copy(made["unmerged.pkl"][0])
    flip(WORK / "round-1/blocks/0.pkl")
    project = Project(Path.cwd())
    said = project.psy("run", status=2).stderr
    assert "blocks/0.pkl: has another content than what was written; mend it" in said
    said = project.psy("run").stdout
    assert "set aside; 4 assignments of it are evaluated again" in said
    assert is_right(N_ITEMS)
    assert calls() == sorted({*BLOCK, 11})


def test_kept_rows_that_were_cut_are_mended_by_the_run_itself(
    made: dict[str, tuple[Path, set[int]]],
) -> None:
    folder, missing = made["continued.pkl"]
    copy(folder)
    cut(WORK / "round-2/kept.pkl")
    said = Project(Path.cwd()).psy("run", "--continue").stdout
    assert "round-2/kept.pkl: has " in said
    assert "made anew from the rows of before" in said
    assert is_right(N_MORE)
    assert calls() == sorted(missing)


LEFT = {
    "type": "ValueError",
    "message": "as asked",
    "where": "",
    "traceback": "",
    "parameters": {"x": "1"},
}


@pytest.mark.parametrize("state", [unmerged, merged, merged_once])
@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_list_of_failures_that_a_block_has_left_does_no_harm(
    made, state, is_damaged
) -> None:
    folder, missing = made[f"{state.__name__}.pkl"]
    copy(folder)
    left = TaskLayout(WORK).round(1).failed(0)
    write_json(left, {"1": LEFT})
    if is_damaged:
        cut(left)
    (WORK / "result.pkl").unlink(missing_ok=True)
    assert go_on()[0]
    assert is_right(N_ITEMS)
    assert calls() == sorted(missing)
    assert not left.exists()
    assert go_on() == (True, [])
