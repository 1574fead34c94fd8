"""Columns that are pickled piece by piece, as one dictionary of lists.

The dictionary and its lists are pickled empty. The values of a piece are then pickled
as a list of their own, of which only the opcodes that append the items are written,
after one that gets the list of the column from the memo. So the file is a plain
pickle, and only the last piece is in memory.

The places in the memo can begin anew with each piece where the opcodes say them, as
up to protocol 3. For opcodes, see `pickletools`.
"""

from __future__ import annotations

import copyreg
import pickle
from collections.abc import Iterable
from math import nan
from types import FunctionType
from typing import IO, Any

from psyrun.store.rows import Columns, count_rows
from psyrun.utils.typing import override

OLDEST_PROTOCOL = 2
"""The oldest protocol of which a pickle can be written in pieces."""

_NEWEST = 3
_STEP_ROWS = 10_000
_STEP_BYTES = 1 << 20


class PickledColumns:
    """A pickle of columns that grow, for which `end` is still missing.

    Parameters
    ----------
    file : binary file
        An empty file.
    protocol : int
        `OLDEST_PROTOCOL` or newer; opcodes are of protocol 3 at most.
    """

    def __init__(self, file: IO[bytes], protocol: int) -> None:
        self._file = file
        self._part = _Part(file)
        opcodes = min(protocol, _NEWEST)
        self._pickler = _Pickler(self._part, opcodes, protocol)
        self._columns: dict[str, list[Any]] = {}
        self._n_rows = 0
        self._part.begin()
        self._pickler.dump({})
        self._memo = self._pickler.memo.copy()

    def append(self, columns: Columns) -> None:
        """Add rows; if that fails, what comes next takes their place."""
        place, known, memo = self._file.tell(), dict(self._columns), self._memo
        try:
            self._append(columns)
        except BaseException:
            self._file.seek(place)
            self._file.truncate()
            self._columns, self._memo = known, memo
            raise
        finally:
            # So that the rows are forgotten.
            self._pickler.begin_with(self._memo)

    def _append(self, columns: Columns) -> None:
        self._add_keys(key for key in columns if key not in self._columns)
        n_new = count_rows(columns)
        for key in self._columns:
            values = columns[key] if key in columns else [nan] * n_new
            self._extend(key, list(values))
        self._n_rows += n_new

    def _add_keys(self, keys: Iterable[str]) -> None:
        added: dict[str, list[Any]] = {key: [] for key in keys}
        if not added:
            return
        self._dump_items(added)
        self._memo = self._pickler.memo.copy()
        self._columns.update(added)
        for key in added:
            for begin in range(0, self._n_rows, _STEP_ROWS):
                self._extend(key, [nan] * min(_STEP_ROWS, self._n_rows - begin))

    def _extend(self, key: str, values: list[Any]) -> None:
        place, _ = self._memo[id(self._columns[key])]
        self._file.write(pickle.LONG_BINGET + place.to_bytes(4, "little"))
        begin, step = 0, 1
        while begin < len(values):
            self._dump_items(values[begin : begin + step])
            begin += step
            if self._pickler.n_copied < _STEP_BYTES:
                step *= 2
            else:
                self._pickler.forget_copies()
        self._file.write(pickle.POP)

    def _dump_items(self, container: dict[str, Any] | list[Any]) -> None:
        self._part.begin(only_items=True)
        self._pickler.dump(container)

    def end(self) -> None:
        """Make the file a whole pickle of what it has."""
        self._file.write(pickle.STOP)


class _Pickler(pickle.Pickler):
    """Pickles with old opcodes what objects give for a newer protocol.

    A date lacks its `fold` up to protocol 3, for example. The bytes that arrays hold
    are not kept in memory as the memo would do. The arrays themselves stay in the
    memo, so that the same one is pickled once.
    """

    def __init__(self, file: _Part, opcodes: int, protocol: int) -> None:
        super().__init__(file, opcodes)
        self._protocol = protocol
        self._copies: set[int] = set()
        self.n_copied = 0

    @override
    def reducer_override(self, obj: Any, /) -> Any:
        kind = type(obj)
        if (
            kind is FunctionType
            or kind in copyreg.dispatch_table
            or issubclass(kind, type)
        ):
            return NotImplemented
        if kind.__name__ == "ndarray" and kind.__module__ == "numpy":
            return self._reduced(obj)
        return obj.__reduce_ex__(self._protocol)

    def _reduced(self, array: Any) -> Any:
        # From protocol 5 on, it would be a buffer.
        reduced = array.__reduce_ex__(2)
        state = reduced[2]
        if isinstance(state[-1], bytes):
            self._copies |= {id(state), id(state[-1])}
            self.n_copied += len(state[-1])
        return reduced

    def forget_copies(self) -> None:
        """Let something else take the places of bytes in the memo."""
        memo: Any = self.memo.copy()
        for own in self._copies & memo.keys():
            place, _ = memo.pop(own)
            other = object()
            memo[id(other)] = (place, other)
        self.begin_with(memo)

    def begin_with(self, memo: Any) -> None:
        """Forget what is not in `memo`."""
        self.memo = memo
        self._copies.clear()
        self.n_copied = 0


class _Part:
    """Writes a pickle into a file without its last byte, and maybe without its begin.

    What is left out is the protocol and an empty container that is put into the memo.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._head: bytes | None = None
        self._last = b""

    def begin(self, *, only_items: bool = False) -> None:
        """Begin with another pickle."""
        self._head = b"" if only_items else None
        self._last = b""

    def write(self, data: Any, /) -> int:
        """Write what is not left out."""
        kept = memoryview(data)
        if self._head is not None:
            self._head += kept
            n_dropped = 5 if self._head[3:4] == pickle.BINPUT else 8
            if len(self._head) <= n_dropped:
                return len(data)
            kept = memoryview(self._head)[n_dropped:]
            self._head = None
        self._file.write(self._last)
        self._file.write(kept[:-1])
        self._last = bytes(kept[-1:])
        return len(data)
