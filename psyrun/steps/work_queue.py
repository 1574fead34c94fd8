"""Work queues: workers take ranges of positions from them, large ones first.

Each range takes its share of what is left (guided self-scheduling, Polychronopoulos
and Kuck 1987), so that few ranges are handed out, and the last ones are so
small that all workers end at about the same time.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Protocol

from psyrun.utils.files import read_bytes
from psyrun.utils.typing import override

_RANGE = struct.Struct("<QQ")
_PIPE_BUFFER = 65536 // _RANGE.size  # ranges; POSIX systems have that or more


# A range is this fraction of a worker's fair share of what is left. With 16,
# the makespan of durations with a heavy tail stays within 3 % of that of a
# queue of single assignments; see tests/benchmarks/bench_load_balancing.py.
CLAIM_FRACTION = 16
_PIPE_FRACTION = 4


class WorkQueue(Protocol):
    """Hands out ranges of positions; each position to one worker only."""

    def take(self, heed: Callable[[], object] = lambda: None) -> Iterator[range]:
        """Yield ranges until none is left. Called in the worker.

        `heed` is called before a range is taken from others; it may raise.
        """

    @property
    def files(self) -> list[int]:
        """The open files that a worker needs for this."""

    def close(self) -> None:
        """Close the files, where no worker is left."""


def shrinking_ranges(count: int, n_workers: int, fraction: int) -> Iterator[range]:
    """Divide ``range(count)`` into ranges that get smaller and smaller.

    Each range is ``1 / fraction`` of a worker's share of what is left, so that there
    are O(n_workers · fraction · log(count)) of them.
    """
    begin = 0
    while begin < count:
        end = begin + max(1, (count - begin) // (fraction * n_workers))
        yield range(begin, end)
        begin = end


class PipeWorkQueue(WorkQueue):
    """Ranges for the workers of one job, in a pipe that they inherit."""

    def __init__(self, count: int, n_workers: int) -> None:
        self._read_end, write_end = os.pipe()
        for piece in _few_ranges(count, n_workers):
            os.write(write_end, _RANGE.pack(piece.start, piece.stop))
        os.close(write_end)

    @override
    def take(self, heed: Callable[[], object] = lambda: None) -> Iterator[range]:
        # A read of a few bytes from a pipe is atomic, so workers can share it.
        while piece := os.read(self._read_end, _RANGE.size):
            yield range(*_RANGE.unpack(piece))

    @property
    @override
    def files(self) -> list[int]:
        return [self._read_end]

    @override
    def close(self) -> None:
        os.close(self._read_end)


def _few_ranges(count: int, n_workers: int) -> list[range]:
    """Return ranges that fit into the buffer of a pipe."""
    if n_workers == 1:
        return [range(count)]
    fraction = _PIPE_FRACTION
    ranges = list(shrinking_ranges(count, n_workers, fraction))
    while len(ranges) > _PIPE_BUFFER:
        fraction = max(1, fraction // 2)
        n_workers = max(1, n_workers // 2) if fraction == 1 else n_workers
        ranges = list(shrinking_ranges(count, n_workers, fraction))
    return ranges


def close_claims(folder: Path, count: int) -> None:
    """Let no range of ``range(count)`` be claimed any more, by whatever sequence."""
    folder.mkdir(parents=True, exist_ok=True)
    # There are never more ranges than positions.
    (folder / str(count)).touch()


class ClaimWorkQueue(WorkQueue):
    """Ranges for the workers of many jobs, which may run on many machines.

    All workers know the same sequence of ranges. A worker claims the next one
    by creating the file with its number exclusively, which is atomic on NFS
    (since version 3) and Lustre too, and needs no lock. The claimed numbers are
    always the first ones. `n_workers` counts the workers of all jobs. A claim holds
    the name of its `owner`, so that the rest of a range is not lost with its worker.
    With `sizes`, the ranges have these sizes.
    """

    def __init__(
        self,
        folder: Path,
        count: int,
        n_workers: int,
        owner: str = "",
        sizes: Iterable[int] | None = None,
    ) -> None:
        self._folder = folder
        self._owner = owner
        if sizes is None:
            self._ranges = list(shrinking_ranges(count, n_workers, CLAIM_FRACTION))
        else:
            ends = accumulate(sizes, initial=0)
            self._ranges = [range(begin, end) for begin, end in pairwise(ends)]
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def is_empty(self) -> bool:
        """Whether all ranges are claimed."""
        return len(self._claimed()) == len(self._ranges)

    def claimed_by_owner(self) -> Iterator[range]:
        """Yield the ranges that the owner has claimed so far."""
        for number in self._claimed():
            if read_bytes(self._folder / str(number)) == self._owner.encode():
                yield self._ranges[number]

    @override
    def take(self, heed: Callable[[], object] = lambda: None) -> Iterator[range]:
        for number in range(max(self._claimed(), default=-1) + 1, len(self._ranges)):
            heed()
            with suppress(FileExistsError):
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
                file = os.open(self._folder / str(number), flags, 0o666)
                os.write(file, self._owner.encode())
                os.close(file)
                yield self._ranges[number]

    @property
    @override
    def files(self) -> list[int]:
        return []

    @override
    def close(self) -> None:
        pass

    def _claimed(self) -> list[int]:
        names = (path.name for path in self._folder.iterdir())
        return sorted(int(name) for name in names if name.isdecimal())
