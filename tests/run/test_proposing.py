"""What is known of a task beside its costs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psyrun import Slurm
from psyrun.estimate import Estimate, Evaluated
from psyrun.planning.pilots import KnownCosts
from psyrun.planning.prepare import PlanOptions, load_tasks
from psyrun.planning.proposals import Proposal
from psyrun.run import proposing
from psyrun.run.proposing import propose
from psyrun.store import PickleStore
from psyrun.utils.console import warn

TASK = """\
from psyrun import Param, Slurm

pspace = Param(n=range(1, 101))
max_jobs = 5
pool_size = 2
"""
EXECUTE = "\n\ndef execute(n):\n    return {'y': n}\n"
ROWS = [0, 9, 24, 49, 74, 99]


@pytest.fixture
def proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what is proposed for a task whose assignments take n seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # no queue is asked

    def propose_for(more: str = "") -> Proposal:
        path = Path("psy-tasks/task_a.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(TASK + more + EXECUTE)
        (run,) = load_tasks([path], PlanOptions())
        run.preview(warn)
        known = KnownCosts(run.task.pspace, Evaluated.of(ROWS, [1.0 + i for i in ROWS]))
        assert isinstance(known.estimate, Estimate)
        return propose(run, run.task, known, known.estimate)

    return propose_for


def test_what_is_left_is_what_has_no_row(
    proposed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposing, "own_cores", lambda: 3)
    situation = proposed().situation
    assert situation.n_left == 94
    assert sorted({*situation.left.tolist(), *ROWS}) == list(range(100))
    assert situation.spent == sum(1 + row for row in ROWS)
    assert (situation.cores, situation.max_jobs) == (3, 5)
    assert situation.row_bytes is None


def test_jobs_of_a_queue_ask_for_what_they_would_ask_for(proposed: Any) -> None:
    queued = "scheduler = Slurm()\nscheduler_args = {'timelimit': '2h'}\n"
    situation = proposed(queued).situation
    assert situation.is_queued
    assert situation.n_cpus == 2
    assert isinstance(situation.scheduler, Slurm)
    assert situation.values["timelimit"] == "0-02:00"
    assert situation.overhead > 1


def test_many_assignments_are_not_listed(
    proposed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposing, "_MOST_LISTED", 50)
    assert proposed().situation.left is None


def test_rows_are_measured_by_what_they_add_to_a_file() -> None:
    store = PickleStore()
    rows = [{"y": [np.zeros(100)]} for _ in range(5)]
    size = proposing._size_of_row(store, rows)
    assert size is not None
    assert 800 < size < 1100
    assert proposing._size_of_row(store, rows[:1]) is None
    assert proposing._size_of_row(store, []) is None


def test_only_the_first_rows_are_measured() -> None:
    pieces = ({"y": list(range(50))} for _ in range(100))
    found = proposing._some_pieces(pieces)
    assert [len(each["y"]) for each in found] == [50, 14]
