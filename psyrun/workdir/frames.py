"""The frames of journals, and where in a damaged one intact frames are.

A frame is a header and a payload::

    2 bytes   b"pJ"
    1 byte    kind: row, failure, session or withdrawal
    1 byte    1 if a row has numbers, text, arrays and containers of them only
    8 bytes   index of the assignment in the frozen space
    8 bytes   start, seconds since the epoch (float)
    8 bytes   duration in seconds (float)
    8 bytes   peak memory of the worker in KiB
    8 bytes   length of the payload in bytes
    4 bytes   CRC-32 of the header so far and the payload

All numbers are little-endian.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

ROW, FAILURE, SESSION, WITHDRAWAL = 1, 2, 3, 4
MAGIC = b"pJ"
HEAD = struct.Struct("<2sBBQddQQ")
_CHECKSUM = struct.Struct("<I")
PREFIX = HEAD.size + _CHECKSUM.size
"""How many bytes a frame has before its payload."""
_READ_AHEAD = 1 << 20  # bytes


def checksum_of(head: bytes, payload: bytes) -> bytes:
    """Return what stands between the header of a frame and its payload."""
    return _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head)))


def whole_frames(
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
    while position + PREFIX <= size:
        if position - base + PREFIX > len(read):
            base, read = position, os.pread(file, _READ_AHEAD, position)
            if len(read) < PREFIX:
                return
        head = HEAD.unpack_from(read, position - base)
        end = position + PREFIX + head[7]
        is_whole = head[0] == MAGIC and end <= size
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
    magic = read[place : place + len(MAGIC)]
    if len(magic) < len(MAGIC):
        magic = os.pread(file, len(MAGIC), position)
    return MAGIC.startswith(magic)


def _next_intact(file: int, start: int, size: int, *, far: bool) -> int | None:
    """Return where the next intact frame begins, None if there is none.

    A frame of a worker that was killed may be followed by those of the next one, and
    a disk may have lost what was in between. If not `far`, it is not looked for in
    what may be a large row that is being written.
    """
    end = size if far else min(size, start + _READ_AHEAD)
    while start + PREFIX <= end:
        read = os.pread(file, min(_READ_AHEAD, end - start), start)
        at = read.find(MAGIC)
        while at >= 0:
            if _is_frame_at(file, start + at, size):
                return start + at
            at = read.find(MAGIC, at + 1)
        # The magic number may lie across two pieces.
        start += max(len(read) - len(MAGIC) + 1, 1)
    return None


def _is_frame_at(file: int, position: int, size: int) -> bool:
    head = os.pread(file, HEAD.size, position)
    if len(head) < HEAD.size:
        return False
    _, kind, is_plain, *_, length = HEAD.unpack(head)
    end = position + PREFIX + length
    is_likely = ROW <= kind <= WITHDRAWAL and is_plain <= 1 and end <= size
    return is_likely and _is_intact(os.pread(file, end - position, position))


def _is_intact(frame: bytes) -> bool:
    expected = _CHECKSUM.unpack_from(frame, HEAD.size)[0]
    actual = zlib.crc32(frame[PREFIX:], zlib.crc32(frame[: HEAD.size]))
    return bool(actual == expected)
