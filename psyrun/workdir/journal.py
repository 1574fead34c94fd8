"""Crash-safe record of each assignment that was evaluated.

A journal is a file to which one worker appends one frame as each assignment
ends. A frame is a header and a payload::

    2 bytes   b"pJ"
    1 byte    kind: row, failure, session or withdrawal
    1 byte    1 if a row has numbers, text, arrays and containers of them only
    8 bytes   index of the assignment in the frozen space
    8 bytes   start, seconds since the epoch (float)
    8 bytes   duration in seconds (float)
    8 bytes   peak memory of the worker in KiB
    8 bytes   length of the payload in bytes
    4 bytes   CRC-32 of the header so far and the payload

All numbers are little-endian. The payload of a row is its pickle, those of a
failure, a session and a withdrawal are JSON, so that counts, times and failures
can be read without unpickling anything. A withdrawal takes back the row of an
assignment that has the same start, in whichever journal, as it cannot be read, and
says why: it is a failure from then on. Each frame is handed to the operating system
in one call: a process that is killed leaves at most one torn frame, which readers
pass over, as they do with what a disk has damaged: they go on with the next frame that
has a right checksum. While the machine itself stands, nothing that was
appended is lost. Against power loss a frame is also flushed to disk, with all
before it, if the last flush was more than `FLUSH_SECONDS` ago: no more than
that time's work can be lost. A journal that is closed is on disk.
"""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import struct
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psyrun.errors import NoSuchFileError, StoreError, one_line
from psyrun.utils import unpickling
from psyrun.utils.files import force, opened, refuse_pipe, synchronise

ROW, FAILURE, SESSION, WITHDRAWAL = 1, 2, 3, 4
FLUSH_SECONDS = 5.0
_MAGIC = b"pJ"
_HEAD = struct.Struct("<2sBBQddQQ")
_CHECKSUM = struct.Struct("<I")
_FRAME = _HEAD.size + _CHECKSUM.size
_READ_AHEAD = 1 << 20
_LARGE = 1 << 20  # bytes of a payload
_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None)})
_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})
_FEW = 100  # items of a container, which take no longer than to pickle them


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
    fingerprint).
    """

    def __init__(self, path: Path, session: Mapping[str, Any]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(path, flags, 0o666)
        self._folder = path.parent
        self._is_named = False
        self._end = os.fstat(self._file).st_size
        self._flushed = time.monotonic()
        payload = json.dumps(session).encode()
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
        if _is_plain(row):
            payload, is_plain = _pickled(row), True
        else:
            payload, is_plain = _pickled_objects(row)
            if not is_plain:
                _check_readable(row, payload, read_back or reading_error)
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
        length = len(payload)
        head = _HEAD.pack(_MAGIC, kind, is_plain, index, start, duration, peak, length)
        checksum = _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head)))
        size = _FRAME + len(payload)
        try:
            written = os.writev(self._file, (head, checksum, payload))
            if written < size:
                self._append_rest((head + checksum + payload)[written:])
        except OSError:
            # Nobody else writes to it.
            os.ftruncate(self._file, self._end)
            raise
        self._end += size
        self._flush_now_and_then()

    def _append_rest(self, rest: bytes) -> None:
        while rest:
            written = os.write(self._file, rest)
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            rest = rest[written:]

    def _flush_now_and_then(self) -> None:
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()
            self._flushed = time.monotonic()

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


class UnreadableRowError(StoreError):
    """A row that was recorded cannot be read."""


def check_row(row: Mapping[str, Any]) -> None:
    """Raise a `StoreError` if a row cannot be pickled, and read again here."""
    payload, is_plain = _pickled_objects(row)
    if not is_plain:
        _check_readable(row, payload, reading_error)


def _is_plain(value: Any) -> bool:
    """Whether it is quickly seen that a value can be read wherever NumPy is."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind in _CONTAINERS and len(value) <= _FEW:
        items = value.values() if kind is dict else value
        return _PLAIN.issuperset(map(type, items)) or all(map(_is_plain, items))
    is_numpy = kind.__module__ == "numpy" and hasattr(value, "dtype")
    return is_numpy and not value.dtype.hasobject


def _pickled(row: Mapping[str, Any]) -> bytes:
    try:
        return pickle.dumps(row, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise _unpicklable(row, error) from error


def _pickled_objects(row: Mapping[str, Any]) -> tuple[bytes, bool]:
    """Return the pickle of a row, and whether it holds nothing but plain values."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(row)
    except Exception as error:
        raise _unpicklable(row, error) from error
    return file.getvalue(), pickler.is_plain


def _unpicklable(row: Mapping[str, Any], error: Exception) -> StoreError:
    # Stores are not needed to read journals.
    from psyrun.store.pickle import check_picklable

    for key, value in row.items():
        check_picklable(key, value)
    return StoreError(f"the row cannot be pickled ({one_line(error)}).")


class _Pickler(pickle.Pickler):
    """Pickles, and notes whether there were objects that may not be readable again."""

    def __init__(self, file: io.BytesIO, **settings: Any) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL, **settings)
        self.is_plain = True

    def reducer_override(self, value: Any) -> Any:
        # Python calls it for all but numbers, text and its own containers.
        is_named = isinstance(value, type) or callable(value)
        module = str(getattr(value if is_named else type(value), "__module__", ""))
        is_known = module.partition(".")[0] == "numpy" or value is complex
        if not is_known and type(value) is not complex:
            self.is_plain = False
        return NotImplemented


def _check_readable(
    row: Mapping[str, Any], payload: bytes, read_back: Callable[[bytes], str]
) -> None:
    if len(payload) > _LARGE and _is_readable_in_place(row):
        return
    cause = read_back(payload)
    if not cause:
        return
    for key, value in row.items():
        if type(value) not in _PLAIN and (own := _own_cause(value, read_back)):
            kind = f" of type {type(value).__name__}"
            raise StoreError(_refusal(f"key {key!r} holds a value{kind}", own))
    raise StoreError(_refusal("the row holds values", cause))


def _own_cause(value: Any, read_back: Callable[[bytes], str]) -> str:
    return read_back(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def _is_readable_in_place(row: Mapping[str, Any]) -> bool:
    """Whether a row can be read back, without copies of its large arrays."""
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    try:
        _Pickler(file, buffer_callback=buffers.append).dump(row)
        # Nobody may change them: they are the user's.
        views = [buffer.raw().toreadonly() for buffer in buffers]
        pickle.loads(file.getvalue(), buffers=views)
    except Exception:
        return False
    return True


def reading_error(payload: bytes) -> str:
    """Return why a pickle cannot be read in this process; empty if it can."""
    try:
        unpickling.loads(payload)
    # Whatever it is, the user's classes have raised it.
    except (Exception, SystemExit) as error:
        return one_line(error)
    return ""


def _refusal(what: str, cause: str) -> str:
    return (
        f"{what} that cannot be read back from its pickle ({cause}). Return numbers, "
        "arrays, text or lists of them instead, or objects that can be unpickled where "
        "only the task file was imported."
    )


def scan(path: Path, start: int = 0, *, verify: bool = False) -> Iterator[Entry]:
    """Yield the frames of a journal, which may still be written to.

    They come in the order of writing from byte `start` on; those that are not intact
    are left out. Payloads of rows are read only to compare checksums, with `verify`.
    """
    with opened(path, buffering=0) as file:
        for position, head in _frames(file.fileno(), start, verify=verify):
            _, kind, is_plain, index, begun, duration, peak, length = head
            where = (path, position + _FRAME, length)
            yield Entry(kind, bool(is_plain), index, begun, duration, peak, *where)


def outcomes(path: Path, start: int = 0) -> Iterator[tuple[int, int, float, range]]:
    """Yield kind, index and start of frames, and their bytes; a fast `scan`."""
    with opened(path, buffering=0) as file:
        for position, head in _frames(file.fileno(), start):
            where = range(position, position + _FRAME + head[7])
            yield head[1], head[3], head[4], where


def _frames(
    file: int,
    start: int,
    *,
    verify: bool = False,
    damages: list[range] | None = None,
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield position and header of whole frames, with a right checksum if asked.

    What is no frame is passed over, up to the next intact one; `damages` takes where
    that was, in bytes. At the end of the file it is a frame that is being written.
    """
    size = os.fstat(file).st_size
    position = base = start
    read = b""
    while position + _FRAME <= size:
        if position - base + _FRAME > len(read):
            base, read = position, os.pread(file, _READ_AHEAD, position)
            if len(read) < _FRAME:
                return
        head = _HEAD.unpack_from(read, position - base)
        end = position + _FRAME + head[7]
        is_whole = head[0] == _MAGIC and end <= size
        # A torn frame ends somewhere in those that were appended after it.
        is_doubtful = end < size and not _is_magic_at(file, end, read, end - base)
        # All but rows are few and small, and they are read as text.
        if is_whole and (verify or is_doubtful or head[1] != ROW):
            frame = read[position - base : end - base]
            if len(frame) < end - position:
                frame = os.pread(file, end - position, position)
            is_whole = _is_intact(frame)
        if not is_whole:
            following = _next_intact(file, position + 1, size, far=verify)
            if following is None:
                return
            if damages is not None:
                damages.append(range(position, following))
            position = following
            continue
        yield position, head
        position = end


def _is_magic_at(file: int, position: int, read: bytes, place: int) -> bool:
    """Whether a frame seems to begin at a position, which may be read already."""
    magic = read[place : place + len(_MAGIC)]
    if len(magic) < len(_MAGIC):
        magic = os.pread(file, len(_MAGIC), position)
    return _MAGIC.startswith(magic)


def _next_intact(file: int, start: int, size: int, *, far: bool) -> int | None:
    """Return where the next intact frame begins, None if there is none.

    A frame of a worker that was killed may be followed by those of the next one, and
    a disk may have lost what was in between. If not `far`, it is not looked for in
    what may be a large row that is being written.
    """
    end = size if far else min(size, start + _READ_AHEAD)
    while start + _FRAME <= end:
        read = os.pread(file, min(_READ_AHEAD, end - start), start)
        at = read.find(_MAGIC)
        while at >= 0:
            if _is_frame_at(file, start + at, size):
                return start + at
            at = read.find(_MAGIC, at + 1)
        # The magic number may lie across two pieces.
        start += max(len(read) - len(_MAGIC) + 1, 1)
    return None


def _is_frame_at(file: int, position: int, size: int) -> bool:
    head = os.pread(file, _HEAD.size, position)
    if len(head) < _HEAD.size:
        return False
    _, kind, is_plain, *_, length = _HEAD.unpack(head)
    end = position + _FRAME + length
    is_likely = ROW <= kind <= WITHDRAWAL and is_plain <= 1 and end <= size
    return is_likely and _is_intact(os.pread(file, end - position, position))


def damages(path: Path) -> list[range]:
    """Return which parts of a journal, in bytes, are damaged; not what is at its end.

    That may be a frame that is being written, or whose writer was killed.
    """
    found: list[range] = []
    with opened(path, buffering=0) as file:
        for _ in _frames(file.fileno(), 0, verify=True, damages=found):
            pass
    return found


def _is_intact(frame: bytes) -> bool:
    expected = _CHECKSUM.unpack_from(frame, _HEAD.size)[0]
    actual = zlib.crc32(frame[_FRAME:], zlib.crc32(frame[: _HEAD.size]))
    return bool(actual == expected)


def cut_torn(path: Path, start: int = 0) -> int:
    """Cut off what follows the last intact frame, and return where that ends, in bytes.

    For who alone writes to the journal, and whose last writer was killed. Up to byte
    `start`, all is known to be intact.
    """
    end = start
    try:
        for entry in scan(path, start, verify=True):
            end = entry.offset + entry.length
        if path.stat().st_size > end:
            os.truncate(path, end)
    except FileNotFoundError:
        # It was killed before it had one.
        return 0
    return end


def forget_outcomes(path: Path) -> None:
    """Leave of a journal only its sessions: what it recorded is safe elsewhere.

    A reader that has it open goes on with what it was.
    """
    sessions = [each for each in scan(path, verify=True) if each.kind == SESSION]
    beside = path.with_name(f"{path.name}.tmp")
    with path.open("rb") as journal, beside.open("wb") as file:
        for entry in sessions:
            journal.seek(entry.offset - _FRAME)
            file.write(journal.read(_FRAME + entry.length))
    beside.replace(path)


def latest(paths: Iterable[Path], *, verify: bool = False) -> dict[int, Entry]:
    """Return the last row of each assignment in some journals, else its last failure.

    A row that was withdrawn is a failure.
    """
    rows: dict[int, Entry] = {}
    others: list[Entry] = []
    failed: dict[int, Entry] = {}
    withdrawn: set[tuple[int, float]] = set()
    for entry in (entry for path in paths for entry in scan(path, verify=verify)):
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
    return failed | {i: r for i, r in rows.items() if (i, r.start) not in withdrawn}


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
    files: dict[Path, int] = {}
    try:
        for entry in entries:
            file = files.get(entry.path)
            if file is None:
                refuse_pipe(entry.path)
                file = files[entry.path] = os.open(entry.path, os.O_RDONLY)
            frame = os.pread(file, _FRAME + entry.length, entry.offset - _FRAME)
            if len(frame) < _FRAME + entry.length or not _is_of(frame, entry):
                raise _replaced(entry.path)
            yield frame[_FRAME:]
    finally:
        for file in files.values():
            os.close(file)


def _is_of(frame: bytes, entry: Entry) -> bool:
    magic, kind, _, index, *_, length = _HEAD.unpack_from(frame)
    # That of a withdrawal is read as a failure.
    is_kind = kind == entry.kind or (kind, entry.kind) == (WITHDRAWAL, FAILURE)
    return (
        magic == _MAGIC and is_kind and (index, length) == (entry.index, entry.length)
    )


def _replaced(path: Path) -> NoSuchFileError:
    return NoSuchFileError(f"{path}: its rows are elsewhere now. Try again.")


def rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the rows of entries of kind `ROW`.

    Raises `UnreadableRowError` for one that cannot be read.
    """
    index = -1

    def noted() -> Iterator[Entry]:
        nonlocal index
        for entry in entries:
            index = entry.index
            yield entry

    for payload in payloads(noted()):
        try:
            row = unpickling.loads(payload)
        except (Exception, SystemExit) as error:
            what = f"the row of assignment {index} holds values"
            raise UnreadableRowError(_refusal(what, one_line(error))) from error
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
            key = _key_at_fault(payload, names)
            what = (
                "the row holds values" if key is None else f"key {key!r} holds a value"
            )
            yield entry, _refusal(what, cause)


def _key_at_fault(payload: bytes, names: Collection[object]) -> object:
    """Return the key of the value that a row cannot be read for, if that is clear."""
    # This one, written in Python, shows how far it came.
    unpickler = pickle._Unpickler(io.BytesIO(payload))
    with suppress(Exception, SystemExit):
        unpickler.load()
    # Keys and values collect above the mark that follows the dictionary.
    depths = [*getattr(unpickler, "metastack", []), getattr(unpickler, "stack", [])]
    items = depths[1] if len(depths) > 1 else depths[0][1:]
    keys = [item for item in items[::2] if type(item) in _PLAIN and item in names]
    return keys[-1] if keys else None


def failures(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the records of entries of other kinds than `ROW`."""
    return (json.loads(payload) for payload in payloads(entries))
