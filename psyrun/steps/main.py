"""Entry of a step: its arguments, and what becomes of its errors."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from psyrun.errors import PsyrunError, StoreError
from psyrun.steps.job import ImportedTask, Job
from psyrun.steps.merge import merge
from psyrun.steps.process import process
from psyrun.steps.split import split
from psyrun.utils.files import write_json
from psyrun.utils.process import say
from psyrun.utils.tracebacks import own_traceback
from psyrun.workdir.layout import MERGE, PROCESS, SPLIT, Round


def run(arguments: list[str], context: ImportedTask | None = None) -> int:
    """Run one step.

    Parameters
    ----------
    arguments : list of str
        ``split SPACE``, ``process SPACE BLOCK`` or ``merge SPACE``, where
        SPACE is the path of the frozen space.
    context : ImportedTask, optional
        The task, if it was imported already.

    Returns
    -------
    int
        Exit status: 0 if all went well, 1 if assignments failed, 2 if the
        user has to change something.
    """
    step, path, *rest = arguments
    space = Path(path).absolute()
    note = Round(space.parent).error("-".join([step, *rest]))
    note.unlink(missing_ok=True)
    try:
        _run(step, space, rest, context)
    except PsyrunError as error:
        return _fail(note, error, str(error), error.exit_status)
    except OSError as error:
        return _fail(note, error, f"{error}. Mend the cause, then run again.", 2)
    except Exception as error:
        return _fail(note, error, own_traceback(error).strip(), 1)
    return 0


def _fail(note: Path, error: Exception, message: str, status: int) -> int:
    """Say why a step failed, in its log and to whoever shows it to the user."""
    record = {
        "type": type(error).__name__,
        "message": message,
        "exit_status": status,
    }
    with suppress(OSError, StoreError):
        write_json(note, record)
    say(message)
    return status


def _run(step: str, space: Path, rest: list[str], context: ImportedTask | None) -> None:
    job = Job.of(space, context)
    if step == SPLIT:
        split(job)
    elif step == PROCESS:
        process(job, int(rest[0]))
    elif step == MERGE:
        merge(job)
    else:
        raise PsyrunError(f"unknown step {step!r}; allowed: split, process, merge.")
