"""Errors, warnings and tables on the terminal."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Sequence

from psyrun.errors import PsyrunError, refusal_of, visible
from psyrun.utils.streams import close_standard_output, is_of_standard_output

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the number of SIGINT, as shells have it."""


def report_error(error: BaseException, *, debug: bool) -> int:
    """Print an error as one line and return the exit status that it calls for.

    It is a `PsyrunError`, an `OSError` or a `KeyboardInterrupt`. `debug` says
    whether its traceback is printed before.
    """
    if debug:
        traceback.print_exception(error)
    if isinstance(error, OSError) and is_of_standard_output(error):
        error.filename = "standard output"
        close_standard_output()
    print(f"psy: {_one_line(error)}", file=sys.stderr)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.exit_status if isinstance(error, PsyrunError) else 2


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


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line for each row of cells, with columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def warn(text: str) -> None:
    """Print a line to standard error."""
    print(f"psy: {visible(text)}", file=sys.stderr, flush=True)
