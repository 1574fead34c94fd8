"""Reading what a run may be changing.

Nothing is locked: a run goes on undisturbed. It may replace or remove files
meanwhile, above all when it merges; then reading starts over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from psyrun.errors import PsyrunError
from psyrun.store.base import Store
from psyrun.store.rows import Columns
from psyrun.workdir.layout import Round
from psyrun.workdir.progress import finished_blocks

_T = TypeVar("_T")
_TRIES = 6
_PAUSE = 0.1  # seconds, longer after each try


class ConcurrentChangeError(PsyrunError):
    """Files were replaced or removed while they were read."""


def consistent_pieces(round_: Round, store: Store) -> Iterator[Columns]:
    """Yield all rows of a round; complain if it was changed meanwhile.

    Parameters
    ----------
    round_ : Round
        Paths of the round.
    store : Store
        The store of its blocks.

    Yields
    ------
    dict of str to sequence
        The next rows, see `psyrun.workdir.rows.RoundData.pieces`.

    Raises
    ------
    ConcurrentChangeError
        At the end, if the rows may not belong together.
    """
    from psyrun.workdir.rows import RoundData

    before = _files(round_, store.ext)
    yield from RoundData(round_, store).pieces()
    after = _files(round_, store.ext)
    # A block that was replaced may hold other rows than were listed before, and
    # a merge removes journals that may not have been listed any more.
    if any(path not in after or after[path] != mark for path, mark in before.items()):
        raise ConcurrentChangeError(
            f"{round_.folder}: changed while it was read. Try again."
        )


def _files(round_: Round, ext: str) -> dict[Path, tuple[int, ...] | None]:
    """Return a mark of each file that must stay as it is while rows are read."""
    blocks = [round_.block(block, ext) for block in finished_blocks(round_, ext)]
    return {path: _mark(path) for path in [*blocks, round_.merged]}


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def retry_while_changing(read: Callable[[], _T]) -> _T:
    """Read what a run may be changing; start over if a file is gone.

    Parameters
    ----------
    read : callable
        Reads, and returns the outcome.

    Raises
    ------
    ConcurrentChangeError
        If a file is missing time after time.
    """
    for attempt in range(_TRIES):
        try:
            return read()
        except (PsyrunError, FileNotFoundError) as error:
            if not is_concurrent_change(error):
                raise
            last = error
        time.sleep(_PAUSE * (attempt + 1))
    raise ConcurrentChangeError(" ".join(str(last).split())) from last


def is_concurrent_change(error: BaseException) -> bool:
    """Whether an error shows that files changed while they were read."""
    return isinstance(error, ConcurrentChangeError | FileNotFoundError) or isinstance(
        error.__cause__, FileNotFoundError
    )
