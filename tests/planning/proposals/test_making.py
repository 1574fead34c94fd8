"""What a sweep will cost, from an estimate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from psyrun.backend import LoadBalancingBackend
from psyrun.estimate import Range
from psyrun.planning.proposals import proposal_of
from psyrun.scheduler.limits import Limits

from .conftest import cost


def holds(found: Range, truth: float) -> bool:
    return found.low <= truth <= found.high


def test_core_hours_are_those_of_what_is_left_and_of_starting_jobs(space, queued):
    estimate, situation = queued(overhead=36.0)
    left = sum(cost(point)[0] for point in space) - situation.spent
    found = proposal_of(estimate, situation).core_hours
    assert holds(found, left / 3600 + 100 * 36 / 3600)
    assert found.value == pytest.approx(left / 3600 + 1, rel=0.15)


def test_cores_that_jobs_reserve_count(queued):
    one = proposal_of(*queued(overhead=0.0)).core_hours
    many = proposal_of(*queued({"n_cpus": 4}, overhead=0.0)).core_hours
    assert many.value == pytest.approx(4 * one.value)


def test_the_price_is_that_of_core_hours(queued):
    found = proposal_of(*queued(rate=0.5))
    assert found.price == Range(
        *(
            0.5 * e
            for e in (
                found.core_hours.value,
                found.core_hours.low,
                found.core_hours.high,
            )
        )
    )
    assert proposal_of(*queued()).price is None


def test_more_jobs_are_faster_until_the_slowest_assignment(space, queued):
    estimate, situation = queued(overhead=1.0)
    walls = proposal_of(estimate, situation).walls
    assert [wall.n_jobs for wall in walls] == [1, 10, 61, 100, 184]
    assert [wall.n_jobs for wall in walls if wall.is_current] == [100]
    times = [wall.wall.value for wall in walls]
    assert times == sorted(times, reverse=True)
    slowest = max(cost(point)[0] for point in space)
    assert walls[-1].wall.value == pytest.approx(slowest + 1.0, rel=0.25)
    assert walls[0].wall.value == pytest.approx(10 * (walls[1].wall.value - 1), rel=0.1)


def test_on_this_machine_cores_are_what_counts(sweep):
    estimate, situation = sweep(cores=2, limits=Limits(cores=6), overhead=0.0)
    walls = proposal_of(estimate, situation).walls
    assert [wall.cores for wall in walls] == [1, 2, 4, 6]
    assert [wall.is_current for wall in walls] == [False, True, False, False]
    assert walls[1].wall.value == pytest.approx(walls[0].wall.value / 2, rel=0.05)


def test_workers_share_the_time_of_a_job(queued):
    one = proposal_of(*queued(max_jobs=10, overhead=0.0)).walls[1]
    four = proposal_of(*queued(max_jobs=10, overhead=0.0, pool_size=4)).walls[1]
    assert four.cores == 40
    # As one assignment takes a large part of a job, they do not reach a quarter.
    assert one.wall.value / 4 <= four.wall.value < one.wall.value


def test_jobs_that_fetch_are_equally_long(queued):
    known = {"max_jobs": 10, "overhead": 0.0}
    estimate, situation = queued(backend=LoadBalancingBackend(), **known)
    found = proposal_of(estimate, situation)
    wall = next(wall for wall in found.walls if wall.n_jobs == 10)
    total = estimate.time.means(np.arange(200)).sum() * 184 / 200
    assert wall.wall.value == pytest.approx(total / 10, rel=0.05)
    assert "min_items" not in [setting.name for setting in found.settings]


def test_a_timeout_bounds_the_slowest_assignment(queued):
    estimate, situation = queued(timeout=20.0, max_jobs=None, overhead=0.0)
    found = proposal_of(estimate, situation)
    assert found.walls[-1].wall.high == 20.0


@pytest.mark.parametrize("order", ["even", "random"])
def test_the_order_of_evaluation_divides_otherwise(queued, order):
    plain = proposal_of(*queued(max_jobs=7)).walls
    other = proposal_of(*queued(max_jobs=7, order=order)).walls
    assert [wall.n_jobs for wall in other] == [wall.n_jobs for wall in plain]
    assert other[0].wall.value == pytest.approx(plain[0].wall.value, rel=0.05)


def test_assignments_that_are_left_are_those_that_count(space, queued):
    left = np.flatnonzero([point["n"] < 100 for point in space])
    estimate, situation = queued(left=left, n_left=len(left), overhead=0.0)
    found = proposal_of(estimate, situation)
    truth = sum(cost(space[int(row)])[0] for row in left)
    assert found.core_hours.value == pytest.approx(truth / 3600, rel=0.25)
    assert found.walls[-1].longest_job.value < 10


def test_nothing_left_costs_nothing(queued):
    found = proposal_of(*queued(n_left=0, left=np.empty(0, np.int64)))
    assert (found.core_hours.value, found.walls) == (0.0, ())
    assert [s.name for s in found.changes] == []


def test_an_unbounded_assignment_leaves_the_run_unbounded(queued):
    estimate, situation = queued()
    largest = estimate.time.largest
    cost = replace(largest.cost, high=float("inf"))
    time = replace(estimate.time, largest=replace(largest, cost=cost))
    found = proposal_of(replace(estimate, time=time), situation)
    assert found.walls[0].wall.high == float("inf")
    text = next(s for s in found.settings if s.key == "timelimit")
    assert "no bound is known" in text.reason


def test_memory_is_told_by_region(queued):
    memory = proposal_of(*queued()).memory
    assert memory is not None
    where = ["n = 16 to 64", "n = 256", "n = 1024"]
    assert [each.where for each in memory.regions] == where
    shares = [each.share for each in memory.regions]
    assert shares == pytest.approx([0.5, 0.25, 0.25], rel=0.1)
    assert memory.regions[-1].memory == pytest.approx(1e8 + 2e3 * 1024**2, rel=0.1)
    assert memory.regions[0].memory == pytest.approx(1.08e8, rel=0.1)
    assert memory.job.value == pytest.approx(2 * 1e8 + 2e3 * 1024**2, rel=0.05)


def test_large_spaces_are_sampled(queued):
    from psyrun import Param
    from psyrun.estimate import Evaluated, estimate, first_pilots

    space = Param(a=range(3000)) * Param(b=range(1, 3001))
    rows = first_pilots(space, 12)
    seconds = np.array([1e-3 * space[i]["b"] for i in rows.tolist()])
    _, situation = queued(overhead=0.0)
    left = replace(situation, space=space, n_left=len(space) - 12, max_jobs=300)
    found = proposal_of(estimate(space, Evaluated.of(rows, seconds)), left)
    truth = 1e-3 * 3000 * 3001 / 2 * 3000
    assert found.core_hours.value == pytest.approx(truth / 3600, rel=0.05)
    wall = next(wall for wall in found.walls if wall.is_current)
    assert wall.wall.value == pytest.approx(truth / 300, rel=0.1)


def test_disk_is_that_of_all_rows(queued):
    assert proposal_of(*queued(row_bytes=50.0)).disk == 50 * 200
    assert proposal_of(*queued()).disk is None


def test_jobs_of_equal_numbers_are_less_even(queued):
    known = {"max_jobs": 10, "overhead": 0.0}
    even = proposal_of(*queued(**known)).walls[1]
    equal = proposal_of(*queued(predict_times=False, **known)).walls[1]
    assert even.n_jobs == equal.n_jobs == 10
    assert 2 * even.longest_job.value < equal.longest_job.value


def test_very_many_jobs_have_an_assignment_each(queued):
    from psyrun import Param
    from psyrun.estimate import Evaluated, estimate, first_pilots

    space = Param(a=range(3000)) * Param(b=range(1, 3001))
    rows = first_pilots(space, 12)
    seconds = np.array([1e-2 * space[i]["b"] for i in rows.tolist()])
    found = estimate(space, Evaluated.of(rows, seconds))
    _, situation = queued(overhead=0.0, max_jobs=None)
    here = replace(situation, space=space, n_left=len(space), cores=4)
    assert proposal_of(found, replace(here, cores=None)).walls[-1].wall.value < 35
    wall = proposal_of(found, here).walls[-1].wall
    assert wall.value == pytest.approx(1e-2 * 1500.5 * 9e6 / 4, rel=0.05)


def test_more_workers_than_cores_are_no_faster(sweep) -> None:
    few, many = (
        proposal_of(*sweep(max_jobs=1, pool_size=n, cores=2, overhead=0.0))
        for n in (2, 8)
    )
    assert many.walls[0].cores == few.walls[-1].cores == 2
    assert many.walls[0].wall.value == pytest.approx(few.walls[-1].wall.value)
    reason = next(s.reason for s in many.settings if s.name == "pool_size")
    assert reason == "no more than 2 cores at once"
