"""Tracebacks of exceptions that are not psyrun's."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path
from types import TracebackType

from psyrun.errors import visible

_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"
TRACEBACK = "Traceback (most recent call last):"
"""What Python prints before frames."""
_LIBRARY = re.compile(
    r"[/\\](?:lib(?:64)?[/\\](?:python|pypy)\d(?:\.\d+)?t?|(?:site|dist)-packages)[/\\]"
)
_DUMPED = re.compile(r'  File "(.+)", line (\d+) in (.+)')
_MOST_DUMPED = 100  # frames
_ESCAPED = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
FRAME = re.compile(r'File "(.+)", line (\d+)(?:, in (.+))?')


def user_traceback(error: BaseException | None) -> str:
    """Return a traceback without the frames of psyrun at the top, also of its causes.

    A cause that was raised in psyrun itself is left out: errors of psyrun name it.
    """
    if error is None:
        return ""
    frames = error.__traceback__
    told = traceback.TracebackException(type(error), error, frames, compact=True)
    link: traceback.TracebackException | None = told
    while link is not None:
        _cut_own_frames(link.stack)
        for name in ("__cause__", "__context__"):
            earlier = getattr(link, name)
            if earlier and earlier.stack and all(map(_is_own, earlier.stack)):
                setattr(link, name, None)
        link = link.__cause__ or link.__context__
    return visible("".join(told.format()))


def _cut_own_frames(frames: traceback.StackSummary) -> None:
    """Remove the frames before the first that is not psyrun's."""
    theirs = (i for i, frame in enumerate(frames) if not _is_own(frame))
    del frames[: next(theirs, len(frames))]


def _is_own(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(_PACKAGE)


def is_users(filename: str) -> bool:
    """Whether a file, as frames name it, is none of Python, a library or psyrun.

    Compiled modules name files that are not there, such as ``numpy/random/mtrand.pyx``.
    """
    if not Path(filename).is_absolute() or filename.startswith(_PACKAGE):
        return False
    return _LIBRARY.search(filename) is None


def innermost_frame(text: str) -> str:
    """Return the innermost frame of a traceback that is in a file of the user.

    It is such as ``File "/home/me/task_a.py", line 7, in execute``. Of errors that
    followed from each other it is one of the last. If none is in the user's files, it
    is the innermost of all; empty if there are no frames.
    """
    lines = text.rpartition(TRACEBACK)[2].splitlines()
    frames = [line.strip() for line in lines if line.startswith('  File "')]
    own = [frame for frame in frames if _is_in_users_file(frame)]
    return (own or frames or [""])[-1]


def without_traceback(lines: list[str]) -> tuple[list[str], list[str]]:
    """Return what was printed before a traceback, and the error that it is about.

    Of errors that followed from each other, it is the last one.
    """
    starts = [number for number, line in enumerate(lines) if TRACEBACK in line]
    if not starts:
        return lines, []
    # Frames are indented, and the error is not.
    cause = [line for line in lines[starts[-1] + 1 :] if line[:1] not in ("", " ")]
    return lines[: starts[0]], cause


def _is_in_users_file(frame: str) -> bool:
    match = FRAME.fullmatch(frame)
    return match is not None and is_users(match[1])


def dumped_traceback(dump: str) -> str:
    """Return what `faulthandler` wrote of a thread in the form of a traceback.

    Without its first and last line, and without the frames at the top down to those of
    psyrun that called the user's code.
    """
    found = [_DUMPED.fullmatch(line) for line in reversed(dump.splitlines())]
    frames = traceback.StackSummary.from_list(
        [
            (_ESCAPED.sub(_character, match[1]), int(match[2]), match[3], None)
            for match in found
            if match is not None
        ]
    )
    # Of more than a hundred frames, those at the top are left out, which Python 3.13.0
    # does not say.
    may_lack_some = len(frames) >= _MOST_DUMPED and not any(map(_is_own, frames))
    if may_lack_some or "\n  ..." in dump:
        return visible("".join(["  ...\n", *frames.format()]))
    # Above psyrun, there is what started Python's main module.
    del frames[: next((i for i, each in enumerate(frames) if _is_own(each)), 0)]
    _cut_own_frames(frames)
    return visible("".join(frames.format()))


def _character(escape: re.Match[str]) -> str:
    """Return the character of a path that was written as a number."""
    return chr(int(escape[1][1:], 16))


def user_place(error: BaseException) -> str:
    """Return the innermost line of the file in which the user's code begins.

    Such as ``psy-tasks/task_a.py:7``; empty if no code of the user ran.
    """
    found = traceback.extract_tb(_user_frames(error))
    lines = [frame.lineno for frame in found if frame.filename == found[0].filename]
    return place(f'File "{found[0].filename}", line {lines[-1]}') if found else ""


def _user_frames(error: BaseException) -> TracebackType | None:
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames = frames.tb_next
    return frames


def place(where: str, *, with_function: bool = True) -> str:
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
    in_function = f" in {function}" if function and with_function else ""
    return f"{path}:{line}{in_function}"
