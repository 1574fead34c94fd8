"""Tracebacks of exceptions that are not psyrun's."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path
from types import TracebackType

FRAME = re.compile(r'File "(.+)", line (\d+)(?:, in (.+))?')


def user_traceback(error: BaseException | None) -> str:
    """Return a traceback without the frames of psyrun at its top."""
    if error is None:
        return ""
    frames = _user_frames(error)
    return "".join(traceback.format_exception(type(error), error, frames))


def user_place(error: BaseException) -> str:
    """Return the innermost line of the file in which the user's code begins.

    Such as ``psy-tasks/task_a.py:7``; empty if no code of the user ran.
    """
    found = traceback.extract_tb(_user_frames(error))
    lines = [frame.lineno for frame in found if frame.filename == found[0].filename]
    return place(f'File "{found[0].filename}", line {lines[-1]}') if found else ""


def _user_frames(error: BaseException) -> TracebackType | None:
    frames = error.__traceback__
    package = f"{Path(__file__).parent.parent}{os.sep}"
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(package):
        frames = frames.tb_next
    return frames


def place(where: str) -> str:
    """Return a frame in short, with a path from the current folder if it is below.

    It is such as ``File "/home/me/task_a.py", line 7, in execute``; any other text is
    returned as it is.
    """
    match = FRAME.fullmatch(where)
    if match is None:
        return where
    file, line, function = match.groups()
    path, here = Path(file), Path.cwd()
    if path.is_relative_to(here):
        path = path.relative_to(here)
    return f"{path}:{line}" + (f" in {function}" if function else "")
