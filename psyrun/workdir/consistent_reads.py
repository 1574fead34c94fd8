"""Reading what a run may be changing.

Nothing is locked, so that the run goes on. It may replace or remove files
meanwhile, above all when it merges; then reading starts over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from psyrun.errors import PsyrunError, StoreError
from psyrun.workdir.layout import Round
from psyrun.workdir.progress import FileStamp, finished_blocks, stamp_of
from psyrun.workdir.row_pickles import UnreadableRowError

if TYPE_CHECKING:
    from psyrun.store.base import Store
    from psyrun.store.rows import ColumnDict
    from psyrun.workdir.journal import Entry
    from psyrun.workdir.rows import RoundData

_T = TypeVar("_T")
_TRIES = 6
_PAUSE = 0.1  # seconds, longer after each try


class ConcurrentChangeError(PsyrunError):
    """Files were replaced or removed while they were read."""


def retry_while_changing(read: Callable[[], _T]) -> _T:
    """Return what `read` returns; call it again if files changed meanwhile.

    Raises `ConcurrentChangeError` if they do so time after time.
    """
    for attempt in range(_TRIES):
        try:
            return read()
        except (PsyrunError, FileNotFoundError) as error:
            if not is_concurrent_change(error):
                raise
            # Its frames would hold what was read until cyclic garbage is collected.
            last = error.with_traceback(None)
        time.sleep(_PAUSE * (attempt + 1))
    raise ConcurrentChangeError(" ".join(str(last).split())) from last


def is_concurrent_change(error: BaseException) -> bool:
    """Whether an error shows that files changed while they were read."""
    if isinstance(error, UnreadableRowError):
        # Its cause is one of the user's classes.
        return False
    return isinstance(error, ConcurrentChangeError | FileNotFoundError) or isinstance(
        error.__cause__, FileNotFoundError
    )


def consistent_pieces(
    round_: Round,
    store: Store,
    on_unreadable: Callable[[Entry, str], object] | None = None,
    pieces_of: Callable[[RoundData], Iterator[ColumnDict]] | None = None,
) -> Iterator[ColumnDict]:
    """Yield all rows of a round, see `psyrun.workdir.rows.RoundData`.

    Or yield those that `pieces_of` makes of it.

    Raises `ConcurrentChangeError` at the end if they may not belong together.
    """
    from psyrun.workdir.rows import RoundData

    before = _stamps(round_, store.ext)
    problem: StoreError | None = None
    try:
        data = RoundData(round_, store, on_unreadable)
        yield from data.pieces() if pieces_of is None else pieces_of(data)
    except StoreError as error:
        problem = error
    after = _stamps(round_, store.ext)
    # A block that was replaced may hold other rows than were listed before, and
    # a merge removes journals that may not have been listed any more.
    if any(path not in after or after[path] != old for path, old in before.items()):
        raise ConcurrentChangeError(
            f"{round_.folder}: changed while it was read. Try again."
        )
    if problem is not None:
        raise problem


def _stamps(round_: Round, ext: str) -> dict[Path, FileStamp | None]:
    """Return the stamps of the files that must not change while rows are read."""
    blocks = [round_.block(block, ext) for block in finished_blocks(round_, ext)]
    records = [round_.merged, round_.merged_rows]
    return {path: _stamp(path) for path in [*blocks, *records]}


def _stamp(path: Path) -> FileStamp | None:
    try:
        return stamp_of(path.stat())
    except FileNotFoundError:
        return None
