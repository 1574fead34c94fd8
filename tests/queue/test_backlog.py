"""Driving a queue that takes only so many jobs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from psyrun.queue.asking import Reminder
from psyrun.queue.backlog import QueueCapacity


@dataclass
class Full:
    """A queue that takes a whole array or nothing, and what is asked of it."""

    limit: int
    n_waiting: int
    now: float = 0.0
    n_alive: int = 0
    n_calls: int = 0
    n_refused: int = 0
    n_told: int = 0
    capacity: QueueCapacity = field(init=False)
    reminder: Reminder = field(init=False)

    def __post_init__(self) -> None:
        self.capacity = QueueCapacity(lambda: self.now)
        self.reminder = Reminder(lambda: self.now)

    def submit(self) -> None:
        while self.n_waiting and self.capacity.has_room:
            size = min(self.n_waiting, self.capacity.limit or self.n_waiting)
            self.n_calls += 1
            if self.n_alive + size <= self.limit:
                self.n_alive += size
                self.n_waiting -= size
                self.capacity.accepted(size)
                continue
            self.n_refused += 1
            self.capacity.refused(size)
            if not self.capacity.has_room:
                idle = self.n_alive == 0
                self.n_told += self.reminder.is_due("full", repeats=idle)

    def end(self, n_jobs: int) -> None:
        n_jobs = min(n_jobs, self.n_alive)
        self.n_alive -= n_jobs
        self.capacity.ended(n_jobs)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("limit", [1, 7, 100, 1500])
def test_as_many_jobs_are_submitted_as_end(limit: int) -> None:
    queue = Full(limit, n_waiting=2000)
    n_looks = 0
    while queue.n_waiting or queue.n_alive:
        queue.submit()
        if queue.n_waiting:
            assert queue.n_alive == limit
        queue.pass_time(10)
        queue.end(3)
        n_looks += 1
    # A call for each look at which jobs had ended, a search, and a try each minute.
    assert queue.n_calls <= 2 * n_looks + 50
    assert queue.n_refused <= n_looks * 10 / 60 + 40


def test_more_room_is_noticed() -> None:
    queue = Full(10, n_waiting=2000)
    queue.submit()
    assert queue.n_alive == 10
    queue.limit = 5000
    for _ in range(20):
        queue.pass_time(10)
        queue.submit()
    assert queue.n_alive == 2000


def test_it_is_told_once_while_jobs_run_and_again_while_none_does() -> None:
    queue = Full(5, n_waiting=100)
    for _ in range(1000):
        queue.submit()
        queue.pass_time(10)
    assert queue.n_told == 1
    nothing = Full(0, n_waiting=10)
    for _ in range(360):
        nothing.submit()
        nothing.pass_time(10)
    assert 5 <= nothing.n_told <= 7
    assert nothing.n_calls <= 80
