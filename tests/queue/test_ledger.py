"""What is told of the jobs in a queue without asking it."""

from __future__ import annotations

from pathlib import Path

import pytest

from psyrun.queue.ledger import Batch, Intent, Ledger, QueueReport
from psyrun.scheduler import Cause, Ending
from psyrun.workdir.layout import TaskLayout

KILLED = Ending(Cause.MEMORY, "out of memory")


@pytest.fixture
def layout(tmp_path: Path) -> TaskLayout:
    return TaskLayout.of(tmp_path, "a")


def begin(layout: TaskLayout, n_jobs: int) -> Batch:
    names = tuple(f"a:process:{i}" for i in range(n_jobs))
    return Ledger(layout).begin(
        Intent("a:process", names, names, ("true",) * n_jobs, 1, "x:Y", {})
    )


def test_jobs_are_counted_by_their_traces(layout: TaskLayout) -> None:
    batch = begin(layout, 5)
    # The queue did not take the last one.
    batch.note_ids({i: str(i) for i in range(4)})
    batch.array.output(0).write_text("psyrun: start n1 1\n")
    batch.array.output(1).write_text("psyrun: start n1 1\npsyrun: exit 0 2\n")
    batch.note_ending(2, KILLED)
    report = QueueReport.of(layout)
    assert (report.n_queued, report.n_running, report.n_unsure) == (1, 1, 0)
    assert report.ended == (("a:process:2", KILLED),)
    assert report.text == "1 queued and 1 running jobs"


def test_jobs_whose_submission_was_cut_off_are_told(layout: TaskLayout) -> None:
    batch = begin(layout, 3)
    batch.array.output(0).write_text("psyrun: start n1 1\n")
    report = QueueReport.of(layout)
    assert (report.n_queued, report.n_running, report.n_unsure) == (0, 1, 2)
    assert report.text == "1 running and 2 perhaps queued jobs"


def test_of_jobs_for_the_same_files_the_last_counts(layout: TaskLayout) -> None:
    for _ in range(2):
        batch = begin(layout, 1)
        batch.note_ids({0: "1"})
        batch.note_ending(0, KILLED)
    assert len(QueueReport.of(layout).ended) == 1
    begin(layout, 1).note_ids({0: "3"})
    assert QueueReport.of(layout).ended == ()


def test_nothing_is_told_where_nothing_was_submitted(layout: TaskLayout) -> None:
    assert QueueReport.of(layout) == QueueReport()
    assert QueueReport().text == ""
