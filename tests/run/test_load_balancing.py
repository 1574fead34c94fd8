"""Uneven assignments: workers fetch what is left, so that all end together."""

import heapq
import math
from pathlib import Path
from random import Random

import pytest
from projects import Project

from psyrun.steps.work_queue import CLAIM_FRACTION, shrinking_ranges

UNEVEN = """\
import os
import time

from psyrun import Param
from psyrun.backend import LoadBalancingBackend

pspace = Param(x=range(100))
backend = LoadBalancingBackend
max_jobs = 3
pool_size = 2
exclude_from_result = ["number"]


def setup(proc_id):
    return {"number": proc_id}


def execute(x, number):
    time.sleep(0.5 if x == 0 else 0.005)
    return {"worker": os.getpid(), "proc_id": number, "number": number}
"""


@pytest.fixture
def uneven(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write(UNEVEN)
    return project


def test_rows_stand_in_the_order_of_the_space(uneven) -> None:
    uneven.psy("run", "-j", "6")
    assert uneven.result()["x"] == list(range(100))


def test_a_worker_with_a_long_assignment_gets_few_others(uneven) -> None:
    uneven.psy("run", "-j", "6")
    workers = uneven.result()["worker"]
    assert workers.count(workers[0]) < 100 / 6


def test_each_process_of_a_job_is_numbered_from_0(uneven) -> None:
    uneven.psy("run", "-j", "6")
    result = uneven.result()
    numbers = set(zip(result["worker"], result["proc_id"], strict=True))
    assert sorted(number for _, number in numbers) == [0, 0, 0, 1, 1, 1]
    assert list(result) == ["x", "worker", "proc_id"]


def test_few_claims_are_made(uneven) -> None:
    # A failure keeps the round from being merged, which would remove its claims.
    uneven.edit("pspace = Param(x=range(100))", "pspace = Param(x=range(10_000))")
    uneven.edit("time.sleep(0.5 if x == 0 else 0.005)", "assert x != 9_999")
    uneven.psy("run", "-j", "6", status=1)
    claims = list(uneven.work().glob("round-*/claims/*"))
    assert 6 < len(claims) < CLAIM_FRACTION * 6 * math.log(10_000)


def makespan(durations: list[float], ranges: list[range], n_workers: int) -> float:
    """Return when the last worker ends, if each takes the next range at once."""
    ends = [0.0] * n_workers
    for taken in ranges:
        heapq.heapreplace(ends, ends[0] + sum(durations[i] for i in taken))
    return max(ends)


@pytest.mark.parametrize("n_workers", [2, 4, 8, 16])
@pytest.mark.parametrize("seed", range(5))
def test_shares_end_within_5_percent_of_single_assignments(n_workers, seed) -> None:
    random = Random(seed)
    durations = [random.paretovariate(1.5) for _ in range(2000)]
    ranges = list(shrinking_ranges(2000, n_workers, CLAIM_FRACTION))
    single = [range(i, i + 1) for i in range(2000)]
    ideal = makespan(durations, single, n_workers)
    assert makespan(durations, ranges, n_workers) <= 1.05 * ideal
