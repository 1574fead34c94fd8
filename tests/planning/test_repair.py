"""Damaged records are rebuilt, and no row is evaluated again because of one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from accepting import accept_plan, finish_accepting_failures

from psyrun.cli.main import main
from psyrun.planning.prepare import TaskRun
from psyrun.results.load import load
from psyrun.steps.main import run
from psyrun.workdir.copies import settle
from psyrun.workdir.failures import failures_of_task
from psyrun.workdir.layout import TaskLayout

pytestmark = pytest.mark.slow

TASK = """\
import os
import random

from psyrun import Param
from psyrun.backend import DistributeBackend, LoadBalancingBackend

pspace = Param(x={values})
backend = {backend}
max_jobs = 3
exclude_from_result = {exclude}
{store}


def execute(x):
    with open("calls", "a") as file:
        file.write(f"{{x}}\\n")
    if os.path.exists(f"broken-{{x}}"):
        raise ValueError("as asked")
    return {{"y": 2 * x}}
"""
FIXED, RANDOM = "range(10)", "[random.random() for _ in range(10)]"
BACKENDS = ("DistributeBackend", "LoadBalancingBackend")


class Folder:
    """A project folder, the current one, whose task is run step by step."""

    work = Path("psy-work/a")

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def copy(self, build: Callable[..., object], *arguments: Any) -> None:
        """Make this folder a copy of one that was built once, with all its files."""
        # With -a, what has two names has two names there.
        source = self._templates.path_of(build, arguments)
        subprocess.run(["cp", "-a", f"{source}/.", "."], check=True)
        settle(TaskLayout(self.work))

    def write(
        self,
        values: str = FIXED,
        backend: str = BACKENDS[0],
        exclude: str = "[]",
        store: str = "",
    ) -> None:
        Path("psy-tasks").mkdir(exist_ok=True)
        text = TASK.format(values=values, backend=backend, exclude=exclude, store=store)
        Path("psy-tasks/task_a.py").write_text(text)

    def plan(self, *, keep_going: bool = False) -> TaskRun:
        return accept_plan(Path("psy-tasks/task_a.py"), keep_going=keep_going)

    def run(self, *, keep_going: bool = False, blocks: int = 99) -> TaskRun:
        """Do what a run decides to do, only the first `blocks` of its process jobs."""
        task = self.plan(keep_going=keep_going)
        where = [str(task.layout.folder), str(task.plan.round)]
        decision = task.decision
        if decision.split:
            run(["split", *where])
        for block in decision.blocks[:blocks]:
            run(["process", *where, str(block)])
        if decision.merge and blocks >= len(decision.blocks):
            run(["merge", *where])
        task.release()
        return task

    def calls(self) -> int:
        """Return how many assignments were evaluated since it was asked last."""
        path = Path("calls")
        n_calls = len(path.read_text().split()) if path.exists() else 0
        path.unlink(missing_ok=True)
        return n_calls

    def is_done(self) -> bool:
        task = self.plan()
        task.release()
        return task.decision.is_done

    def rows(self) -> list[tuple[float, float]]:
        columns = load("a")
        return list(zip(map(float, columns["x"]), columns["y"], strict=True))


class Templates:
    """Project folders from which tests go on, each in a copy of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[Any, ...], Path] = {}

    def path_of(self, build: Callable[..., object], arguments: Sequence[Any]) -> Path:
        key = (build, *arguments)
        if key not in self._known:
            path = self._path / str(len(self._known))
            path.mkdir()
            with chdir(path):
                build(Folder(self), *arguments)
            self._known[key] = path
        return self._known[key]


@pytest.fixture(scope="module")
def templates(tmp_path_factory) -> Templates:
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def folder(tmp_path, monkeypatch, templates) -> Iterator[Folder]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield Folder(templates)


def finished(folder: Folder, values: str = FIXED) -> None:
    folder.write(values)
    folder.run()
    assert folder.calls() == 10


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def other(path: Path) -> None:
    path.write_text('{"another": "record"}\n')


DAMAGES: list[Callable[[Path], None]] = [gone, cut, other]
RECORDS = ["state.json", "round-1/split.json", "round-1/space.pkl"]


@pytest.mark.parametrize("values", [FIXED, RANDOM])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", [*RECORDS, "round-1/merged.json"])
def test_nothing_of_a_finished_task_is_evaluated_again(
    folder, name, damage, values
) -> None:
    folder.copy(finished, values)
    before, path = folder.rows(), folder.work / name
    damage(path)
    task = folder.run()
    assert folder.calls() == 0
    assert len(task.mended) == (damage is not gone or "merged" not in name)
    assert all(str(path) in line for line in task.mended)
    assert folder.rows() == before
    assert folder.is_done()
    assert (folder.work / "damaged" / name).exists() == (damage is not gone)


def interrupted(folder: Folder, values: str, backend: str) -> None:
    folder.write(values, backend)
    for x in range(10):
        Path(f"broken-{x}").touch()
    Path("broken-2").unlink()
    folder.run(blocks=2)
    for path in Path().glob("broken-*"):
        path.unlink()


# Each two of these meet.
INTERRUPTED = [
    (gone, BACKENDS[0], FIXED),
    (gone, BACKENDS[1], RANDOM),
    (cut, BACKENDS[0], RANDOM),
    (cut, BACKENDS[1], FIXED),
]


@pytest.mark.parametrize(("damage", "backend", "values"), INTERRUPTED)
@pytest.mark.parametrize("name", [*RECORDS, "round-1/keys.json"])
def test_rows_of_an_interrupted_run_are_not_evaluated_again(
    folder, name, damage, backend, values
) -> None:
    folder.copy(interrupted, values, backend)
    first, n_before = load("a", partial=True), folder.calls()
    n_rows = len(first.get("x", []))
    damage(folder.work / name)
    folder.run()
    # With load balancing, what a job had fetched is divided anew by the next run.
    folder.run()
    assert n_before
    assert folder.calls() == 10 - n_rows
    assert folder.is_done()
    assert set(first.get("x", [])) <= set(load("a")["x"])


@pytest.mark.parametrize("names", [RECORDS[:2], RECORDS[::2], RECORDS[1:], RECORDS])
def test_several_records_are_rebuilt_from_what_is_left(folder, names) -> None:
    folder.copy(finished)
    for name in names:
        cut(folder.work / name)
    folder.run()
    assert folder.calls() == 0
    assert folder.is_done()
    assert folder.rows() == [(x, 2 * x) for x in range(10)]


def extended(folder: Folder, is_merged: bool) -> None:
    folder.write()
    folder.run()
    folder.write("range(14)")
    folder.run(keep_going=True, blocks=99 if is_merged else 1)


@pytest.mark.parametrize("damage", [gone, cut])
@pytest.mark.parametrize(
    "name", ["state.json", "round-2/split.json", "round-2/space.pkl"]
)
@pytest.mark.parametrize("is_merged", [True, False])
def test_rows_that_were_taken_over_are_not_lost_with_a_record(
    folder, name, damage, is_merged
) -> None:
    folder.copy(extended, is_merged)
    n_before = folder.calls()
    damage(folder.work / name)
    folder.run(keep_going=True)
    assert n_before + folder.calls() == 14
    assert folder.rows() == [(x, 2 * x) for x in range(14)]
    assert folder.is_done()


def test_an_outdated_space_is_made_from_rows(folder) -> None:
    folder.copy(finished)
    folder.write("range(5, 12)")
    cut(folder.work / "round-1/space.pkl")
    folder.run(keep_going=True)
    assert folder.calls() == 2
    assert folder.rows()[:7] == [(x, 2 * x) for x in range(5, 12)]
    assert sorted(folder.rows())[:5] == [(x, 2 * x) for x in range(5)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_are_kept_of_a_space_of_unknown_size(folder, backend) -> None:
    folder.write(backend=backend)
    Path("broken-0").touch()
    folder.run(blocks=1)
    rows = load("a", partial=True)["x"]
    for name in RECORDS[1:]:
        cut(folder.work / name)
    Path("broken-0").unlink()
    folder.write("range(12)", backend)
    folder.calls()
    folder.run(keep_going=True)
    assert folder.calls() == 12 - len(rows)
    assert folder.rows() == [(x, 2 * x) for x in range(12)]


@pytest.mark.parametrize("store", ["store = '.npz'", "store = '.h5'"])
def test_types_that_were_agreed_on_are_found_again(folder, store) -> None:
    folder.write(store=store)
    folder.run(blocks=0)
    Path("broken-1").touch()
    folder.run(blocks=1)
    agreed = json.loads((folder.work / "round-1/keys.json").read_text())
    cut(folder.work / "round-1/keys.json")
    Path("broken-1").unlink()
    folder.run()
    assert json.loads((folder.work / "round-1/keys.json").read_text()) == agreed
    assert [y for _, y in folder.rows()] == [2 * x for x in range(10)]


@pytest.mark.parametrize("name", ["state.json", "round-1/split.json"])
def test_others_name_what_mends_a_damaged_record(folder, name, capfd) -> None:
    folder.copy(finished)
    cut(folder.work / name)
    for command in (["status"], ["failed", "a"], ["merge", "--partial", "a", "b.pkl"]):
        main(command)
        output, errors = capfd.readouterr()
        assert f"{folder.work / name}: " in output + errors
        assert "'psy doctor --repair a'" in output + errors
    assert main(["doctor", "--repair", "a"]) == 0
    assert str(folder.work / name) in capfd.readouterr().out
    assert main(["failed", "a"]) == 0
    assert folder.is_done()


def test_a_plan_of_a_newer_version_is_left_alone(folder, capfd) -> None:
    folder.copy(finished)
    path = folder.work / "state.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({"format": record["format"] + 1, "unknown": True}))
    assert main(["run"]) == 2
    assert "newer" in capfd.readouterr().err
    assert "unknown" in path.read_text()


def test_what_was_removed_on_purpose_is_new(folder) -> None:
    folder.copy(finished)
    shutil.rmtree(folder.work)
    folder.run()
    assert folder.calls() == 10


FILES_OF_BLOCKS = [
    "round-1/blocks/1.pkl",
    "round-1/blocks/.1.json",
    "round-1/blocks/.1.rows.npy",
    "round-1/blocks/.1.failed.json",
]


def with_accepted_failures(folder: Folder, backend: str) -> None:
    folder.write(backend=backend, store="keep_blocks = True")
    Path("broken-5").touch()
    finish_accepting_failures("a")
    Path("broken-5").unlink()
    folder.calls()


@pytest.mark.parametrize("damage", [gone, cut])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FILES_OF_BLOCKS)
def test_files_of_a_merged_block_are_made_anew(
    folder, name, backend, damage, capfd
) -> None:
    folder.copy(with_accepted_failures, backend)
    path = folder.work / name
    if not path.exists() or (damage is gone and path.suffix != ".npy"):
        pytest.skip("no such file, or it is noticed elsewhere")
    damage(path)
    assert main(["doctor", "--verify", "a"]) == 1
    shown = capfd.readouterr().out
    assert "round-1/blocks/" in shown
    assert "'psy doctor --repair a'" in shown
    assert main(["doctor", "--repair", "a"]) == 0
    assert main(["doctor", "--verify", "a"]) == 0
    (folder.work / "result.pkl").unlink()
    folder.run()
    assert folder.calls() <= 1
    assert [row for row in folder.rows() if row[0] != 5] == [
        (x, 2 * x) for x in range(10) if x != 5
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_damaged_record_of_merged_rows_is_made_anew(folder, backend, capfd) -> None:
    folder.write(backend=backend)
    folder.run()
    record = folder.work / "round-1/rows.json"
    cut(record)
    assert main(["doctor", "--verify", "a"]) == 1
    assert "round-1/rows.json" in capfd.readouterr().out
    assert main(["doctor", "--repair", "a"]) == 0
    assert main(["doctor", "--verify", "a"]) == 0
    (folder.work / "result.pkl").unlink()
    folder.calls()
    folder.run()
    assert folder.calls() == 0
    assert folder.rows() == [(x, 2 * x) for x in range(10)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_without_some_parameters_are_not_taken_for_others(folder, backend) -> None:
    folder.write(backend=backend, exclude="['x']", store="keep_blocks = True")
    path = Path("psy-tasks/task_a.py")
    text = path.read_text().replace(
        "Param(x=range(10))", "Param(x=range(10), z=[1]*10)"
    )
    path.write_text(text.replace("execute(x)", "execute(x, z)"))
    Path("broken-5").touch()
    finish_accepting_failures("a")
    Path("broken-5").unlink()
    assert load("a")["y"] == [2 * x for x in range(10) if x != 5]
    for listed in folder.work.glob("round-1/blocks/*.npy"):
        cut(listed)
    assert main(["doctor", "--repair", "a"]) == 0
    (folder.work / "result.pkl").unlink()
    folder.run()
    # What failed may still be accepted.
    found = [y for y in load("a")["y"] if y != 10]
    assert found == [2 * x for x in range(10) if x != 5]


def with_blocks_and_failures(folder: Folder, backend: str) -> None:
    """All blocks are written, of which one lacks what has failed; nothing is merged."""
    folder.write(backend=backend)
    Path("broken-5").touch()
    task = accept_plan(Path("psy-tasks/task_a.py"), accept_failures=True)
    where = [str(task.layout.folder), str(task.plan.round)]
    blocks = range(task.plan.n_blocks)
    for step in (["split"], *(["process", str(block)] for block in blocks)):
        assert run([step[0], *where, *step[1:]]) == 0
    task.release()
    Path("broken-5").unlink()
    folder.calls()


@pytest.mark.parametrize("damage", [gone, cut])
@pytest.mark.parametrize("is_merged", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_lists_of_accepted_failures_are_made_anew_by_the_next_run(
    folder, backend, is_merged, damage
) -> None:
    folder.copy(with_blocks_and_failures, backend)
    if is_merged:
        finish = accept_plan(Path("psy-tasks/task_a.py"), accept_failures=True)
        assert run(["merge", str(finish.layout.folder), "1"]) == 0
        finish.release()
    (path,) = (folder.work / "round-1/blocks").glob(".*.failed.json")
    before = json.loads(path.read_text())
    damage(path)
    if is_merged:
        # Nothing tells of a list that is gone, as nothing needs it any more.
        assert damage is gone or main(["doctor", "--repair", "a"]) == 0
    else:
        task = accept_plan(Path("psy-tasks/task_a.py"), accept_failures=True)
        assert run(["merge", str(task.layout.folder), "1"]) == 0
        task.release()
    if damage is cut or not is_merged:
        found = json.loads(path.read_text())
        assert found["5"]["type"] in ("ValueError", "Unknown")
        assert is_merged or found == before
        assert [each.index for each in failures_of_task(TaskLayout(folder.work))] == [5]
    assert folder.calls() == 0
    assert folder.rows() == [(x, 2 * x) for x in range(10) if x != 5]


@pytest.mark.parametrize(
    "name",
    [*RECORDS, "round-1/merged.json", "version.json", "digests.json", "result.pkl"],
)
def test_what_is_wrong_is_said_and_mended(folder, name, capfd) -> None:
    folder.copy(finished)
    assert main(["doctor", "--verify"]) == 0
    assert "ok" in capfd.readouterr().out
    # Its rows have two names there, of which this one gets another file.
    (folder.work / name).unlink(missing_ok=True)
    (folder.work / name).write_text("{")
    assert main(["doctor", "--verify"]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith(f"problem  {name}: ") for line in lines)
    assert all(len(line) <= 80 for line in lines)
    assert lines[-1].endswith(". Mend it with 'psy doctor --repair a'.")
    main(["doctor", "--repair"])
    folder.run()
    assert main(["doctor", "--verify"]) == 0
    assert folder.calls() == 0


def test_a_damaged_journal_is_said(folder, capfd) -> None:
    folder.write()
    folder.run(blocks=1)
    (path,) = (folder.work / "round-1/journal").glob("0-*.journal")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert main(["doctor", "--verify"]) == 1
    assert path.name in capfd.readouterr().out


def test_what_was_set_aside_is_in_one_place(folder, capfd) -> None:
    folder.write(store="resultfile = 'out/data.pkl'\nkeep_blocks = True")
    folder.run()
    names = {"state.json", "version.json", "round-1/space.pkl", "round-1/blocks/1.pkl"}
    for _ in range(2):
        for name in names:
            cut(folder.work / name)
        Path("out/data.pkl").write_text("mine")
        main(["doctor", "--repair"])
        # The result is the user's, and psyrun's only as it was written.
        assert Path("out/data.pkl").read_text() == "mine"
        folder.run()
    damaged = folder.work / "damaged"
    kept = {path for path in damaged.rglob("*") if path.is_file()}
    # With a block goes what is recorded of it.
    names.add("round-1/blocks/.1.json")
    numbered = {Path(name).with_stem(f"{Path(name).stem}-2") for name in names}
    assert kept == {damaged / name for name in names | numbered}
    results = ["data.pkl", "data.changed.pkl", "data.changed-2.pkl"]
    # What is beside a result goes with it.
    results += [f"{name}.psyrun" for name in results]
    assert {path.name for path in Path("out").iterdir()} == {*results}
    capfd.readouterr()
    assert main(["doctor", "--verify"]) == 0
    assert f"a: {len(kept)} damaged files kept in {damaged}" in capfd.readouterr().out
    assert main(["clean", "a"]) == 0
    assert not folder.work.exists()
    assert Path("out/data.changed.pkl").read_text() == "mine"


# Of the rows of before, one is known by a tolerance, and all lack sigma.
KNOWN_AS = """\
match = {'x': 1e-9}
defaults = {'sigma': 1.0}
max_jobs = 1
"""
NEARLY = "[0.1 + 0.2, 1.0, 2.0, 3.0, 4.0], sigma=[1.0] * 5"


def known_by_task_file(folder: Folder, ext: str, *, accepts: bool = False) -> None:
    def write(values: str, more: str = "") -> None:
        folder.write(values, store=f"store = {ext!r}\n{more}")
        path = Path("psy-tasks/task_a.py")
        text = path.read_text().replace("execute(x)", "execute(x, sigma=1.0)")
        path.write_text(text)

    write("[0.3, 1.0, 2.0]")
    folder.run()
    write(NEARLY, f"{KNOWN_AS}keep_blocks = True")
    Path("broken-4.0").touch()
    if accepts:
        finish_accepting_failures("a")
    else:
        folder.run()
    Path("broken-4.0").unlink()
    folder.calls()


KNOWN_AS_FILES = ["round-2/kept{}", "round-2/space.pkl", "round-2/split.json"]


@pytest.mark.parametrize("name", [*KNOWN_AS_FILES, "state.json"])
@pytest.mark.parametrize("ext", [".pkl", ".npz"])
def test_rows_that_the_task_file_tells_how_to_know_are_found_again(
    folder, ext, name
) -> None:
    folder.copy(known_by_task_file, ext)
    cut(folder.work / name.format(ext))
    task = folder.run()
    assert task.mended
    assert folder.calls() == 1
    assert folder.rows() == [(x, 2 * x) for x in (0.3, 1.0, 2.0, 3.0, 4.0)]
    assert list(load("a")["sigma"]) == [1.0] * 5
    assert folder.is_done()


def test_a_block_is_found_in_a_result_with_numbers_that_are_nearly_equal(
    folder, capfd
) -> None:
    known_by_task_file(folder, ".npz", accepts=True)
    assert list(load("a")["x"]) == [0.3, 1.0, 2.0, 3.0]
    cut(folder.work / "round-2/blocks/0.npz")
    capfd.readouterr()
    assert main(["doctor", "--repair", "a"]) == 0
    assert "made anew from the result" in capfd.readouterr().out
    folder.run()
    # What failed may still be accepted.
    assert folder.calls() <= 1
    assert list(load("a")["x"])[:4] == [0.3, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("name", ["round-1/split.json", "round-1/space.pkl"])
@pytest.mark.parametrize("values", [FIXED, RANDOM])
@pytest.mark.parametrize("order", ["even", "random"])
@pytest.mark.parametrize("exclude", ["[]", "['x']"])
def test_blocks_have_their_assignments_in_any_order(
    folder, name, values, order, exclude
) -> None:
    if values == RANDOM and exclude != "[]":
        pytest.skip("nothing tells what the points were")
    folder.write(values, exclude=exclude, store=f"order = {order!r}")
    folder.run(blocks=2)
    n_calls, before = folder.calls(), load("a", partial=True)
    cut(folder.work / name)
    folder.run()
    assert folder.calls() == 10 - n_calls
    assert set(before["y"]) <= set(load("a")["y"])
    assert len(load("a")["y"]) == 10
    if values == FIXED:
        assert load("a")["y"] == [2 * x for x in range(10)]


@pytest.mark.parametrize("order", ["even", "random"])
def test_rows_of_another_space_in_another_order_are_kept(folder, order) -> None:
    folder.write(store=f"order = {order!r}")
    folder.run(blocks=2)
    there = sorted(load("a", partial=True)["x"])
    cut(folder.work / "round-1/space.pkl")
    folder.write("range(12)", store=f"order = {order!r}")
    folder.calls()
    folder.run()
    assert folder.calls() == 12 - len(there)
    assert folder.rows() == [(x, 2 * x) for x in range(12)]
