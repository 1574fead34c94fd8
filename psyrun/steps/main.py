"""Entry of a step: reads its arguments, and records its errors."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from psyrun.errors import LostLockError, PsyrunError, StoreError, refusal_of
from psyrun.steps.command import StepCommand
from psyrun.steps.job import ImportedTask, Job
from psyrun.steps.merge import merge
from psyrun.steps.process import process
from psyrun.steps.split import split
from psyrun.steps.watchdog import Watchdog
from psyrun.utils.files import write_json
from psyrun.utils.process.basics import log_line
from psyrun.utils.process.ending import leave
from psyrun.utils.process.offspring import GRACE, outlive_offspring
from psyrun.utils.streams import keep_own_rights, print_anything, receive_signals
from psyrun.utils.tracebacks import user_traceback
from psyrun.workdir.holder import Holder
from psyrun.workdir.lock import is_held_by, local_controller

_PATIENCE = 120.0  # seconds that the controller of a run that has lost its lock gets
_PAUSE = 0.1


def run(arguments: list[str], preloaded: ImportedTask | None = None) -> int:
    """Run one step and return its exit status.

    Its arguments are ``split FOLDER ROUND``, ``process FOLDER ROUND BLOCK`` or
    ``merge FOLDER ROUND``, where FOLDER is that of the task. The status is 1 if
    assignments failed, 2 if the user has to change something.
    """
    print_anything()
    command = StepCommand.read(arguments)
    # The user's code may change the current folder.
    command = replace(command, folder=command.folder.absolute())
    note = command.round.error(command.name)
    controller = local_controller(command.layout)
    try:
        note.unlink(missing_ok=True)
        _run(command, preloaded, controller)
    except LostLockError as error:
        # What there is of the round is another run's.
        log_line(str(error))
        _let_run_end(command, controller)
        return error.exit_status
    except PsyrunError as error:
        return _fail(note, error, str(error), error.exit_status)
    except SystemExit as error:
        # Another status is that of a request to end.
        if error.code:
            raise
        return _fail(note, error, user_traceback(error).strip(), 1)
    except Exception as error:
        if refusal := refusal_of(error):
            return _fail(note, error, refusal, 2)
        return _fail(note, error, user_traceback(error).strip(), 1)
    return 0


def run_alone(arguments: list[str]) -> NoReturn:
    """Run one step in a process of its own, which ends with all that it started."""
    signal.signal(signal.SIGTERM, _end)
    receive_signals()
    keep_own_rights()
    outlive_offspring()
    # A log that cannot be written must not turn success into failure.
    leave(run(arguments))


def _let_run_end(command: StepCommand, controller: Holder | None) -> None:
    """Give who controls this run the time to find out that it has lost its lock.

    Else Snakemake would see a job that failed, and remove what another run has made.
    Where it still has that of the task, that is its own.
    """
    if controller is None or is_held_by(command.layout.lock, controller):
        return
    log_line(f"waiting for {controller} to end, as its run goes on elsewhere")
    parent, deadline = os.getppid(), time.monotonic() + _PATIENCE
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(_PAUSE)


def _end(number: int, frame: object) -> NoReturn:
    """End at a request, which the system would do without ending the offspring."""
    # As the status of a shell whose child was ended by a signal.
    leave(128 + number, GRACE)


def _fail(note: Path, error: BaseException, message: str, status: int) -> int:
    """Record why a step failed, for whoever shows it to the user, and log it."""
    name = type(error).__name__
    record = {"type": name, "message": message, "exit_status": status}
    with suppress(OSError, StoreError):
        write_json(note, record)
    log_line(message)
    return status


def _run(
    command: StepCommand, preloaded: ImportedTask | None, controller: Holder | None
) -> None:
    job = Job.of(command.layout, command.round_number, preloaded, controller)
    note = command.round.hanging_of(command.name)
    with Watchdog(note, lambda: job.activity) as watchdog:
        _run_step(job, command, watchdog)
        job.record_loaded_code()


def _run_step(job: Job, command: StepCommand, watchdog: Watchdog) -> None:
    match command.step, command.block:
        case "split", None:
            split(job)
        case "process", str(block):
            process(job, int(block), watchdog)
        case "merge", None:
            merge(job)
        case step, _:
            raise PsyrunError(f"unknown step {step!r}; allowed: split, process, merge.")
