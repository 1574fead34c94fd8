"""Crash-safe record of each assignment that was evaluated.

A journal is a file to which one worker appends one frame as each assignment
ends. A frame is a header and a payload::

    2 bytes   b"pJ"
    1 byte    kind: row, failure or session
    1 byte    zero
    8 bytes   index of the assignment in the frozen space
    8 bytes   start, seconds since the epoch (float)
    8 bytes   duration in seconds (float)
    8 bytes   peak memory of the worker in KiB
    8 bytes   length of the payload in bytes
    4 bytes   CRC-32 of the header so far and the payload

All numbers are little-endian. The payload of a row is its pickle, those of a
failure and of a session are JSON, so that counts, times and failures can be
read without unpickling anything. Each frame is handed to the operating system
in one call: a process that is killed leaves at most one torn frame, at the
end, and readers drop it. While the machine itself stands, nothing that was
appended is lost. Against power loss a frame is also flushed to disk, with all
before it, if the last flush was more than `FLUSH_SECONDS` ago: no more than
that time's work can be lost.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import struct
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psyrun.errors import StoreError, one_line
from psyrun.utils import unpickling

ROW, FAILURE, SESSION = 1, 2, 3
FLUSH_SECONDS = 5.0
_MAGIC = b"pJ"
_HEAD = struct.Struct("<2sBxQddQQ")
_CHECKSUM = struct.Struct("<I")
_FRAME = _HEAD.size + _CHECKSUM.size
_READ_AHEAD = 1 << 20


@dataclass(slots=True)
class Entry:
    """One frame of a journal: its header, and where its payload is, in bytes.

    Units are those of the header; `kind` is `ROW`, `FAILURE` or `SESSION`.
    """

    kind: int
    index: int
    start: float
    duration: float
    peak: int
    path: Path
    offset: int
    length: int


class Journal:
    """A journal to append to, by one writer at a time.

    A torn frame that an earlier writer left at its end is cut off. `session` holds
    for all that follows (host, process, fingerprint). Up to byte `intact`, the
    journal is known to be intact and is not verified again.
    """

    def __init__(self, path: Path, session: Mapping[str, Any], intact: int = 0) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._end = _intact_length(path, intact)
        os.ftruncate(self._file, self._end)
        os.lseek(self._file, self._end, os.SEEK_SET)
        self._flushed = time.monotonic()
        self._append(SESSION, 0, time.time(), 0.0, 0, json.dumps(session).encode())

    def row(
        self,
        index: int,
        start: float,
        duration: float,
        peak: int,
        row: Mapping[str, Any],
    ) -> None:
        """Record the row of one assignment.

        Raises `StoreError` if a value cannot be pickled, and `OSError` if the row
        cannot be written whole; the journal is as before then.
        """
        self._append(ROW, index, start, duration, peak, _pickled(row))

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

    def _append(
        self,
        kind: int,
        index: int,
        start: float,
        duration: float,
        peak: int,
        payload: bytes,
    ) -> None:
        head = _HEAD.pack(_MAGIC, kind, index, start, duration, peak, len(payload))
        checksum = _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head)))
        size = _FRAME + len(payload)
        try:
            written = os.writev(self._file, (head, checksum, payload))
            if written < size:
                self._append_rest((head + checksum + payload)[written:])
        except OSError:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, self._end, os.SEEK_SET)
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
            os.fsync(self._file)
            self._flushed = time.monotonic()

    @property
    def end(self) -> int:
        """Length of the journal, in bytes."""
        return self._end

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _pickled(row: Mapping[str, Any]) -> bytes:
    try:
        return pickle.dumps(row, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        # Stores are not needed to read journals.
        from psyrun.store.pickle import check_picklable

        for key, value in row.items():
            check_picklable(key, value)
        raise StoreError(f"the row cannot be pickled ({one_line(error)}).") from error


def scan(path: Path, start: int = 0, *, verify: bool = False) -> Iterator[Entry]:
    """Yield the frames of a journal, which may still be written to.

    They come in the order of writing from byte `start` on, up to the first that is
    not intact. Payloads are read only to compare checksums, with `verify`.
    """
    with path.open("rb", buffering=0) as file:
        for position, head in _frames(file.fileno(), start, verify=verify):
            _, kind, index, begun, duration, peak, length = head
            offset = position + _FRAME
            yield Entry(kind, index, begun, duration, peak, path, offset, length)


def outcomes(path: Path, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """Yield kind and index of frames, and the byte where each ends; a fast `scan`."""
    with path.open("rb", buffering=0) as file:
        for position, head in _frames(file.fileno(), start):
            yield head[1], head[2], position + _FRAME + head[6]


def _frames(
    file: int, start: int, *, verify: bool = False
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield position and header of whole frames, with a right checksum if asked."""
    size = os.fstat(file).st_size
    position = base = start
    read = b""
    while position + _FRAME <= size:
        if position - base + _FRAME > len(read):
            base, read = position, os.pread(file, _READ_AHEAD, position)
            if len(read) < _FRAME:
                return
        head = _HEAD.unpack_from(read, position - base)
        end = position + _FRAME + head[6]
        if head[0] != _MAGIC or end > size:
            return
        if verify:
            frame = read[position - base : end - base]
            whole = len(frame) == end - position
            if not _is_intact(
                frame if whole else os.pread(file, end - position, position)
            ):
                return
        yield position, head
        position = end


def _is_intact(frame: bytes) -> bool:
    expected = _CHECKSUM.unpack_from(frame, _HEAD.size)[0]
    actual = zlib.crc32(frame[_FRAME:], zlib.crc32(frame[: _HEAD.size]))
    return bool(actual == expected)


def _intact_length(path: Path, start: int) -> int:
    """Return where the last intact frame ends, in bytes."""
    end = start
    for entry in scan(path, start, verify=True):
        end = entry.offset + entry.length
    return end


def latest(paths: Iterable[Path], *, verify: bool = False) -> dict[int, Entry]:
    """Return the row of each assignment in some journals, else its last failure."""
    found: dict[int, Entry] = {}
    for path in paths:
        for entry in scan(path, verify=verify):
            if entry.kind == SESSION:
                continue
            before = found.get(entry.index)
            if before is None or before.kind != ROW:
                found[entry.index] = entry
    return found


def payloads(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the payloads of entries, keeping each journal open meanwhile."""
    files: dict[Path, int] = {}
    try:
        for entry in entries:
            file = files.get(entry.path)
            if file is None:
                file = files[entry.path] = os.open(entry.path, os.O_RDONLY)
            yield os.pread(file, entry.length, entry.offset)
    finally:
        for file in files.values():
            os.close(file)


def rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the rows of entries of kind `ROW`."""
    return (unpickling.loads(payload) for payload in payloads(entries))


def failures(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the records of entries of kind `FAILURE` or `SESSION`."""
    return (json.loads(payload) for payload in payloads(entries))
