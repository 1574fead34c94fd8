"""What is known of costs, without a task."""

import numpy as np

from psyrun import Param
from psyrun.estimate import FAILED, OK, Estimate, Evaluated, NoEstimate
from psyrun.planning.pilots import KnownCosts

SPACE = Param(n=range(1, 101))


def known(*rows: int, failed: int | None = None) -> KnownCosts:
    """Return costs that are proportional to n, of which one may have failed."""
    seconds = [1.0 + row for row in rows]
    outcomes = [FAILED if row == failed else OK for row in rows]
    causes = {} if failed is None else {failed: "as asked"}
    return KnownCosts(SPACE, Evaluated.of(rows, seconds, None, outcomes), causes)


EVEN = known(0, 9, 24, 49, 74, 99)


def test_costs_that_follow_the_parameters_are_sure_soon() -> None:
    assert EVEN.is_sure
    assert not known(3, 4).is_sure


def test_nothing_is_sure_before_something_succeeds() -> None:
    assert not KnownCosts(SPACE).is_sure
    assert isinstance(known(3, failed=3).estimate, NoEstimate)


def test_all_is_sure_when_all_is_known() -> None:
    assert KnownCosts(Param(n=[1, 2]), Evaluated.of([0, 1], [1, 1000])).is_sure


def test_what_was_tried_without_telling_anything_is_not_tried_again() -> None:
    first = KnownCosts(SPACE).next(4)
    again = KnownCosts(SPACE).next(4, first.tolist())
    assert len(first) == len(again) == 4
    assert not set(first.tolist()).intersection(again.tolist())
    # A row that there is now is no reason to leave others out.
    assert len(EVEN.next(90, [0, 9])) == 90


def test_failures_of_before_stay_until_there_is_a_row() -> None:
    before = known(3, 5, failed=5)
    now = known(3, 8).with_failures(before)
    assert now.evaluated.rows.tolist() == [3, 5, 8]
    assert now.evaluated.outcomes.tolist() == [OK, FAILED, OK]
    assert isinstance(now.estimate, Estimate)
    assert [each.index for each in now.estimate.failures] == [5]
    assert now.causes == {5: "as asked"}
    later = known(3, 5, 8).with_failures(now)
    assert later.evaluated.outcomes.tolist() == [OK, OK, OK]


def test_failures_are_forgotten_where_they_may_be_tried_again() -> None:
    assert known(3, 5, failed=5).with_success.evaluated.rows.tolist() == [3]


def test_only_what_fits_into_the_time_is_begun() -> None:
    rows = np.array([95, 10, 20, 5])
    one_by_one = EVEN.that_fit(rows, 40, at_once=1)
    assert one_by_one.tolist() == [10, 20, 5]
    assert EVEN.that_fit(rows, 20, at_once=1).tolist() == [10, 5]
    assert EVEN.that_fit(rows, 30, at_once=2).tolist() == [10, 20, 5]
    assert EVEN.that_fit(rows, 30, at_once=None).tolist() == [10, 20, 5]
    assert EVEN.that_fit(rows, 1, at_once=None).tolist() == []
    # Nothing is known.
    assert KnownCosts(SPACE).that_fit(rows, 1, at_once=1).tolist() == rows.tolist()
