"""Blocks of about equal predicted time, and the order in which they are started."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.estimate.columns import Floats
from psyrun.pspace.columns import Indices

_N_PIECES = 256  # of all blocks together, at least
_OF_EACH = 4  # pieces of each of many blocks
_MOST_PIECES = 2**16
_MOST_UNEVEN = 2048  # pieces of blocks that get shorter and shorter
_LEAST_RATIO = 0.1  # of the last of these to the first one
_OF_FAIR_SHARE = 0.5  # the most that the first one has of what each worker has to do
_OF_WORKER = 256  # pieces for each of the workers that fetch their work
_CLOSE = 1e-4  # how equal pieces are
_ALIKE = 0.9  # ratio of times of blocks that count as equal


class SharedBlocks(NamedTuple):
    """Assignments in pieces, and the block that each piece belongs to.

    Attributes
    ----------
    starts : ndarray of int64, shape (pieces + 1,)
        The first assignment of each piece, and the number of assignments.
    blocks : ndarray of int64, shape (pieces,)
        The number of its block; the blocks that take longest have the lowest ones.
    times : ndarray of float64, shape (blocks,)
        What each block takes.
    """

    starts: Indices
    blocks: Indices
    times: Floats


def equal_blocks(times: Floats, n: int, *, tolerance: float = 1e-9) -> Indices:
    """Cut assignments into blocks that take about equally long.

    The longest block is as short as can be with blocks of assignments that follow one
    another. If that is a single assignment, which cannot be cut, so is the longest of
    all blocks that are more than one.

    Parameters
    ----------
    times : ndarray of float64, shape (assignments,)
        Predicted times in the order of evaluation, none of them negative.
    n : int
        Number of blocks; there are fewer if there are fewer assignments.
    tolerance : float
        By which part the longest block may be longer than it has to be.

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
    longest block; each time blocks are filled one after the other, and an assignment
    that takes longer is a block by itself.

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
    if n == size:
        return np.arange(size + 1)
    ends = np.concatenate([[0.0], np.cumsum(times)])
    total = float(ends[-1])
    low, high = 1e-12 * total, total
    while high - low > tolerance * high:
        middle = (low + high) / 2
        if middle in (low, high):
            # Times are as small as numbers can be.
            break
        if _filled(ends, n, middle) is None:
            low = middle
        else:
            high = middle
    starts = _filled(ends, n, high)
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
        end = int(ends.searchsorted(ends[start] + allowed, "right")) - 1
        # Each of the blocks to come needs an assignment.
        starts.append(min(max(end, start + 1), size - (n - 1 - block)))
    return np.array(starts, np.int64) if starts[-1] == size else None


def shared_blocks(
    times: Floats, n: int, *, are_sorted: bool = True, n_at_once: int = 0
) -> SharedBlocks:
    """Share assignments out among blocks that take about equally long.

    They are cut into more pieces than there are blocks; then the longest piece goes to
    the block that has least so far, and so on [1]_. So blocks are even where few
    assignments differ much, and errors of predictions that regions have in common are
    spread over all blocks.

    Where it is known that only some of many blocks are evaluated at once, one after the
    other gets shorter: the last ones then make up for what was predicted wrongly.

    Parameters
    ----------
    times : ndarray of float64, shape (assignments,)
        Predicted times in the order of evaluation, none of them negative.
    n : int
        Number of blocks; there are fewer if there are fewer assignments.
    are_sorted : bool
        Whether blocks that take longer come first; those within a tenth count as
        equal. Else they are in the order of their first assignments, and equally long.
    n_at_once : int
        How many blocks are evaluated at once; 0 where that is not known.

    References
    ----------
    .. [1] R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on
       Applied Mathematics 17 (1969), 416-429.
    """
    n = min(n, len(times))
    parts = _parts(n, n_at_once if are_sorted else 0)
    n_pieces = _n_pieces(n) if parts is None else max(_n_pieces(n), _MOST_UNEVEN)
    starts = equal_blocks(times, n_pieces, tolerance=_CLOSE)
    sums = np.add.reduceat(times, starts[:-1]) if len(times) else np.empty(0)
    targets = np.zeros(n) if parts is None else parts * sums.sum()
    owners = _by_room(sums, targets)
    if len(np.unique(owners)) < n:
        # There are too few assignments for blocks that are that short.
        owners = _by_room(sums, np.zeros(n))
    # Blocks are renumbered by their first pieces, and then by their times.
    _, firsts = np.unique(owners, return_index=True)
    owners = _ranks(np.argsort(firsts))[owners]
    of_blocks = np.asarray(np.bincount(owners, sums, n), np.float64)
    if are_sorted:
        order = slowest_first(of_blocks)
        owners, of_blocks = _ranks(order)[owners], of_blocks[order]
    return SharedBlocks(starts, owners, of_blocks)


def _parts(n: int, n_at_once: int) -> Floats | None:
    """Return which part of all each block takes, the longest first.

    None if they are to be equally long: with few blocks for each worker, a long first
    one would be the last to end.
    """
    if n_at_once < 2:
        return None
    most = _OF_FAIR_SHARE * n / n_at_once  # times the mean
    ratio = next((r for r in np.arange(_LEAST_RATIO, 1, 0.1) if _first(r) <= most), 1.0)
    if ratio >= 1:
        return None
    found = ratio ** (np.arange(n) / (n - 1))
    return np.asarray(found / found.sum(), np.float64)


def _first(ratio: float) -> float:
    """Return what the first of many blocks takes, relative to the mean.

    Each takes a fixed part of the one before, and the last `ratio` of the first.
    """
    return float(np.log(1 / ratio) / (1 - ratio))


def _by_room(sums: Floats, targets: Floats) -> Indices:
    """Give each piece, the longest first, to the block that lacks most of its part."""
    owners = np.empty(len(sums), np.int64)
    # The number of pieces decides between blocks that take no time.
    loads = [(-target, 0, block) for block, target in enumerate(targets.tolist())]
    heapq.heapify(loads)
    for piece in np.argsort(-sums, kind="stable").tolist():
        load, n_own, block = loads[0]
        owners[piece] = block
        heapq.heapreplace(loads, (load + float(sums[piece]), n_own + 1, block))
    return owners


def portions(times: Floats, n_workers: int, fraction: int) -> SharedBlocks:
    """Divide assignments into what workers take that fetch their work, slowest first.

    They are cut into pieces that take about equally long; an assignment that takes
    longer is about a piece by itself. The longest pieces are fetched first [1]_, in
    portions that get smaller and smaller [2]_. So the slow assignments are begun with
    early, and the errors of predictions are made up for by what is fetched last.

    Parameters
    ----------
    times : ndarray of float64, shape (assignments,)
        Predicted times in the order of the space, none of them negative.
    n_workers : int
        How many fetch, at least 1.
    fraction : int
        A portion takes one part in so many of a worker's fair share of what is left, or
        is a single piece.

    Returns
    -------
    SharedBlocks
        Its blocks are the portions, in the order in which they are fetched.

    References
    ----------
    .. [1] R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on
       Applied Mathematics 17 (1969), 416-429.
    .. [2] C. D. Polychronopoulos, D. J. Kuck, "Guided self-scheduling", IEEE
       Transactions on Computers C-36 (1987), 1425-1439.

    Examples
    --------
    >>> found = portions(np.array([1.0, 1.0, 8.0, 1.0]), 2, 4)
    >>> found.starts.tolist(), found.blocks.tolist()
    ([0, 1, 2, 3, 4], [1, 2, 0, 3])
    """
    starts = _about_equal(times, min(_MOST_PIECES, n_workers * _OF_WORKER))
    sums = np.add.reduceat(times, starts[:-1]) if len(times) else np.empty(0)
    order = slowest_first(sums)
    ends = np.concatenate([[0.0], np.cumsum(sums[order])])
    numbers, of_portions, begin = np.empty(len(order), np.int64), list[float](), 0
    while begin < len(order):
        share = (ends[-1] - ends[begin]) / (fraction * n_workers)
        fits = int(ends.searchsorted(ends[begin] + share * (1 + _CLOSE), "right")) - 1
        # Even if nothing is predicted to take any time.
        most = begin + (len(order) - begin) // n_workers
        end = max(begin + 1, min(fits, most))
        numbers[order[begin:end]] = len(of_portions)
        of_portions.append(float(ends[end] - ends[begin]))
        begin = end
    return SharedBlocks(starts, numbers, np.array(of_portions))


def _about_equal(times: Floats, n: int) -> Indices:
    """Return where pieces of about equal times begin, and the number of assignments.

    That is much faster than `equal_blocks`. No piece takes longer than twice a fair
    share and its longest assignment, nor has more than twice a fair share of them, as
    what is predicted to take no time may take some.
    """
    size = len(times)
    if size <= n:
        return np.arange(size + 1)
    half = np.arange(1, max(2, n // 2)) / max(2, n // 2)
    ends = np.cumsum(times)
    of_times = np.searchsorted(ends, ends[-1] * half)
    of_numbers = (size * half).astype(np.int64)
    return np.unique(np.concatenate([[0], of_times, of_numbers, [size]]))


def _n_pieces(n: int) -> int:
    of_each = max(_OF_EACH, _N_PIECES // max(n, 1))
    return n * of_each if n * of_each <= _MOST_PIECES else max(n, 1)


def _ranks(order: Indices) -> Indices:
    found = np.empty_like(order)
    found[order] = np.arange(len(order))
    return found


def slowest_first(times: Floats) -> Indices:
    """Return the order of blocks by longest processing time.

    On m machines that each take the next block when they are idle, the last one ends no
    later than 4/3 - 1/(3 m) times the best possible end [1]_.

    Parameters
    ----------
    times : ndarray of float64, shape (blocks,)
        What each block takes.

    Returns
    -------
    ndarray of int64, shape (blocks,)
        Numbers of blocks, the longest first. Those whose times differ by less than a
        tenth of the longest ones count as equal, and keep their order.

    References
    ----------
    .. [1] R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on
       Applied Mathematics 17 (1969), 416-429.
    """
    longest = float(times.max(initial=0.0))
    if not longest:
        return np.arange(len(times))
    # Predictions are not better than that.
    ratios = np.maximum(times / longest, 1e-12)
    return np.argsort(np.floor(np.log(ratios) / np.log(_ALIKE) + 1e-9), kind="stable")


def last_end(times: Iterable[float], n_workers: int) -> float:
    """Return when the last of some workers ends that take one block after the other.

    Parameters
    ----------
    times : iterable of float
        What each block takes, in the order in which they are started.
    n_workers : int
        How many there are, at least 1.
    """
    ends = [0.0] * n_workers
    for time in times:
        heapq.heapreplace(ends, ends[0] + time)
    return max(ends)
