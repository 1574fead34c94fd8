"""The times of rows as intervals in which machines and workers were busy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.report.page.timeline import N_INTERVALS, Timeline, timeline_of
from psyrun.store.costs import RECORD, Costs

NOW = 1.7e9


def costs_of(
    starts: list[float], lengths: list[float], hosts: list[int] | None = None
) -> Costs:
    records = np.zeros(len(starts), RECORD)
    records["start"], records["duration"] = starts, lengths
    records["host"] = 1 if hosts is None else hosts
    names = tuple(f"n{i}" if i else "" for i in range(int(records["host"].max()) + 1))
    return Costs.of_records(records, names)


def timeline(
    starts: list[float], lengths: list[float], hosts: list[int] | None = None
) -> Timeline:
    found = timeline_of(costs_of(starts, lengths, hosts))
    assert found is not None
    return found


ROWS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 100), st.integers(0, 3)),
    min_size=1,
    max_size=60,
)


@given(ROWS)
def test_workers_are_as_many_as_are_busy_at_once(rows: list[tuple[int, int, int]]):
    starts, lengths, hosts = (list(column) for column in zip(*rows, strict=True))
    found = timeline([NOW + start for start in starts], lengths, hosts)
    for host in set(hosts):
        own = [row for row in rows if row[2] == host]
        at_once = max(
            sum(start <= at < start + length for start, length, _ in own)
            for at, _, _ in own
        )
        lanes = [
            lane for lane in found.lanes if lane.machine == (f"n{host}" * (host > 0))
        ]
        assert [lane.worker for lane in lanes] == list(range(1, at_once + 1))
        assert sum(lane.n_rows for lane in lanes) == len(own)


@given(ROWS)
def test_busy_shares_add_up_to_the_times_of_rows(rows: list[tuple[int, int, int]]):
    starts, lengths, hosts = (list(column) for column in zip(*rows, strict=True))
    found = timeline([NOW + start for start in starts], lengths, hosts)
    assert sum(lane.seconds for lane in found.lanes) == pytest.approx(sum(lengths))
    for lane in found.lanes:
        assert (lane.busy >= 0).all() and (lane.busy <= 1).all()
        seconds = lane.busy.sum() * found.step * lane.n_workers
        assert seconds == pytest.approx(lane.seconds, rel=1e-3)


def test_one_worker_after_the_other_is_one_worker() -> None:
    # Durations are rounded to 24 bits, here up, so that rows seem to overlap.
    length = float(np.nextafter(np.float32(1234.567), np.float32(np.inf)))
    starts = NOW + 1234.567 * np.arange(50)
    found = timeline(starts.tolist(), [length] * 50)
    assert [lane.n_rows for lane in found.lanes] == [50]
    assert found.lanes[0].busy[:-1] == pytest.approx(1, abs=1e-3)


def test_long_times_without_rows_are_left_out() -> None:
    hour = 3600.0
    starts = [NOW + i for i in range(100)] + [NOW + 30 * hour + i for i in range(100)]
    found = timeline(starts, [1.0] * 200)
    assert len(found.begins) == pytest.approx(N_INTERVALS, abs=2)
    assert found.step == pytest.approx(200 / N_INTERVALS)
    steps = np.diff(found.begins)
    (gaps,) = np.nonzero(steps > 1.5 * found.step)
    assert len(gaps) == 1
    assert found.begins[gaps[0] + 1] == NOW + 30 * hour


def test_short_times_without_rows_are_there() -> None:
    found = timeline([NOW, NOW + 50], [0.1, 0.1])
    assert np.diff(found.begins) == pytest.approx(found.step, abs=1e-6)
    assert found.begins[-1] > NOW + 49


def test_many_workers_are_told_by_machine() -> None:
    hosts = np.repeat(np.arange(1, 131), 4).tolist()
    lengths = [float(host) for host in hosts]
    found = timeline([NOW] * len(hosts), lengths, hosts)
    assert [lane.machine for lane in found.lanes] == [f"n{i}" for i in range(31, 131)]
    assert {(lane.worker, lane.n_workers) for lane in found.lanes} == {(0, 4)}
    assert found.n_hidden == 30
    assert found.lanes[-1].busy == pytest.approx(1)


def test_the_rate_is_that_of_late() -> None:
    starts = [NOW + i for i in range(100)] + [NOW + 9000 + 2 * i for i in range(100)]
    found = timeline(starts, [1.0] * 200)
    assert found.rate(NOW + 9199) == pytest.approx(0.5)
    # It goes down while nothing ends.
    assert found.rate(NOW + 9001 + 4 * 198) == pytest.approx(0.125)
    assert timeline([NOW, NOW + 1], [1.0, 1.0]).rate(NOW + 9) is None


def test_rows_of_unknown_times_are_counted() -> None:
    found = timeline([NOW, np.nan, 0.0, NOW], [1.0, 1.0, 1.0, np.nan])
    assert found.n_unknown == 3
    assert timeline_of(Costs.unknown(5)) is None
    assert timeline_of(Costs.unknown(0)) is None


@given(ROWS, ROWS)
def test_what_failed_is_told_apart_from_rows(
    rows: list[tuple[int, int, int]], failed: list[tuple[int, int, int]]
) -> None:
    def part(of: list[tuple[int, int, int]]) -> Costs:
        starts, lengths, hosts = (list(column) for column in zip(*of, strict=True))
        return costs_of([NOW + start for start in starts], lengths, hosts)

    # In one order or the other, they take the same workers the same time.
    found = timeline_of(part(rows), part(failed))
    other = timeline_of(part(failed), part(rows))
    assert found is not None and other is not None
    assert sum(lane.n_rows for lane in found.lanes) == len(rows)
    assert sum(lane.n_failed for lane in found.lanes) == len(failed)
    in_vain = sum(length for _, length, _ in failed)
    assert sum(lane.failed_seconds for lane in found.lanes) == pytest.approx(in_vain)
    n_of = sorted((lane.machine, lane.worker) for lane in found.lanes)
    assert n_of == sorted((lane.machine, lane.worker) for lane in other.lanes)
    for lane in found.lanes:
        assert (lane.failed <= lane.busy + 1e-9).all()
        seconds = lane.failed.sum() * found.step * lane.n_workers
        assert seconds == pytest.approx(lane.failed_seconds, rel=1e-3)
        assert lane.failed_seconds <= lane.seconds * (1 + 1e-9)


def test_all_may_have_failed_and_of_some_the_time_is_unknown() -> None:
    failed = costs_of([NOW, np.nan, NOW + 3], [1.0, 1.0, 2.0])
    found = timeline_of(Costs.unknown(4), failed)
    assert found is not None
    assert (found.n_unknown, found.n_failed_unknown) == (4, 1)
    assert [(lane.n_rows, lane.n_failed) for lane in found.lanes] == [(0, 2)]
    assert found.lanes[0].failed == pytest.approx(found.lanes[0].busy)
    assert [lane.failed_seconds for lane in found.lanes] == [3.0]


def test_failures_are_part_of_the_rate() -> None:
    rows = costs_of([NOW + 2 * i for i in range(100)], [1.0] * 100)
    failed = costs_of([NOW + 2 * i + 1 for i in range(100)], [1.0] * 100)
    found = timeline_of(rows, failed)
    assert found is not None and found.rate(NOW + 200) == pytest.approx(1.0)


def test_a_million_rows_are_as_many_intervals() -> None:
    rng = np.random.default_rng(0)
    starts = (NOW + np.sort(rng.random(1_000_000)) * 86400).tolist()
    found = timeline(starts, [20.0] * 1_000_000, rng.integers(1, 9, 1_000_000).tolist())
    assert len(found.lanes) == 8
    assert len(found.begins) == pytest.approx(N_INTERVALS, abs=2)
    n_workers = sum(lane.n_workers for lane in found.lanes)
    busy = sum(lane.busy[120] * lane.n_workers for lane in found.lanes)
    assert n_workers > busy == pytest.approx(20e6 / 86400, rel=0.1)
