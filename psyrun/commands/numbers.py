"""Numbers among the arguments of a verb."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(least: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number, and may refuse small ones.

    Parameters
    ----------
    least : int, optional
        The smallest number that is allowed; by default, any is.

    Returns
    -------
    callable
        A type for arguments of `argparse`.
    """

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            said = f"{text!r} is not a whole number"
            raise argparse.ArgumentTypeError(said) from None
        if least is not None and value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    return read


def seconds(text: str) -> float:
    """Read a length of time; a type for arguments of `argparse`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
