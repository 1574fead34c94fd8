"""When jobs end, from what their assignments are predicted to take."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.estimate import (
    Estimate,
    Evaluated,
    OpenBlock,
    OpenWork,
    Prediction,
    Range,
    estimate,
    seconds_left,
)

SPACE = Param(n=range(1, 101))


def true_seconds(rows: np.ndarray) -> np.ndarray:
    return 0.01 * (rows + 1.0) ** 2


def known(rows: object, noise: float = 0.0) -> tuple[Prediction, Evaluated]:
    """Return what is predicted after some rows were evaluated."""
    where = np.asarray(rows, np.int64)
    noises = np.exp(noise * np.random.default_rng(1).standard_normal(len(where)))
    evaluated = Evaluated.of(where, true_seconds(where) * noises)
    found = estimate(SPACE, evaluated)
    assert isinstance(found, Estimate)
    return found.time, evaluated


def block(
    waiting: object,
    begun: object = (),
    elapsed: object = (),
    n_workers: int = 1,
    is_running: bool = True,
) -> OpenBlock:
    return OpenBlock(
        np.asarray(waiting, np.int64),
        np.asarray(begun, np.int64),
        np.asarray(elapsed, np.float64),
        n_workers,
        is_running,
    )


def ahead(rows: object) -> OpenBlock:
    return block(rows, is_running=False)


def left(work: OpenWork, rows: object = range(0, 100, 5)) -> Range:
    found = seconds_left(work, *known(rows))
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high
    return found


def test_the_model_knows_that_what_is_left_is_slow() -> None:
    """After the fast half, a rate would promise a fifth of the time."""
    done, rest = np.arange(50), np.arange(50, 100)
    found = left(OpenWork([block(rest)], 1), done)
    truth = float(true_seconds(rest).sum())
    assert found.value == pytest.approx(truth, rel=0.1)
    assert found.low <= truth <= found.high


def test_the_longest_job_counts() -> None:
    work = OpenWork([block([0, 1, 2]), block([97, 98, 99])], 2)
    truth = float(true_seconds(np.arange(97, 100)).sum())
    assert left(work).value == pytest.approx(truth, rel=0.1)


def test_jobs_wait_for_a_free_place() -> None:
    blocks = [block([99]), ahead([98]), ahead([97])]
    one, two, three = (left(OpenWork(blocks, n)).value for n in (1, 2, 3))
    seconds = true_seconds(np.array([97, 98, 99]))
    assert one == pytest.approx(seconds.sum(), rel=0.1)
    assert two == pytest.approx(seconds[:2].sum(), rel=0.1)
    assert three == pytest.approx(seconds.max(), rel=0.1)


def test_jobs_of_a_queue_may_start_at_once() -> None:
    work = OpenWork([block([99]), ahead([98]), ahead([97])], 1, most_at_once=3)
    found = left(work)
    seconds = true_seconds(np.array([97, 98, 99]))
    assert found.value == pytest.approx(seconds.sum(), rel=0.1)
    assert found.low == pytest.approx(seconds.max(), rel=0.15)


def test_what_the_queue_says_of_starts_is_heeded() -> None:
    found = left(OpenWork([ahead([99])], 0, starts=(3600.0,)))
    assert found.value == pytest.approx(3600 + true_seconds(np.array([99]))[0], rel=0.1)
    assert found.low > 3600


def test_where_no_job_has_begun_nothing_is_known() -> None:
    assert seconds_left(OpenWork([ahead([99])], 0), *known(range(0, 100, 5))) is None


def test_where_nothing_is_left_nothing_is_said() -> None:
    assert seconds_left(OpenWork([], 1), *known(range(0, 100, 5))) is None


def test_workers_share_the_work_of_their_job() -> None:
    rows = np.arange(0, 100, 2)
    alone = left(OpenWork([block(rows)], 1)).value
    shared = left(OpenWork([block(rows, n_workers=4)], 1)).value
    assert alone / 4 < shared < 1.1 * (alone / 4 + true_seconds(rows).mean())


def test_one_assignment_is_not_shared() -> None:
    alone = left(OpenWork([block([99])], 1)).value
    assert left(OpenWork([block([99], n_workers=8)], 1)).value == alone


def test_the_slowest_assignment_cannot_be_shared() -> None:
    rows = [*range(20), 99]
    found = left(OpenWork([block(rows, n_workers=20)], 1))
    assert found.value >= 0.95 * true_seconds(np.array([99]))[0]


def test_what_has_begun_counts() -> None:
    whole = float(true_seconds(np.array([99]))[0])
    found = left(OpenWork([block([], [99], [0.75 * whole])], 1))
    assert found.value == pytest.approx(0.25 * whole, rel=0.3)


def test_what_is_late_goes_on_for_a_bit() -> None:
    found = left(OpenWork([block([], [0], [1000.0])], 1))
    assert found.value == pytest.approx(100.0)


def test_time_beside_evaluations_counts() -> None:
    blocks = [block(np.arange(50, 100))]
    ideal = left(OpenWork(blocks, 1)).value
    assert left(OpenWork(blocks, 1, efficiency=0.5)).value == pytest.approx(2 * ideal)


def test_few_known_ones_leave_the_end_open() -> None:
    found = left(OpenWork([block(range(50, 100))], 1), [3, 50])
    assert math.isinf(found.high)


def test_costs_without_a_pattern_have_their_mean() -> None:
    rng = np.random.default_rng(0)
    rows = np.arange(60)
    evaluated = Evaluated.of(rows, rng.lognormal(0.0, 2.0, len(rows)))
    found = estimate(SPACE, evaluated)
    assert isinstance(found, Estimate)
    assert not found.time.fits
    work = OpenWork([block(range(60, 100))], 1)
    left = seconds_left(work, found.time, evaluated)
    assert left is not None
    assert left.value == pytest.approx(40 * evaluated.seconds.mean(), rel=0.5)
    assert left.high > 1.3 * left.value


def test_the_interval_holds_the_truth_mostly() -> None:
    """Of ends that were simulated, with noise and as jobs are given out."""
    rng, n_held, n_tries = np.random.default_rng(3), 0, 40
    for _ in range(n_tries):
        seconds = true_seconds(np.arange(100)) * np.exp(0.3 * rng.standard_normal(100))
        done = rng.choice(100, 30, replace=False)
        evaluated = Evaluated.of(np.sort(done), seconds[np.sort(done)])
        found = estimate(SPACE, evaluated)
        assert isinstance(found, Estimate)
        rest = np.array_split(np.setdiff1d(np.arange(100), done), 7)
        blocks = [block(r, is_running=i < 3) for i, r in enumerate(rest)]
        left = seconds_left(OpenWork(blocks, 3), found.time, evaluated)
        assert left is not None
        places = [float(seconds[r].sum()) for r in rest[:3]]
        for r in rest[3:]:
            places[int(np.argmin(places))] += float(seconds[r].sum())
        n_held += left.low <= max(places) <= left.high
    assert n_held >= 0.8 * n_tries


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 20), min_size=1, max_size=12),
    n_running=st.integers(0, 5),
    n_at_once=st.integers(1, 5),
    n_workers=st.integers(1, 4),
)
def test_more_places_never_take_much_longer(
    sizes: list[int], n_running: int, n_at_once: int, n_workers: int
) -> None:
    rows = np.arange(100)
    starts = np.cumsum([0, *sizes]) % 80
    blocks = [
        block(rows[s : s + n], n_workers=n_workers, is_running=i < n_running)
        for i, (s, n) in enumerate(zip(starts, sizes, strict=False))
    ]
    fewer = left(OpenWork(blocks, n_at_once))
    more = left(OpenWork(blocks, n_at_once + 1))
    assert more.value <= 2 * fewer.value + 1e-9
    longest = max(true_seconds(b.waiting).sum() / n_workers for b in blocks)
    assert fewer.high >= 0.9 * longest
