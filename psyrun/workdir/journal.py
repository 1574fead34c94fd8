"""Crash-safe record of each assignment that was evaluated.

A journal is a file to which one worker appends one frame as each assignment ends
(`psyrun.workdir.frames` has the format). The payload of a row is its pickle, those of
a failure, a session and a withdrawal are JSON, so that counts, times and failures
can be read without unpickling anything. A withdrawal takes back the row of an
assignment that has the same start, in whichever journal, as it cannot be read, and
says why: it is a failure from then on. Each frame is handed to the operating system
in one call: a process that is killed leaves at most one torn frame, which readers
pass over, as they do with what a disk has damaged: they go on with the next frame that
has a right checksum. While the machine itself stands, nothing that was
appended is lost. Against power loss a frame is also flushed to disk, with all
before it, if the last flush was more than `FLUSH_SECONDS` ago: no more than
that time's work can be lost. A journal that is closed is on disk.

A session says for which block of which round it was written. Readers pass over one that
stands in the journal of another block, as after a restore to a wrong place.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from psyrun.errors import NoSuchFileError, one_line
from psyrun.utils import unpickling
from psyrun.utils.files import force, opened, refuse_pipe, synchronise
from psyrun.utils.leftovers import hidden_beside
from psyrun.workdir.frames import (
    FAILURE,
    HEAD,
    MAGIC,
    PREFIX,
    ROW,
    SESSION,
    WITHDRAWAL,
    prefix_of,
    whole_frames,
)
from psyrun.workdir.layout import Place
from psyrun.workdir.row_pickles import (
    UnreadableRowError,
    key_at_fault,
    pickled,
    reading_error,
    refusal,
)

FLUSH_SECONDS = 5.0
_READ_AHEAD = 1 << 18  # bytes


@dataclass(slots=True)
class Entry:
    """One frame of a journal: its header, and where its payload is, in bytes.

    Units are those of the header; `kind` is `ROW`, `FAILURE`, `SESSION` or
    `WITHDRAWAL`. A row that `is_plain` can be read wherever NumPy is.
    """

    kind: int
    is_plain: bool
    index: int
    start: float
    duration: float
    peak: int
    path: Path
    offset: int
    length: int


class Journal:
    """A journal to append to, by one writer at a time.

    What is there stays, also a torn frame that an earlier writer left at its end, which
    readers pass over. `session` holds for all that follows (host, process,
    fingerprint); the place of the journal is added.
    """

    def __init__(self, path: Path, session: Mapping[str, Any]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(path, flags, 0o666)
        self._folder = path.parent
        self._is_named = False
        self._end = os.fstat(self._file).st_size
        self._flushed = time.monotonic()
        place = Place.of(path)
        where = {} if place is None else place._asdict()
        payload = json.dumps({**session, **where}).encode()
        self._append(SESSION, 0, time.time(), 0.0, 0, payload)

    def row(
        self,
        index: int,
        start: float,
        duration: float,
        peak: int,
        row: Mapping[str, Any],
        read_back: Callable[[bytes], str] | None = None,
    ) -> None:
        """Record the row of one assignment.

        Raises `StoreError` if a value cannot be pickled and read again, and `OSError`
        if the row cannot be written whole; the journal is as before then. A row that
        is not plain is read with `read_back`, which returns why that fails, by
        default in this process.
        """
        payload, is_plain = pickled(row, read_back or reading_error)
        self._append(ROW, index, start, duration, peak, payload, is_plain)

    def failure(
        self,
        index: int,
        start: float,
        duration: float,
        peak: int,
        failure: Mapping[str, Any],
    ) -> None:
        """Record why one assignment has no row."""
        payload = json.dumps(failure).encode()
        self._append(FAILURE, index, start, duration, peak, payload)

    def withdraw(self, row: Entry, failure: Mapping[str, Any]) -> None:
        """Take back a row that cannot be read: its assignment failed.

        What it took is what the row took, which may stand in another's journal.
        """
        payload = json.dumps(failure).encode()
        self._append(WITHDRAWAL, row.index, row.start, row.duration, row.peak, payload)

    def _append(
        self,
        kind: int,
        index: int,
        start: float,
        duration: float,
        peak: int,
        payload: bytes,
        is_plain: bool = False,
    ) -> None:
        prefix = prefix_of(kind, is_plain, index, start, duration, peak, payload)
        size = PREFIX + len(payload)
        try:
            written = os.writev(self._file, (prefix, payload))
            if written < size:
                self._append_rest((prefix + payload)[written:])
        except OSError:
            # Nobody else writes to it.
            os.ftruncate(self._file, self._end)
            raise
        self._end += size
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()
            self._flushed = time.monotonic()

    def _append_rest(self, rest: bytes) -> None:
        while rest:
            written = os.write(self._file, rest)
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            rest = rest[written:]

    def _flush(self) -> None:
        force(self._file)
        if not self._is_named:
            with suppress(OSError):
                synchronise(self._folder)
            self._is_named = True

    def close(self) -> None:
        """Force what was recorded to disk, and close the file."""
        # It is recorded, whether or not it would outlive a power failure.
        with suppress(OSError):
            self._flush()
        os.close(self._file)


@dataclass
class Unusable:
    """What readers of journals have passed over.

    Attributes
    ----------
    damaged : dict of Path to list of range
        Parts of journals, in bytes; not what is at the end, which may be a frame that
        is being written, or whose writer was killed.
    misplaced : dict of Path to Place
        Journals that hold records for another place than theirs.
    """

    damaged: dict[Path, list[range]] = field(default_factory=dict)
    misplaced: dict[Path, Place] = field(default_factory=dict)


def scan(
    path: Path,
    start: int = 0,
    *,
    verify: bool = False,
    unusable: Unusable | None = None,
) -> Iterator[Entry]:
    """Yield the frames of a journal, which may still be written to.

    They come in the order of writing from byte `start` on; those that are not intact,
    or were written for another block, are left out. Payloads of rows are read only to
    compare checksums, with `verify`. What is left out is added to `unusable`.
    """
    place, other = Place.of(path), None
    found = Unusable() if unusable is None else unusable
    parts: list[range] = []
    with opened(path, buffering=0) as file:
        number = file.fileno()
        for position, head in whole_frames(number, start, verify=verify, damages=parts):
            _, kind, plain, index, begun, lasted, peak, length, _ = head
            at, is_plain = position + PREFIX, plain != 0
            if kind == SESSION:
                other = _other_place(number, at, length, place)
                if other is not None:
                    found.misplaced[path] = other
            if other is None:
                yield Entry(
                    kind, is_plain, index, begun, lasted, peak, path, at, length
                )
    if parts:
        found.damaged[path] = parts


def outcomes(path: Path, start: int = 0) -> Iterator[tuple[int, int, float, int, int]]:
    """Yield kind, index and start of frames, and which bytes they are; a fast `scan`.

    These are the position of the first one, and that after the last one.
    """
    place, other = Place.of(path), None
    with opened(path, buffering=0) as file:
        number = file.fileno()
        for position, head in whole_frames(number, start):
            _, kind, _, index, begun, _, _, length, _ = head
            if kind == SESSION:
                other = _other_place(number, position + PREFIX, length, place)
            if other is None:
                yield kind, index, begun, position, position + PREFIX + length


def _other_place(
    file: int, position: int, length: int, place: Place | None
) -> Place | None:
    """Return where a session belongs, if it says that, and it is elsewhere."""
    try:
        session = json.loads(os.pread(file, length, position))
        stated = Place(int(session["round"]), int(session["block"]))
    except (KeyError, TypeError, ValueError):
        # Former versions did not tell.
        return None
    return None if place in (None, stated) else stated


def unusable_of(path: Path) -> Unusable:
    """Return which parts of a journal are damaged, and whether it is another's."""
    found = Unusable()
    for _ in scan(path, verify=True, unusable=found):
        pass
    return found


class LastFrame(NamedTuple):
    """The last frame of a journal.

    Attributes
    ----------
    end : int
        Where it ends, in bytes.
    until : float or None
        When what it records had ended, in seconds since the epoch: then its writer
        began with the next. None if no frame was looked at.
    """

    end: int
    until: float | None = None


def cut_torn(path: Path, start: int = 0) -> LastFrame:
    """Cut off what follows the last intact frame, and return that.

    For who alone writes to the journal, and whose last writer was killed. Up to byte
    `start`, all is known to be intact.
    """
    last = LastFrame(start)
    try:
        with opened(path, buffering=0) as file:
            for position, head in whole_frames(file.fileno(), start, verify=True):
                _, _, _, _, begun, lasted, _, length, _ = head
                last = LastFrame(position + PREFIX + length, begun + lasted)
        if path.stat().st_size > last.end:
            os.truncate(path, last.end)
    except FileNotFoundError:
        # It was killed before it had one.
        return LastFrame(0)
    return last


def forget_rows(path: Path, failed: Collection[int] = ()) -> None:
    """Leave of a journal its sessions, and the failures of some assignments.

    The rows are safe elsewhere, and so is what is damaged. A reader that has it open
    goes on with what it was.
    """
    beside = hidden_beside(path)
    with opened(path, buffering=0) as journal, beside.open("wb") as file:
        number = journal.fileno()
        # All but rows are verified.
        for position, head in whole_frames(number, 0, far=True):
            kind = head[1]
            if kind != ROW and (kind == SESSION or head[3] in failed):
                file.write(os.pread(number, PREFIX + head[7], position))
    beside.replace(path)


def latest(
    paths: Iterable[Path], *, verify: bool = False, unusable: Unusable | None = None
) -> dict[int, Entry]:
    """Return the last row of each assignment in some journals, else its last failure.

    A row that was withdrawn is a failure. See `scan` for the rest.
    """
    rows: dict[int, Entry] = {}
    others: list[Entry] = []
    failed: dict[int, Entry] = {}
    withdrawn: set[tuple[int, float]] = set()
    found = (scan(path, verify=verify, unusable=unusable) for path in paths)
    with _without_collections():
        for entry in chain.from_iterable(found):
            index = entry.index
            if entry.kind == ROW:
                first = rows.setdefault(index, entry)
                if first is not entry:
                    others.append(entry)
            elif entry.kind != SESSION:
                if entry.kind == WITHDRAWAL:
                    withdrawn.add((index, entry.start))
                    entry.kind = FAILURE
                failed[index] = _later(entry, failed.get(index))
    for row in others:
        if _is_better(row, rows[row.index], withdrawn):
            rows[row.index] = row
    if withdrawn:
        rows = {i: r for i, r in rows.items() if (i, r.start) not in withdrawn}
    return failed | rows


@contextmanager
def _without_collections() -> Iterator[None]:
    """Look for no garbage while much is made that stays."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _later(failure: Entry, other: Entry | None) -> Entry:
    if other is None or failure.path == other.path or failure.start >= other.start:
        return failure
    # The names of journals do not tell in which order they were written.
    return other


def _is_better(row: Entry, other: Entry, withdrawn: Collection[object]) -> bool:
    """Whether a row counts more than another one of its assignment.

    A late one, of a job that had lost its lock, began before that of the other job.
    """
    is_there = (row.index, row.start) not in withdrawn
    is_other_there = (other.index, other.start) not in withdrawn
    is_of_later_job = row.path != other.path and row.start > other.start
    return is_there and (is_of_later_job or not is_other_there)


def payloads(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the payloads of entries, keeping each journal open meanwhile."""
    return (payload for _, payload in _with_payloads(entries))


def _with_payloads(entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes]]:
    readers: dict[Path, _Reader] = {}
    path, reader = None, None
    try:
        for entry in entries:
            if reader is None or entry.path is not path:
                path = entry.path
                reader = readers.get(path)
                if reader is None:
                    reader = readers[path] = _Reader(path)
            yield entry, reader.payload(entry)
    finally:
        for reader in readers.values():
            reader.close()


class _Reader:
    """Reads payloads of a journal; ahead, as long as one follows the other."""

    def __init__(self, path: Path) -> None:
        refuse_pipe(path)
        self._path = path
        self._file = os.open(path, os.O_RDONLY)
        self._read = b""
        self._base = self._end = 0

    def payload(self, entry: Entry) -> bytes:
        size = entry.length
        begin = entry.offset - self._base
        if begin < PREFIX or begin + size > len(self._read):
            self._fetch(entry.offset - PREFIX, PREFIX + size)
            begin = PREFIX
        read, end = self._read, begin + size
        magic, kind, _, index, _, _, _, length = HEAD.unpack_from(read, begin - PREFIX)
        if magic != MAGIC or index != entry.index or length != size:
            raise _replaced(self._path)
        # That of a withdrawal is read as a failure.
        if kind != entry.kind and (kind, entry.kind) != (WITHDRAWAL, FAILURE):
            raise _replaced(self._path)
        self._end = entry.offset + size
        return read[begin:end]

    def _fetch(self, position: int, size: int) -> None:
        ahead = _READ_AHEAD if position == self._end else 0
        self._read = os.pread(self._file, max(size, ahead), position)
        self._base = position
        if len(self._read) < size:
            raise _replaced(self._path)

    def close(self) -> None:
        os.close(self._file)


def _replaced(path: Path) -> NoSuchFileError:
    return NoSuchFileError(f"{path}: its rows are elsewhere now. Try again.")


def rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the rows of entries of kind `ROW`.

    Raises `UnreadableRowError` for one that cannot be read.
    """
    loads = unpickling.loads
    for entry, payload in _with_payloads(entries):
        try:
            row = loads(payload)
        except (Exception, SystemExit) as error:
            what = f"the row of assignment {entry.index} holds values"
            raise UnreadableRowError(refusal(what, one_line(error))) from error
        yield row


def unreadable(
    entries: Iterable[Entry], names: Collection[object] = ()
) -> Iterator[tuple[Entry, str]]:
    """Yield the rows that cannot be read in this process, each with one line why.

    Only those that are not plain are tried. `names` are those of the values in rows,
    as far as they are known.
    """
    suspects = [entry for entry in entries if entry.kind == ROW and not entry.is_plain]
    for entry, payload in zip(suspects, payloads(suspects), strict=True):
        if cause := reading_error(payload):
            key = key_at_fault(payload, names)
            what = (
                "the row holds values" if key is None else f"key {key!r} holds a value"
            )
            yield entry, refusal(what, cause)


def failures(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the records of entries of other kinds than `ROW`."""
    return (json.loads(payload) for payload in payloads(entries))
