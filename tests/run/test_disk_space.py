"""Rows are on disk once, and no kill on the way there loses or repeats one."""

import pickle
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import tables
from kill_points import KILLING, killed
from projects import COUNTED, Project

import psyrun

pytestmark = pytest.mark.slow

N = 24
LARGE = f"""\
import numpy as np
from psyrun import Param

pspace = Param(x=list(range({N})))
max_jobs = 2


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{{x}}\\n")
    return {{"y": np.full(20_000, float(x))}}
"""
ROWS = N * 160_000
HOLDING = """
import psyrun.steps.merge as merging
import psyrun.steps.split as splitting

if Path("hold").exists():
    merging._check_complete = None
if Path("hold-split").exists():
    splitting._divide = None

"""
STORES = ("NpzStore", "PickleStore", "H5Store")


@pytest.fixture(params=STORES)
def large(project: Project, request: pytest.FixtureRequest) -> Project:
    """A project with rows that are worth to be on disk only once."""
    choice = f"from psyrun import {request.param}\nstore = {request.param}()\n"
    project.write(KILLING + HOLDING + choice + LARGE)
    return project


@pytest.fixture
def unmerged(large: Project) -> Project:
    """One of which all is evaluated, but not merged."""
    (large.folder / "hold").touch()
    large.psy("run", status=1)
    (large.folder / "hold").unlink()
    assert large.calls() == list(range(N))
    return large


def size(folder: Path) -> int:
    """Return how much files take on disk, in bytes; those with two names once."""
    stats = [p.lstat() for p in folder.rglob("*")]
    return 512 * sum({s.st_ino: s.st_blocks for s in stats}.values())


@contextmanager
def at_most(folder: Path, limit: float) -> Iterator[None]:
    """Look all the time how much is on disk, and expect no more than that."""
    sizes, is_done = [0], threading.Event()

    def watch() -> None:
        while not is_done.wait(0.01):
            with suppress(FileNotFoundError):
                sizes.append(size(folder))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()
    assert max(sizes) < limit


def expect_all(project: Project, n: int = N) -> None:
    # Another one may have been kept, as it was changed.
    results = project.work().glob("result.[!c]*")
    (result,) = (path for path in results if path.suffix != ".psyrun")
    columns = psyrun.load(result)
    assert [int(x) for x in columns["x"]] == list(range(n))
    assert [int(y[-1]) for y in columns["y"]] == list(range(n))


def test_journals_lose_rows_that_are_in_a_block(unmerged: Project) -> None:
    assert size(unmerged.folder) < 1.1 * ROWS
    status = unmerged.psy("status").stdout
    assert re.search(rf"\b{N}\b", status)
    assert len(psyrun.load(unmerged.work(), partial=True)["x"]) == N


def test_a_block_that_was_removed_after_its_journals_were_emptied_is_put_back(
    unmerged: Project,
) -> None:
    shutil.rmtree(unmerged.work() / "round-1/blocks")
    assert len(psyrun.load(unmerged.work(), partial=True)["x"]) == N
    unmerged.psy("run")
    assert unmerged.calls() == []
    expect_all(unmerged)


def test_a_process_job_that_is_killed_anywhere_repeats_only_what_was_in_flight(
    unmerged: Project,
) -> None:
    for path in ("blocks", "finished", "journal"):
        shutil.rmtree(unmerged.work() / "round-1" / path)
    for copy in killed(unmerged, "process", "0"):
        # As Snakemake does with what a job has made that was killed.
        for block in copy.work().glob("round-1/blocks/0.*"):
            block.unlink()
        copy.run("psyrun.steps", "process", "psy-work/a", "1", "0")
        calls = copy.calls()
        assert sorted(set(calls)) == list(range(N // 2))
        assert len(calls) <= N // 2 + 1
        data = psyrun.load(copy.work(), partial=True)
        assert [int(x) for x in data["x"]] == list(range(N // 2))
        shutil.rmtree(copy.folder)


FAILING = LARGE.replace(
    "    return", "    assert x != 1 or Path('ok').exists()\n    return"
)
BALANCED = """\
from psyrun import LoadBalancingBackend

backend = LoadBalancingBackend
"""


@pytest.fixture(params=["", BALANCED], ids=["blocks", "balanced"])
def accepted(project: Project, request: pytest.FixtureRequest) -> Project:
    """A project in which one failed, which was accepted, and that is not merged."""
    project.write(KILLING + HOLDING + request.param + FAILING)
    (project.folder / "hold").touch()
    project.psy("run", "--accept-failures", status=1)
    (project.folder / "hold").unlink()
    assert project.calls() == list(range(N))
    return project


def expect_accepted(project: Project) -> None:
    found = psyrun.load(project.work(), partial=True)
    assert [int(x) for x in found["x"]] == [0, *range(2, N)]
    assert "AssertionError" in project.psy("failed", "a").stdout
    assert re.search(rf"\b{N - 1}/{N} +1\b", project.psy("status").stdout)


def test_journals_lose_rows_also_if_failures_were_accepted(accepted: Project) -> None:
    assert size(accepted.folder) < 1.1 * ROWS
    expect_accepted(accepted)
    accepted.psy("run", "--accept-failures")
    assert accepted.calls() == []
    assert size(accepted.folder) < 1.1 * ROWS
    expect_accepted(accepted)


def test_blocks_of_accepted_failures_that_were_removed_are_put_back(
    accepted: Project,
) -> None:
    for path in accepted.work().glob("round-1/blocks/[01].*"):
        path.unlink()
    expect_accepted(accepted)
    accepted.psy("run", "--accept-failures")
    assert accepted.calls() == []
    expect_accepted(accepted)


def test_failures_that_are_not_accepted_any_more_are_tried_when_blocks_were_removed(
    accepted: Project,
) -> None:
    for path in accepted.work().glob("round-1/blocks/[01].*"):
        path.unlink()
    (accepted.folder / "ok").touch()
    accepted.psy("run")
    assert accepted.calls() == [1]
    expect_all(accepted)
    assert size(accepted.folder) < 1.1 * ROWS


def test_a_job_with_accepted_failures_that_is_killed_anywhere_loses_no_row(
    accepted: Project,
) -> None:
    for path in ("blocks", "finished", "journal", "claims"):
        shutil.rmtree(accepted.work() / "round-1" / path, ignore_errors=True)
    n = N if BALANCED in accepted.taskfile().read_text() else N // 2
    for copy in killed(accepted, "process", "0"):
        for block in copy.work().glob("round-1/blocks/0.*"):
            block.unlink()
        copy.run("psyrun.steps", "process", "psy-work/a", "1", "0")
        calls = copy.calls()
        assert sorted(set(calls)) == list(range(n))
        assert len(calls) <= n + 1
        data = psyrun.load(copy.work(), partial=True)
        assert [int(x) for x in data["x"]] == [0, *range(2, n)]
        shutil.rmtree(copy.folder)


def test_rows_are_on_disk_once_when_all_is_done(large: Project) -> None:
    large.psy("run")
    assert size(large.folder) < 1.1 * ROWS
    assert " done " in large.psy("status").stdout
    assert len(psyrun.load(large.work(), partial=True)["x"]) == N
    large.calls()
    assert "Nothing" in large.snakemake().stderr
    large.psy("run")
    assert large.calls() == []
    expect_all(large)


def test_rows_are_on_disk_twice_at_most(project: Project) -> None:
    large = LARGE.replace("20_000", "120_000")
    project.write("from pathlib import Path\n" + large)
    with at_most(project.folder, 2.1 * 6 * ROWS):
        project.psy("run")
    project.edit(f"range({N})", f"range({N + 1})")
    with at_most(project.folder, 2.1 * 6 * ROWS * (N + 1) / N):
        project.psy("run", "--continue")
    expect_all(project, N + 1)


@pytest.mark.parametrize("store", STORES)
def test_rows_are_on_disk_twice_at_most_when_the_rest_is_divided_anew(
    project: Project, store: str
) -> None:
    choice = (
        f"from pathlib import Path\nfrom psyrun import {store}\nstore = {store}()\n"
    )
    failing = f"    assert x != {N - 1} or Path('ok').exists()\n    return"
    large = LARGE.replace("20_000", "120_000").replace("    return", failing)
    project.write(choice + large)
    project.psy("run", status=1)
    (project.folder / "ok").touch()
    project.edit("max_jobs = 2", "max_jobs = 3")
    with at_most(project.folder, 2.1 * 6 * ROWS):
        project.psy("run")
    assert project.calls() == [*range(N), N - 1]
    assert size(project.folder) < 1.1 * 6 * ROWS
    expect_all(project)


def test_rows_that_are_kept_are_on_disk_once(large: Project) -> None:
    large.psy("run")
    large.calls()
    large.edit(f"range({N})", f"range({N + 1})")
    large.psy("run", "--continue")
    assert large.calls() == [N]
    expect_all(large, N + 1)
    assert size(large.folder) < 1.1 * ROWS * (N + 1) / N


@pytest.mark.parametrize("store", STORES)
def test_a_result_whose_work_folder_is_gone_is_continued_without_a_copy(
    project: Project, store: str
) -> None:
    chosen = f"from psyrun import {store}\nstore = {store}()\nresultfile = RESULT\n"
    result = project.folder / f"data{getattr(psyrun, store).ext}"
    large = chosen.replace("RESULT", f"'{result.name}'")
    large += LARGE.replace("20_000", "120_000")
    project.write("from pathlib import Path\n" + large)
    project.psy("run")
    project.calls()
    shutil.rmtree(project.work())
    project.edit(f"range({N})", f"range(1, {N + 1})")
    limit = 6 * ROWS * (N + 1) / N
    with at_most(project.folder, 2.1 * limit):
        project.psy("run", "--continue")
    assert project.calls() == [N]
    assert size(project.folder) < 1.1 * limit
    columns = psyrun.load(result)
    assert [int(y[-1]) for y in columns["y"]] == [*range(1, N + 1), 0]


def write_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"x": np.arange(4), "y": (0, 1, 4, 9)}, 2))


def write_npz(path: Path) -> None:
    np.savez_compressed(path, x=np.arange(4), y=np.array([0, 1, 4, 9], ">i2"))


def write_h5(path: Path) -> None:
    with tables.open_file(path, "w") as file:
        file.create_array("/psyrun", "x", np.arange(4), createparents=True)
        file.create_carray("/psyrun", "y", obj=np.array([0, 1, 4, 9], np.int16))


WRITERS = {"PickleStore": write_pickle, "NpzStore": write_npz, "H5Store": write_h5}


@pytest.mark.parametrize("store", WRITERS)
@pytest.mark.parametrize("space", [range(5), range(1, 5), [3, 2], [9]])
def test_a_result_that_others_wrote_is_continued(
    project: Project, store: str, space: Iterable[int]
) -> None:
    result = project.folder / f"data{getattr(psyrun, store).ext}"
    WRITERS[store](result)
    choice = f"from psyrun import {store}\nstore = {store}()\n"
    project.write(f"{choice}resultfile = {result.name!r}\n{COUNTED}")
    project.edit("[1, 2, 3, 4]", str([*space]))
    project.psy("run", "--continue")
    assert project.calls() == [x for x in space if x > 3]
    columns = psyrun.load(result)
    kept = [x for x in range(4) if x not in space]
    assert [int(x) for x in columns["x"]] == [*space, *kept]
    assert [int(y) for y in columns["y"]] == [x**2 for x in [*space, *kept]]


def test_a_merge_that_is_killed_anywhere_loses_nothing(unmerged: Project) -> None:
    for copy in killed(unmerged, "merge"):
        assert len(psyrun.load(copy.work(), partial=True)["x"]) == N
        copy.run("psyrun.steps", "merge", "psy-work/a", "1")
        assert copy.calls() == []
        expect_all(copy)
        assert size(copy.folder) < 1.1 * ROWS
        shutil.rmtree(copy.folder)


def expect_nothing_left(project: Project) -> None:
    assert [*project.folder.rglob("*.tmp*")] == []
    assert len([*project.work().glob("round-*/rows-*")]) == 1
    assert [*project.work().glob("round-*/kept.*")] == []


@pytest.mark.parametrize("is_gone", [False, True], ids=["folder", "result"])
def test_a_split_that_is_killed_anywhere_loses_nothing(
    project: Project, is_gone: bool
) -> None:
    result = "resultfile = 'data.pkl'\n" if is_gone else ""
    project.write(KILLING + HOLDING + result + LARGE)
    project.psy("run")
    project.calls()
    if is_gone:
        shutil.rmtree(project.work())
    project.edit(f"range({N})", f"range({N + 1})")
    (project.folder / "hold-split").touch()
    project.psy("run", "--continue", status=1)
    (project.folder / "hold-split").unlink()
    of_round = max(int(p.name[6:]) for p in project.work().glob("round-*"))
    for copy in killed(project, "split", of_round=of_round):
        copy.psy("run", "--continue")
        assert copy.calls() == [N]
        if is_gone:
            assert list(psyrun.load(copy.folder / "data.pkl")["x"]) == [*range(N + 1)]
        else:
            expect_all(copy, N + 1)
        assert size(copy.folder) < 1.1 * ROWS * (N + 1) / N
        expect_nothing_left(copy)
        shutil.rmtree(copy.folder)


@pytest.mark.parametrize("store", STORES)
def test_a_merge_that_removes_earlier_rounds_and_is_killed_loses_nothing(
    project: Project, store: str
) -> None:
    """Earlier rounds: one with a result, and one with blocks and journals only."""
    choice = f"from psyrun import {store}\nstore = {store}()\n"
    project.write(KILLING + HOLDING + choice + LARGE)
    (project.folder / "hold").touch()
    project.psy("run", status=1)
    project.edit("max_jobs = 2", "max_jobs = 3")
    project.edit(f"range({N})", f"range({N + 3})")
    project.psy("run", "--continue", status=1)
    (project.folder / "hold").unlink()
    assert project.calls() == list(range(N + 3))
    for copy in killed(project, "merge", of_round=2):
        copy.psy("run", "--continue")
        assert copy.calls() == []
        expect_all(copy, N + 3)
        assert size(copy.folder) < 1.1 * ROWS * (N + 3) / N
        expect_nothing_left(copy)
        shutil.rmtree(copy.folder)


REMOVED = {
    "result": "result.*",
    "block": "round-1/blocks/1.*",
    "blocks": "round-1/blocks",
    "mark": "round-1/merged-*",
}


@pytest.mark.parametrize("what", REMOVED)
def test_rows_that_stand_in_the_result_are_not_evaluated_again(
    project: Project, what: str
) -> None:
    project.write("from pathlib import Path\n" + LARGE)
    project.psy("run")
    project.calls()
    for path in project.work().glob(REMOVED[what]):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    project.psy("run")
    assert project.calls() == []
    expect_all(project)
    assert size(project.folder) < 1.1 * ROWS


def test_nothing_is_evaluated_again_when_snakemake_is_told_to_do_all(
    project: Project,
) -> None:
    random = "from pathlib import Path\nimport random\n" + LARGE
    project.write(random.replace(f"list(range({N}))", "[random.random()] * 4"))
    project.psy("run")
    before = project.result()
    (project.folder / "calls").unlink()
    project.snakemake("--forceall")
    assert not (project.folder / "calls").exists()
    assert project.result()["x"] == before["x"]


def test_blocks_are_kept_if_asked_for(project: Project) -> None:
    project.write("from pathlib import Path\nkeep_blocks = True\n" + LARGE)
    project.psy("run")
    project.calls()
    first, second = sorted(project.work().glob("round-1/blocks/[01].pkl"))
    rows = psyrun.load(second)["x"]
    assert [*psyrun.load(first)["x"], *rows] == list(range(N))
    second.unlink()
    project.psy("run")
    assert project.calls() == []
    assert psyrun.load(second)["x"] == rows


def test_a_result_that_was_damaged_is_computed_again(project: Project) -> None:
    project.write("from pathlib import Path\n" + LARGE)
    project.psy("run")
    project.calls()
    with (project.work() / "result.pkl").open("r+b") as file:
        file.truncate(100_000)
    assert "had the only copy of its rows" in project.psy("run").stdout
    assert project.calls() == list(range(N))
    expect_all(project)


def test_accepted_failures_are_tried_again_when_their_block_is_removed(
    project: Project,
) -> None:
    failing = "if x == 1 and not Path('ok').exists():\n        1 / 0\n    return"
    project.write("from pathlib import Path\n" + LARGE.replace("return", failing))
    project.psy("run", "--accept-failures")
    assert "1 failed" in project.psy("status").stdout
    (project.folder / "ok").touch()
    project.calls()
    (project.work() / "round-1/blocks/0.pkl").unlink()
    project.psy("run")
    assert project.calls() == [1]
    expect_all(project)
