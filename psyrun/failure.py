"""What is recorded of an assignment that failed."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from psyrun.errors import message_of
from psyrun.failures import place
from psyrun.texts import text_of


def own_traceback(error: BaseException | None) -> str:
    """Return a traceback without the frames of psyrun at its top."""
    if error is None:
        return ""
    frames = _own_frames(error)
    return "".join(traceback.format_exception(type(error), error, frames))


def own_place(error: BaseException) -> str:
    """Return the innermost line of the file in which the user's code begins.

    Parameters
    ----------
    error : BaseException
        What was raised there, or in a library below.

    Returns
    -------
    str
        Such as ``psy-tasks/task_a.py:7``; empty if no code of the user ran.
    """
    found = traceback.extract_tb(_own_frames(error))
    lines = [frame.lineno for frame in found if frame.filename == found[0].filename]
    return place(f'File "{found[0].filename}", line {lines[-1]}') if found else ""


def _own_frames(error: BaseException) -> TracebackType | None:
    frames = error.__traceback__
    package = f"{Path(__file__).parent}{os.sep}"
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(package):
        frames = frames.tb_next
    return frames


def describe_failure(
    error: BaseException, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is recorded of a failed assignment, ready for JSON."""
    text = own_traceback(error)
    frames = [line.strip() for line in text.splitlines() if line.startswith('  File "')]
    return {
        "type": type(error).__name__,
        "message": message_of(error),
        "traceback": text,
        "where": frames[-1] if frames else "",
        "parameters": describe_parameters(parameters),
    }


def describe_parameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return short texts of an assignment's values."""
    return {key: text_of(value) for key, value in parameters.items()}


def describe_death(
    code: int, pid: int, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is recorded of an assignment that ended its worker.

    Parameters
    ----------
    code : int
        Exit status of the worker, or the negative number of a signal.
    pid : int
        The worker.
    parameters : mapping
        The assignment.
    """
    cause = describe_exit(code)
    message = f"the worker process ended with {cause} during the evaluation"
    return {
        "type": "WorkerDied",
        "message": message,
        "traceback": f"{message} (pid {pid}).\n",
        "where": cause,
        "parameters": describe_parameters(parameters),
    }


def describe_exit(code: int) -> str:
    """Return in words how a process ended.

    Parameters
    ----------
    code : int
        Its exit status, or the negative number of a signal.
    """
    if code >= 0:
        return f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
    hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
    return f"signal {-code} ({name}{hint})"
