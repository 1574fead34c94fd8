"""Blocks that are predicted to take equally long."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from accepting import accept_plan

from psyrun import Param
from psyrun.cli.main import main
from psyrun.estimate import Evaluated
from psyrun.estimate.blocks import last_end
from psyrun.estimate.columns import Floats
from psyrun.planning.prepare import TaskRun
from psyrun.pspace.columns import Indices
from psyrun.pspace.order import order_of
from psyrun.results.load import load
from psyrun.steps.even_times import _Predicted, divided_evenly
from psyrun.steps.main import run
from psyrun.steps.work_queue import CLAIM_FRACTION, ClaimWorkQueue, shrinking_ranges
from psyrun.utils.environment import AT_ONCE_VARIABLE
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.journal import Journal
from psyrun.workdir.prediction import PredictionRecord

TASK = """\
from psyrun import Param
from psyrun.cli.main import main

pspace = Param(n=range(1, 33)) * Param(s=["a", "b", "c"])
max_jobs = 3


def execute(n, s):
    with open("calls", "a") as file:
        file.write(f"{n}{s} ")
    return {"y": f"{n}{s}"}
"""
PATH = Path("psy-tasks/task_a.py")
N, S = np.arange(1, 33), "abc"
SECONDS = np.repeat(0.02 * N**2.0, 3) * np.tile([1.0, 1.0, 3.0], 32)
PILOTS = (0, 1, 2, 29, 31, 44, 48, 55, 73, 80, 93, 94, 95)


def edit(old: str, new: str) -> None:
    text = PATH.read_text()
    assert old in text
    PATH.write_text(text.replace(old, new))


def step(task: TaskRun, name: str, *arguments: str) -> int:
    return run([name, str(task.layout.folder), str(task.plan.round), *arguments])


@pytest.fixture
def pilots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what begins a run of three blocks that is killed.

    It has evaluated some assignments by then, in times that are made up.
    """
    monkeypatch.chdir(tmp_path)
    PATH.parent.mkdir()
    PATH.write_text(TASK)

    def begin(
        rows: tuple[int, ...] = PILOTS, seconds: Floats = SECONDS, version: str = ""
    ) -> None:
        task = accept_plan(PATH)
        assert step(task, "split") == 0
        round_ = task.layout.round(task.plan.round)
        round_.journals.mkdir()
        session = {"host": "here", "fingerprint": version or task.plan.fingerprint}
        journal = Journal(round_.journal(0, 0), session)
        for row in rows:
            n, s = row // 3 + 1, S[row % 3]
            columns = {"n": n, "s": s, "y": f"{n}{s}"}
            journal.row(row, 10.0, float(seconds[row]), 2048, columns)
        journal.close()
        task.release()

    return begin


def divided_anew(n_jobs: int = 4, *, was: int = 3) -> tuple[TaskRun, Division]:
    """Go on with another number of jobs, and return how the rest is divided."""
    edit(f"max_jobs = {was}", f"max_jobs = {n_jobs}")
    task = accept_plan(PATH)
    assert step(task, "split") == 0
    return task, Division.load(task.layout.round(task.plan.round))


def times_of(division: Division, seconds: Floats = SECONDS) -> list[float]:
    blocks = range(division.n_blocks)
    return [float(seconds[division.indices(block)].sum()) for block in blocks]


def test_blocks_take_equally_long_and_share_what_is_open(
    pilots: Callable[..., None],
) -> None:
    pilots()
    task, division = divided_anew()
    shares = [division.indices(block) for block in range(4)]
    assert sorted(i for share in shares for i in share) == sorted(
        {*range(96)} - {*PILOTS}
    )
    assert all(list(share) == sorted(share) for share in shares)
    mean = sum(times_of(division)) / 4
    assert max(times_of(division)) < 1.03 * mean
    assert max(times_of(replace(division, shares=None))) > 1.5 * mean
    counts = DivisionCounts.load(task.layout.round(task.plan.round))
    assert counts is not None
    assert counts.sizes == [len(share) for share in shares]


@pytest.mark.slow
def test_the_result_is_in_the_order_of_the_space(pilots: Callable[..., None]) -> None:
    pilots()
    task, division = divided_anew()
    assert division.shares is not None
    for block in range(4):
        assert step(task, "process", str(block)) == 0
    assert step(task, "merge") == 0
    task.release()
    assert len(Path("calls").read_text().split()) == 96 - len(PILOTS)
    assert list(load("a")["y"]) == [f"{n}{s}" for n in N for s in S]


def test_a_block_that_is_longer_has_a_lower_number(pilots: Callable[..., None]) -> None:
    pilots()
    _, division = divided_anew(83)
    times = times_of(division)
    # What differs by less than a tenth stays in its order.
    assert all(b < a / 0.9 for a, b in pairwise(times))
    assert times[0] > 0.9 * max(times)


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        (PILOTS[:7], SECONDS),
        (PILOTS, SECONDS / 1000),
        (PILOTS, np.full(96, 5.0)),
        (PILOTS, np.random.default_rng(2).lognormal(0, 2, 96)),
    ],
    ids=["few rows", "little work", "all equal", "no model fits"],
)
def test_blocks_are_equally_large_where_that_is_as_good(
    pilots: Callable[..., None], rows: tuple[int, ...], seconds: Floats
) -> None:
    pilots(rows, seconds)
    assert divided_anew()[1].shares is None


def test_what_the_round_is_predicted_to_cost_is_kept(
    pilots: Callable[..., None],
) -> None:
    pilots()
    task, _ = divided_anew()
    first = PredictionRecord.first(task.layout.round(2))
    assert first is not None
    assert (first.n_assignments, first.n_known) == (96, len(PILOTS))
    assert (first.fits, first.fingerprint) == (True, task.plan.fingerprint)
    assert first.total_seconds.value == pytest.approx(SECONDS.sum(), rel=0.1)
    task.release()
    # What was predicted before counts.
    told = replace(first, made=1.0)
    told.save(task.layout)
    task, _ = divided_anew(5, was=4)
    assert PredictionRecord.first(task.layout.round(3)) == told
    task.release()
    replace(told, fingerprint="another").save(task.layout)
    task, _ = divided_anew(6, was=5)
    found = PredictionRecord.first(task.layout.round(4))
    assert found is not None
    assert found.made > 1.0


def test_what_a_space_is_extended_by_is_divided_evenly(
    pilots: Callable[..., None],
) -> None:
    pilots()
    edit("range(1, 33)", "range(1, 41)")
    task = accept_plan(PATH)
    assert step(task, "split") == 0
    division = Division.load(task.layout.round(task.plan.round))
    seconds = np.repeat(0.02 * np.arange(1, 41) ** 2.0, 3) * np.tile([1, 1, 3], 40)
    times = times_of(division, seconds)
    assert (division.n_kept, len(times)) == (len(PILOTS), 3)
    assert max(times) < 1.03 * sum(times) / 3


@pytest.mark.slow
def test_a_part_of_a_space_is_divided_evenly(pilots: Callable[..., None]) -> None:
    pilots()
    task = accept_plan(PATH, part=("n=20:33",))
    assert step(task, "split") == 0
    division = Division.load(task.layout.round(2))
    assert division.whole is not None
    assert division.shares is not None
    seconds = SECONDS[division.in_whole(np.arange(len(division.space)))]
    times = times_of(division, seconds)
    assert max(times) < 1.03 * sum(times) / 3
    for block in range(3):
        assert step(task, "process", str(block)) == 0
    assert step(task, "merge") == 0
    task.release()
    chosen = range(20, 33)
    assert set(chosen) <= set(load("a")["n"])
    task = accept_plan(PATH)
    assert step(task, "split") == 0
    for block in range(3):
        assert step(task, "process", str(block)) == 0
    assert step(task, "merge") == 0
    task.release()
    assert list(load("a")["y"]) == [f"{n}{s}" for n in N for s in S]
    assert len(Path("calls").read_text().split()) == 96 - len(PILOTS)


def test_rows_of_another_version_predict_nothing(pilots: Callable[..., None]) -> None:
    pilots(version="another")
    assert divided_anew()[1].shares is None


def test_the_last_blocks_are_short_where_a_run_knows_its_cores(
    pilots: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AT_ONCE_VARIABLE, "4")
    pilots()
    task, division = divided_anew(20)
    times = times_of(division)
    assert min(times) < 0.35 * max(times)
    assert last_end(times, 4) < 1.02 * sum(times) / 4
    assert min(len(division.indices(block)) for block in range(20)) >= 1
    task.release()
    # In a queue, or in other hands, nobody knows how many run at once.
    monkeypatch.delenv(AT_ONCE_VARIABLE)
    _, division = divided_anew(19, was=20)
    assert max(times_of(division)) < 1.25 * sum(times_of(division)) / 19


def test_blocks_are_equally_large_where_predicting_goes_wrong(
    pilots: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ValueError("year 0 is out of range")

    pilots()
    monkeypatch.setattr("psyrun.estimate.predicted_times", fail)
    assert divided_anew()[1].shares is None


def test_a_task_file_can_turn_it_off(pilots: Callable[..., None]) -> None:
    pilots()
    edit("max_jobs = 3", "max_jobs = 3\npredict_times = False")
    task, division = divided_anew()
    assert division.shares is None
    assert division.n_kept == len(PILOTS)
    task.release()
    # What is missing is divided anew, and all rows stay valid.
    edit("predict_times = False", "")
    task = accept_plan(PATH)
    assert task.plan.round == 3
    assert step(task, "split") == 0
    division = Division.load(task.layout.round(3))
    assert (division.shares is None, division.n_kept) == (False, len(PILOTS))


def balance_load() -> None:
    edit("import Param", "import backend as b, Param")
    edit("max_jobs", "backend = b.LoadBalancingBackend\nmax_jobs")


def test_jobs_that_fetch_their_work_fetch_the_slowest_first(
    pilots: Callable[..., None],
) -> None:
    pilots()
    balance_load()
    edit("max_jobs = 3", "max_jobs = 3\npool_size = 2")
    task, division = divided_anew()
    assert division.shares is None
    indices, sizes = division.fetchable()
    assert sizes is not None
    assert (sum(sizes), sorted(indices)) == (len(indices), list(division.open))
    cuts = np.cumsum(sizes)[:-1]
    taken = [float(SECONDS[each].sum()) for each in np.split(indices, cuts)]
    # Four jobs of two workers.
    bound = max(SECONDS[division.open].max(), sum(taken) / 8)
    in_order = [SECONDS[division.open[r]].sum() for r in _ranges(len(indices), 8)]
    assert last_end(taken, 8) < 1.03 * bound < 1.2 * bound < last_end(in_order, 8)
    # What the round is predicted to cost is known here, too.
    assert PredictionRecord.first(task.layout.round(2)) is not None


def _ranges(n: int, n_workers: int) -> list[slice]:
    ranges = shrinking_ranges(n, n_workers, CLAIM_FRACTION)
    return [slice(each.start, each.stop) for each in ranges]


@pytest.mark.parametrize(
    ("setting", "rows", "seconds"),
    [
        ("predict_times = False", PILOTS, SECONDS),
        ('order = "even"', PILOTS, SECONDS),
        ("", PILOTS[:7], SECONDS),
        ("", PILOTS, SECONDS / 1000),
        ("", PILOTS, np.full(96, 5.0)),
    ],
    ids=["turned off", "an order", "few rows", "little work", "all equal"],
)
def test_work_is_fetched_in_its_order_where_that_is_wanted_or_as_good(
    pilots: Callable[..., None], setting: str, rows: tuple[int, ...], seconds: Floats
) -> None:
    pilots(rows, seconds)
    balance_load()
    edit("max_jobs = 3", f"max_jobs = 3\n{setting}")
    _, division = divided_anew()
    assert (division.portions, division.shares) == (None, None)
    indices, sizes = division.fetchable()
    assert sizes is None
    assert list(indices) == list(division.in_turn(division.open))


@pytest.mark.slow
@pytest.mark.parametrize("loses_space", [False, True])
def test_what_was_fetched_slowest_first_is_not_lost_with_its_job(
    pilots: Callable[..., None], loses_space: bool
) -> None:
    pilots()
    balance_load()
    task, division = divided_anew()
    assert division.portions is not None
    indices, sizes = division.fetchable()
    assert sizes is not None
    # A job has claimed some, and was killed before it began.
    round_ = task.layout.round(2)
    take = ClaimWorkQueue(round_.claims, len(indices), 4, "0", sizes).take()
    own = np.concatenate([indices[next(take)] for _ in range(3)])
    round_.journals.mkdir()
    InFlightTable(round_.in_flight(0, "killed"), 1).close()
    if loses_space:
        task.release()
        round_.space.write_bytes(b"damaged")
        assert main(["doctor", "--repair", "a"]) == 0
    else:
        assert step(task, "process", "0") == 0
        calls = Path("calls").read_text().split()
        assert calls[: len(own)] == [f"{N[i // 3]}{S[i % 3]}" for i in own]
        assert len(calls) == len(indices)
        task.release()
    task = accept_plan(PATH)
    if task.decision.split:
        assert step(task, "split") == 0
    for block in task.decision.blocks:
        assert step(task, "process", str(block)) == 0
    assert step(task, "merge") == 0
    task.release()
    assert list(load("a")["y"]) == [f"{n}{s}" for n in N for s in S]
    assert len(Path("calls").read_text().split()) == len(indices)


def test_no_assignment_is_predicted_to_take_longer_than_its_timeout() -> None:
    space = Param(x=np.arange(1, 101))
    seconds, rows = np.arange(1, 101) ** 20.0, np.arange(0, 100, 9)
    kept = np.full(100, -1)
    kept[rows] = np.arange(len(rows))
    known = Evaluated.of(rows, seconds[rows])
    times = np.minimum(seconds, 50.0**20)
    longest = [
        max(times_of(divided_evenly(Division(space, 4, kept), known, limit), times))
        for limit in (50.0**20, np.inf)
    ]
    assert longest[0] < 1.05 * times[kept < 0].sum() / 4 < longest[1]


def test_a_task_that_begins_does_not_import_the_model(tmp_path: Path) -> None:
    code = (
        "import sys; from psyrun.steps import split; "
        "sys.exit(any(name.startswith('psyrun.estimate') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def power_law(rows: Indices) -> Floats:
    return (1.0 + rows) ** 2


@pytest.mark.parametrize("order", ["space", "even", "random"])
@pytest.mark.parametrize("n", [10, 1000])
def test_blocks_are_even_in_each_order(n: int, order: str) -> None:
    space = Param(x=range(n))
    kept = np.full(n, -1)
    division = Division(space, 8, kept, order=order_of(space, order))
    found = _Predicted.of(division, power_law).divided()
    times, of_all = power_law(np.arange(n)), power_law(np.arange(n)).sum()
    shares = [np.asarray(found.indices(block)) for block in range(8)]
    assert np.array_equal(np.sort(np.concatenate(shares)), np.arange(n))
    longest = max(times[share].sum() for share in shares)
    assert longest <= 1.02 * max(of_all / 8, times.max())


def test_of_many_assignments_a_sample_is_predicted() -> None:
    n = 2**20 + 1
    found = _Predicted.of(Division(Param(x=range(n)), 8), power_law)
    assert len(found.times) < 300_000
    shares = [np.asarray(found.divided().indices(block)) for block in range(8)]
    assert sum(map(len, shares)) == n
    longest = max(power_law(share).sum() for share in shares)
    assert longest <= 1.01 * power_law(np.arange(n)).sum() / 8


def test_the_record_of_a_division_grows_with_jobs_only(tmp_path: Path) -> None:
    sizes = []
    for n in (10**4, 10**8):
        division = Division(Param(x=range(n)), 50)
        found = _Predicted.of(division, power_law).divided()
        assert found.shares is not None
        sizes.append(len(found.shares.blocks))
    assert sizes[0] == sizes[1] <= 10 * 50


@pytest.mark.slow
def test_a_damaged_record_of_blocks_is_made_anew(pilots: Callable[..., None]) -> None:
    pilots()
    task, division = divided_anew()
    assert step(task, "process", "0") == 0
    task.release()
    round_ = task.layout.round(2)
    before = DivisionCounts.load(round_)
    round_.division.write_text("damaged")
    assert main(["doctor", "--repair", "a"]) == 0
    assert DivisionCounts.load(round_) == before
    found = Division.load(round_)
    assert found.shares == division.shares is not None


@pytest.mark.slow
@pytest.mark.parametrize("n_done", [2, 4])
def test_without_the_frozen_space_no_row_is_lost(
    pilots: Callable[..., None], n_done: int
) -> None:
    pilots()
    task, division = divided_anew()
    for block in range(n_done):
        assert step(task, "process", str(block)) == 0
    task.release()
    for path in (task.layout.round(2).space, task.layout.round(1).space):
        path.write_bytes(b"damaged")
    calls = Path("calls").read_text().split()
    task = accept_plan(PATH)
    if task.decision.split:
        assert step(task, "split") == 0
    for block in task.decision.blocks:
        assert step(task, "process", str(block)) == 0
    assert step(task, "merge") == 0
    task.release()
    assert list(load("a")["y"]) == [f"{n}{s}" for n in N for s in S]
    again = len(Path("calls").read_text().split()) - len(calls)
    assert again == sum(len(division.indices(block)) for block in range(n_done, 4))
