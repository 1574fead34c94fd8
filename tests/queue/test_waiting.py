"""What a queue says about jobs that wait is kept, and told in words."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from psyrun.queue.ledger import Batch, Intent, Ledger, QueueReport
from psyrun.queue.waiting import WaitingReport, ask, forget, waiting_of
from psyrun.scheduler import Waiting
from psyrun.workdir.layout import TaskLayout

NOON = time.mktime(time.strptime("2026-03-02 12:00", "%Y-%m-%d %H:%M"))
LATER = NOON + 2 * 3600 + 20 * 60
BUSY, OTHERS = "Resources: enough machines", "Priority: others come first"


@pytest.fixture
def layout(tmp_path: Path) -> TaskLayout:
    return TaskLayout.of(tmp_path, "a")


def submitted(layout: TaskLayout, scheduler: str, n_jobs: int = 3) -> Batch:
    names = tuple(f"a:process:{i}" for i in range(n_jobs))
    batch = Ledger(layout).begin(
        Intent("a:process", names, names, ("true",) * n_jobs, 1, scheduler, {})
    )
    batch.note_ids({i: f"7_{i}" for i in range(n_jobs)})
    return batch


def told(*waiting: Waiting) -> str:
    return WaitingReport.of(waiting, NOON).text(NOON)


def test_one_job_has_its_reason_and_its_start() -> None:
    assert told(Waiting(BUSY)) == BUSY
    assert told(Waiting(BUSY, LATER)) == f"{BUSY}; starts at about 14:20"


def test_of_several_jobs_the_first_start_is_told() -> None:
    shown = told(Waiting(OTHERS, LATER + 600), Waiting(OTHERS, LATER), Waiting(OTHERS))
    assert shown == f"{OTHERS}; the first starts at about 14:20"


def test_each_reason_has_its_number_of_jobs() -> None:
    shown = told(Waiting(OTHERS), Waiting(BUSY), Waiting(OTHERS))
    assert shown == f"2 jobs: {OTHERS}; 1 job: {BUSY}"
    shown = told(*(Waiting(f"reason {i}") for i in range(4)))
    assert shown == "1 job: reason 0; 1 job: reason 1; 2 more reasons"


def test_a_start_that_has_passed_is_not_told() -> None:
    assert told(Waiting(BUSY, NOON - 1)) == BUSY


def test_nothing_is_told_where_the_queue_says_nothing() -> None:
    assert told() == ""
    assert told(Waiting("")) == ""


def test_what_was_said_lately_is_known(layout: TaskLayout) -> None:
    report = WaitingReport.of([Waiting(OTHERS, LATER), Waiting(BUSY)])
    report.save(layout)
    assert WaitingReport.load(layout) == report
    WaitingReport(time.time() - 3600, {BUSY: 1}).save(layout)
    assert WaitingReport.load(layout) is None
    forget(layout)
    assert not layout.waiting.exists()
    forget(layout)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"asked": "now"}', "\0"])
def test_a_damaged_file_tells_nothing(layout: TaskLayout, text: str) -> None:
    layout.folder.mkdir()
    layout.waiting.write_text(text)
    assert WaitingReport.load(layout) is None


def test_it_is_told_only_as_long_as_jobs_wait(layout: TaskLayout) -> None:
    WaitingReport.of([Waiting(BUSY)]).save(layout)
    assert waiting_of(layout, QueueReport(n_queued=1)) is not None
    assert waiting_of(layout, QueueReport(n_running=1)) is None


SQUEUE = """\
#!/bin/sh
echo "$@" >> {log}
echo '7_[1-2]|PD|Priority|2099-01-01T00:00:00'
echo '8|PD|Resources|N/A'
"""


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a squeue on the PATH; return where it writes down its calls."""
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    (folder / "squeue").write_text(SQUEUE.format(log=log))
    (folder / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


def test_a_queue_is_asked_with_one_question(layout: TaskLayout, squeue: Path) -> None:
    batch = submitted(layout, "psyrun.scheduler.slurm:Slurm")
    batch.array.output(0).write_text("psyrun: start n1 1\n")
    found = ask(layout)
    assert found is not None
    assert found.reasons == {"Priority: others come first": 2}
    assert len(found.starts) == 1
    assert len(squeue.read_text().splitlines()) == 1


def test_a_queue_is_not_asked_where_no_job_waits(
    layout: TaskLayout, squeue: Path
) -> None:
    assert ask(layout) is None
    batch = submitted(layout, "psyrun.scheduler.slurm:Slurm", 1)
    batch.array.output(0).write_text("psyrun: start n1 1\n")
    assert ask(layout) is None
    assert not squeue.exists()


def test_a_queue_that_does_not_answer_tells_nothing(
    layout: TaskLayout, squeue: Path, tmp_path: Path
) -> None:
    submitted(layout, "psyrun.scheduler.slurm:Slurm")
    (tmp_path / "bin/squeue").write_text("#!/bin/sh\nexit 1\n")
    assert ask(layout) is None


def test_no_scheduler_of_the_project_is_imported(layout: TaskLayout) -> None:
    submitted(layout, "mine:Queue")
    assert ask(layout) is None
