"""Errors, warnings and tables on the terminal."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from psyrun.errors import PsyrunError, refusal_of, visible
from psyrun.utils.streams import close_standard_output, is_of_standard_output
from psyrun.utils.text import shortened

_GAP = "  "  # between columns
_NARROWEST = 6  # characters of a column that is cut
INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the number of SIGINT, as shells have it."""


def report_error(error: BaseException, *, debug: bool) -> int:
    """Print an error as one line and return the exit status that it calls for.

    It is a `PsyrunError`, an `OSError` or a `KeyboardInterrupt`. `debug` says
    whether its traceback is printed before.
    """
    if debug:
        traceback.print_exception(error)
    # An error of psyrun's own names its file in the text.
    if isinstance(error, OSError) and not isinstance(error, PsyrunError):
        _close_if_to_blame(error)
    print(f"psy: {_one_line(error)}", file=sys.stderr)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.exit_status if isinstance(error, PsyrunError) else 2


def _close_if_to_blame(error: OSError) -> None:
    """Close the standard output if an error is that of it."""
    if is_of_standard_output(error):
        error.filename = "standard output"
        close_standard_output()


def _one_line(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted."
    text = refusal_of(error) or str(error)
    return " ".join(visible(text).split())


def for_each_task(
    names: Iterable[str], act: Callable[[str], int], *, debug: bool
) -> int:
    """Do something for each task, and return the highest exit status.

    An error of one task is printed, with its traceback if `debug` is true, and
    does not concern the others.
    """
    return max((_status(act, name, debug) for name in names), default=0)


def _status(act: Callable[[str], int], name: str, debug: bool) -> int:
    try:
        return act(name)
    except (PsyrunError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        return report_error(error, debug=debug)


def width_of(stream: TextIO) -> int | None:
    """Return how many characters fit on a line of a terminal; None for other streams.

    What is written to a file or a pipe is neither cut nor wrapped, so that others can
    search it line by line.
    """
    try:
        if not stream.isatty():
            return None
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return None
    # Some that are no real ones say 0.
    return width or None


def aligned(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Return one line for each row of cells, with columns below each other.

    With a width, the longest cells are cut where lines would be longer.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is not None:
        widths = _narrowed(widths, width - len(_GAP) * (len(widths) - 1))
    cells = (map(shortened, row, widths) for row in rows)
    return [_GAP.join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _narrowed(widths: list[int], room: int) -> list[int]:
    """Return widths of columns whose sum is `room`, where that is enough for them."""
    limit = max(widths)
    while sum(min(width, limit) for width in widths) > room and limit > _NARROWEST:
        limit -= 1
    return [min(width, limit) for width in widths]


def warn(text: str) -> None:
    """Print a line to standard error."""
    print(f"psy: {visible(text)}", file=sys.stderr, flush=True)
