"""Reading what a run may be changing.

Nothing is locked: a run goes on undisturbed. It may replace or remove files
meanwhile, above all when it merges; then reading starts over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

from psyrun.errors import PsyrunError
from psyrun.layout import Round
from psyrun.progress import finished_blocks
from psyrun.store.base import Store
from psyrun.store.registry import store_named
from psyrun.store.rows import Columns

_T = TypeVar("_T")
_TRIES = 6
_PAUSE = 0.1  # seconds, longer after each try

Stores: TypeAlias = Callable[[str], Store]
"""Returns the store for an extension."""


class DisturbedError(PsyrunError):
    """Files were replaced or removed while they were read."""


def steady_pieces(round_: Round, store: Store) -> Iterator[Columns]:
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
        The next rows, see `psyrun.rounds.RoundData.pieces`.

    Raises
    ------
    DisturbedError
        At the end, if the rows may not belong together.
    """
    from psyrun.rounds import RoundData

    before = _files(round_, store.ext)
    yield from RoundData(round_, store).pieces()
    after = _files(round_, store.ext)
    # A block that was replaced may hold other rows than were listed before, and
    # a merge removes journals that may not have been listed any more.
    if any(path not in after or after[path] != mark for path, mark in before.items()):
        raise DisturbedError(f"{round_.folder}: changed while it was read. Try again.")


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


def patiently(read: Callable[[], _T]) -> _T:
    """Read what a run may be changing; start over if a file is gone.

    Parameters
    ----------
    read : callable
        Reads, and returns the outcome.

    Raises
    ------
    DisturbedError
        If a file is missing time after time.
    """
    for attempt in range(_TRIES):
        try:
            return read()
        except (PsyrunError, FileNotFoundError) as error:
            if not _is_disturbed(error):
                raise
            last = error
        time.sleep(_PAUSE * (attempt + 1))
    raise DisturbedError(" ".join(str(last).split())) from last


def _is_disturbed(error: BaseException) -> bool:
    return isinstance(error, DisturbedError | FileNotFoundError) or isinstance(
        error.__cause__, FileNotFoundError
    )


def with_stores(taskfile: Path, read: Callable[[Stores], _T]) -> _T:
    """Read data of a task; run its file only if it cannot be read without.

    Parameters
    ----------
    taskfile : Path
        The task file. It is run where a store is known to it alone, or values
        are of classes that it defines.
    read : callable
        Called with a function that returns the store for an extension.

    Returns
    -------
    object
        What `read` returns.

    Raises
    ------
    PsyrunError
        If the data cannot be read.
    """
    try:
        return read(store_named)
    except (PsyrunError, ImportError, AttributeError) as error:
        if _is_disturbed(error):
            raise
    from psyrun.rounds import store_with
    from psyrun.tasks import load_task

    store = load_task(taskfile, with_space=False).store
    return read(lambda ext: store_with(ext, store))
