"""Blocks of about equal predicted time, and the order in which they are started."""

from __future__ import annotations

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.estimate.columns import Floats
from psyrun.pspace.columns import Indices


def equal_blocks(times: Floats, n: int) -> Indices:
    """Cut assignments into blocks that take about equally long.

    The longest block is as short as can be with blocks of assignments that follow one
    another.

    Parameters
    ----------
    times : ndarray of float64, shape (assignments,)
        Predicted times in the order of evaluation, none of them negative.
    n : int
        Number of blocks; there are fewer if there are fewer assignments.

    Returns
    -------
    ndarray of int64, shape (blocks + 1,)
        The first assignment of each block, and the number of assignments.

    Raises
    ------
    PsyrunError
        If there is to be no block, or a time is negative or not finite.

    Notes
    -----
    That is the linear partition problem. It is solved by bisecting the time of the
    longest block; each time blocks are filled one after the other.

    Examples
    --------
    >>> equal_blocks(np.array([5.0, 1.0, 1.0, 1.0, 1.0, 1.0]), 2).tolist()
    [0, 1, 6]
    """
    if n < 1:
        raise PsyrunError(f"equal_blocks: n is {n}; give 1 or more blocks.")
    if not np.isfinite(times).all() or (times < 0).any():
        raise PsyrunError("equal_blocks: times must be finite, and not negative.")
    size = len(times)
    n = min(n, size)
    if n == 0:
        return np.zeros(1, np.int64)
    ends = np.concatenate([[0.0], np.cumsum(times)])
    low, high = max(float(times.max()), float(ends[-1]) / n), float(ends[-1])
    for _ in range(64):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if _filled(ends, n, middle) is None:
            low = middle
        else:
            high = middle
    found = _filled(ends, n, low)
    starts = found if found is not None else _filled(ends, n, high)
    assert starts is not None
    return starts


def _filled(ends: Floats, n: int, longest: float) -> Indices | None:
    """Return the starts of n blocks that take no longer; None if these are too few.

    `ends` has the sums of times before each assignment, and of all.
    """
    size, starts = len(ends) - 1, [0]
    allowed = longest * (1 + 1e-12)
    for block in range(n):
        start = starts[-1]
        end = int(np.searchsorted(ends, ends[start] + allowed, side="right")) - 1
        # Each of the blocks to come needs an assignment.
        starts.append(min(max(end, start + 1), size - (n - 1 - block)))
    return np.array(starts, np.int64) if starts[-1] == size else None


def slowest_first(times: Floats, starts: Indices) -> Indices:
    """Return the order of blocks by longest processing time.

    On m machines that each take the next block when they are idle, the last one ends no
    later than 4/3 - 1/(3 m) times the best possible end [1]_.

    Parameters
    ----------
    times : ndarray of float64, shape (assignments,)
        Predicted times in the order of evaluation.
    starts : ndarray of int64, shape (blocks + 1,)
        What `equal_blocks` returns.

    Returns
    -------
    ndarray of int64, shape (blocks,)
        Numbers of blocks, the longest first; equal ones keep their order.

    References
    ----------
    .. [1] R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on
       Applied Mathematics 17 (1969), 416-429.
    """
    ends = np.concatenate([[0.0], np.cumsum(times)])
    return np.argsort(-np.diff(ends[starts]), kind="stable")
