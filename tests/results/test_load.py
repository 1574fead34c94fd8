import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from accepting import accept_plan, finish_accepting_failures
from projects import Project, wait_until

import psyrun
from psyrun.errors import PsyrunError
from psyrun.results.load import write_partial
from psyrun.steps.main import run
from psyrun.store import PickleStore
from psyrun.workdir.consistent_reads import (
    ConcurrentChangeError,
    consistent_pieces,
    retry_while_changing,
)
from psyrun.workdir.lock import Lock

SQUARE = """\
from psyrun import Param

pspace = Param(x=range(10))
max_jobs = 2
store = {store!r}


def execute(x):
    if x in {bad}:
        raise ValueError("bad")
    return {{"y": x**2}}
"""
SHAPES = """\
from psyrun import Param


class Shape:
    def __init__(self, size):
        self.size = size


pspace = Param(x=range(4))
max_jobs = 2


def execute(x):
    return {"shape": Shape(x)}
"""
OWN_STORE = """\
from psyrun import Param
from psyrun.store import PickleStore


class OwnStore(PickleStore):
    ext = ".own"


pspace = Param(x=range(4))
max_jobs = 2
store = OwnStore()


def execute(x):
    return {"y": x**2}
"""
STORES = [".pkl", ".npz", ".h5"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty project folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("psy-tasks").mkdir()
    return tmp_path


@pytest.fixture
def work(folder):
    """Write a task and do some of its steps, as its jobs do."""

    def work(*steps, text=SQUARE, store=".pkl", bad=(), **options):
        path = Path("psy-tasks/task_square.py")
        path.write_text(text if text != SQUARE else text.format(store=store, bad=bad))
        task = accept_plan(path, **options)
        where = [str(task.layout.folder), str(task.plan.round)]
        for step in steps:
            kind, *block = step.split()
            run([kind, *where, *block])
        task.release()
        # The classes of a task file are not there in another process.
        sys.modules.pop("task_square", None)
        return task

    return work


ALL_STEPS = ("split", "process 0", "process 1", "merge")


def listed(columns):
    return {key: np.asarray(column).tolist() for key, column in columns.items()}


def squares(numbers):
    return {"x": list(numbers), "y": [x**2 for x in numbers]}


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("partial", [False, True])
def test_a_finished_task_is_loaded_by_its_name(work, store, partial):
    work(*ALL_STEPS, store=store)
    assert listed(psyrun.load("square", partial=partial)) == squares(range(10))


@pytest.mark.parametrize("store", STORES)
def test_rows_of_blocks_and_journals_come_in_the_order_of_the_space(work, store):
    work("split", "process 1", "process 0", store=store, bad=[2, 3])
    good = [0, 1, *range(4, 10)]
    assert listed(psyrun.load("square", partial=True)) == squares(good)


def test_a_data_file_is_loaded_by_its_path(folder):
    PickleStore().save("data.pkl", {"x": [1]})
    assert psyrun.load("data.pkl") == psyrun.load(Path("data.pkl")) == {"x": [1]}


@pytest.mark.parametrize("partial", [False, True])
def test_a_work_folder_is_loaded_from_anywhere(work, folder, monkeypatch, partial):
    work(*ALL_STEPS)
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert psyrun.load(folder / "psy-work/square", partial) == squares(range(10))


def test_a_task_whose_file_is_gone_is_still_loaded(work):
    work(*ALL_STEPS)
    Path("psy-tasks/task_square.py").unlink()
    assert psyrun.load("square") == squares(range(10))


def test_accepted_failures_are_left_out(work):
    work(bad=[2])
    finish_accepting_failures()
    assert psyrun.load("square", partial=True) == psyrun.load("square")
    assert psyrun.load("square")["x"] == [0, 1, *range(3, 10)]


@pytest.mark.slow
@pytest.mark.parametrize("store", [".pkl", ".npz", ".h5"])
def test_another_file_in_the_place_of_a_merged_block_gives_no_rows(work, store):
    work(bad=[2], store=store)
    finish_accepting_failures()
    block = Path("psy-work/square/round-1/blocks") / f"0{store}"
    assert block.read_bytes() == b""
    shutil.copy(Path("psy-work/square") / f"result{store}", block)
    with pytest.raises(PsyrunError, match=rf"0\{store}: holds 9 rows instead of 5"):
        psyrun.load("square", partial=True)


@pytest.mark.parametrize("steps", [(), ("split",)])
def test_before_the_first_row_there_are_no_columns(work, steps):
    work(*steps)
    assert psyrun.load("square", partial=True) == {}


@pytest.mark.parametrize("steps", [(), ("split",)])
def test_rows_that_are_kept_are_there_from_the_start(work, steps):
    work(*ALL_STEPS)
    text = SQUARE.format(store=".pkl", bad=()).replace("range(10)", "range(5, 12)")
    work(*steps, text=text, keep_going=True)
    rows = psyrun.load("square", partial=True)
    assert sorted(rows["x"]) == list(range(10))
    assert rows["y"] == [x**2 for x in rows["x"]]


def test_rows_of_a_result_that_is_kept_are_there_from_the_start(work):
    work(*ALL_STEPS)
    Path("psy-work/square/result.pkl").rename("kept.pkl")
    shutil.rmtree("psy-work")
    text = SQUARE.format(store=".pkl", bad=()) + "\n\nresultfile = 'kept.pkl'\n"
    work(text=text, keep_going=True)
    assert psyrun.load("square", partial=True) == squares(range(10))


def test_rows_of_another_version_that_is_not_kept_are_left_out(work):
    work(*ALL_STEPS)
    text = SQUARE.format(store=".pkl", bad=()).replace("x**2", "x**3")
    work("split", "process 0", text=text)
    rows = psyrun.load("square", partial=True)
    assert rows == {"x": list(range(5)), "y": [x**3 for x in range(5)]}


@pytest.mark.parametrize("steps", [("split", "process 0"), ALL_STEPS])
def test_values_of_classes_of_the_task_file_are_loaded(work, steps):
    work(*steps, text=SHAPES)
    rows = psyrun.load("square", partial=True)
    assert [shape.size for shape in rows["shape"]] == rows["x"]
    assert rows["x"] in ([0, 1], [0, 1, 2, 3])


def test_values_of_classes_of_the_task_file_are_loaded_from_a_result(work):
    work(*ALL_STEPS, text=SHAPES)
    assert [shape.size for shape in psyrun.load("square")["shape"]] == [0, 1, 2, 3]


@pytest.mark.parametrize("partial", [False, True])
def test_a_store_of_the_task_file_is_used(work, partial):
    work(*ALL_STEPS, text=OWN_STORE)
    assert psyrun.load("square", partial=partial) == squares(range(4))


def test_without_a_result_it_is_said_what_to_do(work):
    work("split")
    with pytest.raises(PsyrunError, match=r"no result yet.*'psy run square'.*partial"):
        psyrun.load("square")


def test_a_task_that_was_never_run_is_said(folder):
    Path("psy-tasks/task_square.py").write_text("raise ValueError")
    with pytest.raises(PsyrunError, match="'square': was never run"):
        psyrun.load("square", partial=True)


def test_an_unknown_name_is_told_with_a_close_one(folder):
    Path("psy-tasks/task_square.py").touch()
    with pytest.raises(PsyrunError, match=r"sqare: .* Did you mean 'square'"):
        psyrun.load("sqare")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["part.pkl", "part.npz", "part.h5"])
@pytest.mark.parametrize("store", STORES)
def test_partial_rows_are_written_to_any_store(work, store, target):
    work("split", "process 1", store=store)
    assert write_partial("square", target, "psy-tasks") == 5
    assert listed(psyrun.load(target)) == squares(range(5, 10))


def test_the_result_file_is_not_written_to(work):
    work("split", "process 1")
    with pytest.raises(PsyrunError, match="is the result file of the task"):
        write_partial("square", "psy-work/square/result.pkl", "psy-tasks")


def test_without_rows_no_file_is_written(work):
    work("split")
    Path("part.pkl").write_text("former")
    with pytest.raises(PsyrunError, match="no assignment is finished yet"):
        write_partial("square", "part.pkl", "psy-tasks")
    assert Path("part.pkl").read_text() == "former"


def test_a_data_file_is_no_task_to_write_from(folder):
    PickleStore().save("data.pkl", {"x": [1]})
    with pytest.raises(PsyrunError, match="neither a task nor"):
        write_partial("data.pkl", "part.pkl", "psy-tasks")


def test_a_block_that_is_replaced_meanwhile_is_noticed(work):
    round_ = work("split", "process 0", "process 1").layout.round(1)
    pieces = consistent_pieces(round_, PickleStore())
    next(pieces)
    block = round_.block(0, ".pkl")
    PickleStore().save(block, PickleStore().load(block))
    with pytest.raises(ConcurrentChangeError, match="changed while it was read"):
        list(pieces)


def test_a_merge_meanwhile_is_noticed(work):
    prepared = work("split", "process 0", "process 1")
    round_ = prepared.layout.round(1)
    pieces = consistent_pieces(round_, PickleStore())
    next(pieces)
    assert run(["merge", str(prepared.layout.folder), "1"]) == 0
    with pytest.raises(ConcurrentChangeError):
        list(pieces)


def test_reading_starts_over_when_a_file_is_gone(folder):
    threading.Timer(0.2, lambda: Path("late").write_text("there")).start()
    assert retry_while_changing(Path("late").read_text) == "there"


def test_a_file_that_stays_away_is_said_in_the_end(folder, monkeypatch):
    monkeypatch.setattr("psyrun.workdir.consistent_reads._PAUSE", 0.0)
    with pytest.raises(ConcurrentChangeError, match="never"):
        retry_while_changing(Path("never").read_text)


BUSY = """\
import time
from psyrun import Param
from psyrun.backend import {backend}

pspace = Param(x=range(300))
max_jobs = 6
backend = {backend}


def execute(x):
    time.sleep(0.01)
    return {{"y": x**2}}
"""


@pytest.mark.parametrize("backend", ["DistributeBackend", "LoadBalancingBackend"])
def test_a_task_is_loaded_again_and_again_while_it_runs(
    project: Project, monkeypatch, backend
):
    project.write(BUSY.format(backend=backend))
    monkeypatch.chdir(project.folder)
    process = project.start("psyrun.cli", "run", "-j", "2")
    wait_until(Path("psy-work/a/state.json").exists)
    counts = [0]
    while process.poll() is None:
        rows = psyrun.load("a", partial=True)
        assert rows.get("y", []) == [x**2 for x in rows.get("x", [])]
        assert rows.get("x", []) == sorted(set(rows.get("x", [])))
        counts.append(len(rows.get("x", [])))
        time.sleep(0.002)
    process.communicate()
    assert process.returncode == 0
    assert counts == sorted(counts)
    assert len(set(counts)) > 5
    assert psyrun.load("a", partial=True) == squares(range(300)) == project.result()


def test_a_load_does_not_wait_for_a_lock(work):
    layout = work("split", "process 0").layout
    with Lock(layout.lock, "task 'square'"), Lock(layout.round(1).lock("merge"), ""):
        assert psyrun.load("square", partial=True) == squares(range(5))


def test_a_journal_that_is_torn_is_read_up_to_there(work):
    round_ = work("split", "process 0", bad=[4]).layout.round(1)
    (journal,) = round_.journals_of(0)
    journal.write_bytes(journal.read_bytes() + b"pJ\1\0half a frame")
    assert psyrun.load("square", partial=True) == squares(range(4))


def test_a_result_that_was_damaged_is_told_of(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.psy("run")
    monkeypatch.chdir(project.folder)
    assert list(psyrun.load("a")["y"]) == [1, 4, 9, 16]
    PickleStore().save(str(project.work() / "result.pkl"), {"x": [1], "y": [1]})
    with pytest.warns(UserWarning, match=r"result\.pkl: it has .* 'psy run a' writes"):
        psyrun.load("a")
    # Once, however often it is read.
    psyrun.load("a")
    said = project.psy("run").stdout
    assert "result.pkl: it has" in said
    assert "result.changed.pkl, and merged again" in said
    assert list(psyrun.load("a")["y"]) == [1, 4, 9, 16]
