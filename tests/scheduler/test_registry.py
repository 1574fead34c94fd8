"""Schedulers by name, and schedulers of others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from psyrun.errors import SchedulerError
from psyrun.scheduler import (
    ImmediateRun,
    Scheduler,
    Slurm,
    Sqsub,
    scheduler_class,
    scheduler_names,
)

OTHER = """\
from psyrun.scheduler import Scheduler
class Other(Scheduler):
    def submit(self, args, output_filename, name=None, depends_on=None,
               scheduler_args=None): return 1
    def get_status(self, jobid): return None
    def get_jobs(self): return []
    def kill(self, jobid): pass
class Unrelated: pass
"""


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Install a package with entry points, as an installer would."""

    def install(*entries: str) -> None:
        (tmp_path / "own_queue.py").write_text(OTHER)
        info = tmp_path / "own_queue-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: own-queue\nVersion: 1.0\n")
        lines = ["[psyrun.schedulers]", *entries, ""]
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("own_queue", None)


def test_schedulers_of_psyrun_have_names():
    assert set(scheduler_names()) >= {"ImmediateRun", "Slurm", "Sqsub"}
    assert scheduler_class("ImmediateRun") is ImmediateRun
    assert scheduler_class("Slurm") is Slurm
    assert scheduler_class("psyrun.scheduler.Sqsub") is Sqsub
    assert scheduler_class("psyrun.Sqsub") is Sqsub


def test_an_installed_scheduler_is_found(plug_in):
    plug_in("Other = own_queue:Other")
    assert "Other" in scheduler_names()
    assert scheduler_class("Other").__name__ == "Other"


def test_any_class_is_found_by_its_place(plug_in):
    plug_in()
    assert issubclass(scheduler_class("own_queue.Other"), Scheduler)


def test_a_scheduler_of_others_takes_any_arguments(plug_in):
    plug_in()
    arguments = {"queue": "long", "host": lambda name: name.upper()}
    values = scheduler_class("own_queue.Other")().validate(arguments, "a")
    assert values == {"queue": "long", "host": "A"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("Other = own_queue:Nothing", "cannot be loaded .AttributeError"),
        ("Other = own_missing:Other", "cannot be loaded .ModuleNotFoundError"),
        ("Other = own_queue:Unrelated", "is not a scheduler"),
    ],
)
def test_a_broken_plug_in_is_named(plug_in, entry, message):
    plug_in(entry)
    with pytest.raises(SchedulerError, match=message) as caught:
        scheduler_class("Other")
    for part in (entry, "'own-queue'", "'psyrun.schedulers'"):
        assert part in str(caught.value)


def test_an_unknown_name_gets_the_known_ones():
    with pytest.raises(SchedulerError, match=r"'slurm'. Did you mean 'Slurm'\?"):
        scheduler_class("slurm")


def test_an_unfinished_scheduler_cannot_be_made():
    class Unfinished(Scheduler):
        pass

    with pytest.raises(TypeError, match=r"abstract"):
        Unfinished()


def test_schedulers_are_known_without_numpy():
    code = "import sys, psyrun.scheduler, psyrun.backend; print('numpy' in sys.modules)"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, check=True)
    assert printed.stdout == b"False\n"
