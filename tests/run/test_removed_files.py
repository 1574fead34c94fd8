"""Whatever is removed of a round, its rows are right, and those that are left stay."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from accepting import accept_plan

from psyrun.planning.prepare import TaskRun
from psyrun.results.load import load
from psyrun.steps.main import run
from psyrun.steps.work_queue import ClaimWorkQueue
from psyrun.workdir.copies import settle
from psyrun.workdir.layout import TaskLayout

pytestmark = pytest.mark.slow

# Journals of small rows keep them when their block is written.
TASK = """\
import os

from psyrun import Param
from psyrun.backend import DistributeBackend, LoadBalancingBackend

pspace = Param(x=range(12))
backend = {backend}
store = "{store}"
max_jobs = 3


def execute(x):
    with open("calls", "a") as file:
        file.write("x")
    if os.path.exists(f"broken-{{x}}"):
        raise ValueError("as asked")
    return {{"y": 2 * x, "large": "{filling}" * 5000}}
"""
BACKENDS = ("DistributeBackend", "LoadBalancingBackend")


def accept(*, failures: bool = False) -> TaskRun:
    return accept_plan(Path("psy-tasks/task_a.py"), accept_failures=failures)


def do(task: TaskRun, *, blocks: int = 99, merge: bool = True) -> list[int]:
    where, decision = [str(task.layout.folder), str(task.plan.round)], task.decision
    steps = [["split"]] if decision.split else []
    steps += [["process", str(block)] for block in decision.blocks[:blocks]]
    steps += [["merge"]] if decision.merge and merge else []
    found = []
    for n_done, step in enumerate(steps):
        found.append(run([step[0], *where, *step[1:]]))
        if n_done == 0 and task.plan.fetches and task.plan.round == 1:
            claim_in_turn(task)
    task.release()
    return found


def claim_in_turn(task: TaskRun) -> None:
    """Have jobs begin with work that they have fetched one after the other."""
    round_, n_blocks = task.layout.round(task.plan.round), task.plan.n_blocks
    queue = ClaimWorkQueue(round_.claims, 12, n_blocks)
    round_.journals.mkdir(exist_ok=True)
    for block in range(n_blocks):
        round_.journal(block, 0, "0").touch()
    for number, _ in enumerate(queue.take()):
        (round_.claims / str(number)).write_text(str(number % n_blocks))


def interrupted() -> None:
    Path("broken-7").touch()
    do(accept(), blocks=2, merge=False)


def computed() -> None:
    do(accept(), merge=False)


def lacking() -> None:
    Path("broken-7").touch()
    do(accept(failures=True), merge=False)


def merged() -> None:
    do(accept())


FOLDERS = ("blocks", "finished", "journal", "claims", "locks", "errors")
FILES = ("blocks/.*.json", "blocks/.*.rows.npy", "rows-*", "rows*")


def remove(round_: Path, names: str) -> None:
    for path in list(round_.glob(names)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Callable[..., Path]:
    known: dict[tuple[object, ...], Path] = {}

    def build(state: Callable[[], None], backend: str, filling: str, ext: str) -> Path:
        key = state, backend, filling, ext
        if key not in known:
            known[key] = tmp_path_factory.mktemp("built")
            with chdir(known[key]):
                Path("psy-tasks").mkdir()
                text = TASK.format(backend=backend, filling=filling, store=ext)
                Path("psy-tasks/task_a.py").write_text(text)
                state()
        return known[key]

    return build


# Each two of these meet: a state with either backend, with small and with large rows.
TRIALS = [
    (state, BACKENDS[(number + is_large) % 2], "z" * is_large)
    for number, state in enumerate([interrupted, computed, lacking, merged])
    for is_large in (False, True)
]


@pytest.mark.parametrize("names", [*FOLDERS, *FILES, "[bj]*", "[bc]*"])
@pytest.mark.parametrize(("state", "backend", "filling"), TRIALS)
def test_rows_are_right_whatever_was_removed(
    built, tmp_path, monkeypatch, backend, filling, state, names
) -> None:
    ext = ".pkl" if filling else ".npz"
    original = built(state, backend, filling, ext)
    if not any((original / "psy-work/a/round-1").glob(names)):
        pytest.skip("there is none")
    go_on_in_copy(original, tmp_path, monkeypatch)
    n_before = len(Path("calls").read_text())
    remove(Path("psy-work/a/round-1"), names)
    accepts = state is lacking
    if not accepts:
        Path("broken-7").unlink(missing_ok=True)
    assert not any(do(accept(failures=accepts)))
    rows = load("a")
    expected = [x for x in range(12) if not (accepts and x == 7)]
    assert list(rows["x"]) == expected
    assert list(rows["y"]) == [2 * x for x in expected]
    n_repeated = len(Path("calls").read_text()) - n_before
    n_missing = 12 - n_before + 1 if state is interrupted else int(accepts)
    assert n_repeated <= n_missing or are_only_there(state, filling, names)


def are_only_there(state: Callable[[], None], filling: str, names: str) -> bool:
    """Whether some rows were nowhere else."""
    is_block_only_there = names == "[bj]*" and not filling and state is not merged
    return is_block_only_there or (state is interrupted and "j" in names)


def go_on_in_copy(built: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["cp", "-a", f"{built}/.", folder], check=True)
    monkeypatch.chdir(folder)
    settle(TaskLayout(Path("psy-work/a")))
