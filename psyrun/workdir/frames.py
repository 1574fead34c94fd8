"""The frames of journals, and where in a damaged one intact frames are.

A frame is a header and a payload::

    2 bytes   b"pJ"
    1 byte    kind: row, failure, session or withdrawal
    1 byte    1 if a row has numbers, text, arrays and containers of them only
    8 bytes   index of the assignment in the frozen space
    8 bytes   start, seconds since the epoch (float)
    8 bytes   duration in seconds (float)
    8 bytes   peak memory of the evaluation in KiB
    8 bytes   length of the payload in bytes
    4 bytes   CRC-32 of the header so far and the payload

All numbers are little-endian.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import TypeAlias

ROW, FAILURE, SESSION, WITHDRAWAL = 1, 2, 3, 4
MAGIC = b"pJ"
HEAD = struct.Struct("<2sBBQddQQ")
_CHECKSUM = struct.Struct("<I")
_HEAD_AND_CHECKSUM = struct.Struct(f"{HEAD.format}I")
PREFIX = HEAD.size + _CHECKSUM.size
"""How many bytes a frame has before its payload."""
# Read at once: few enough for the headers in it not to be looked through as garbage.
_PIECE = 1 << 16  # bytes
_SEARCHED = 1 << 20  # bytes

Head: TypeAlias = tuple[bytes, int, int, int, float, float, int, int, int]
"""The header of a frame and its checksum."""


def prefix_of(
    kind: int,
    is_plain: bool,
    index: int,
    start: float,
    duration: float,
    peak: int,
    payload: bytes,
) -> bytes:
    """Return what stands before the payload of a frame."""
    length = len(payload)
    head = HEAD.pack(MAGIC, kind, is_plain, index, start, duration, peak, length)
    return head + _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head)))


def whole_frames(
    file: int,
    start: int,
    *,
    verify: bool = False,
    far: bool = False,
    damages: list[range] | None = None,
) -> Iterator[tuple[int, Head]]:
    """Yield position and header of whole frames, with a right checksum if asked.

    What is no frame is passed over, up to the next intact one, which is looked for
    however `far` it is if checksums are compared; `damages` takes where that was, in
    bytes. At the end of the file it is a frame that is being written.
    """
    size = os.fstat(file).st_size
    position = start
    while position + PREFIX <= size:
        read = os.pread(file, _PIECE, position)
        if len(read) < PREFIX:
            return
        found, length = _frames_in(read, position, verify=verify)
        yield from found
        position += length
        if found:
            continue
        # It is large, the last one, or damaged.
        head = _HEAD_AND_CHECKSUM.unpack_from(read)
        end = position + PREFIX + head[7]
        if _is_whole(file, head, read, position, size, verify=verify):
            yield position, head
            position = end
            continue
        following = _next_intact(file, position + 1, size, far=far or verify)
        if following is None:
            return
        if damages is not None:
            damages.append(range(position, following))
        position = following


def _frames_in(
    read: bytes, position: int, *, verify: bool
) -> tuple[list[tuple[int, Head]], int]:
    """Return the first frames of a piece that are followed by another, and their size.

    All of them are whole. The piece stands at a `position` in its file.
    """
    found: list[tuple[int, Head]] = []
    unpack, crc32, size = _HEAD_AND_CHECKSUM.unpack_from, zlib.crc32, HEAD.size
    at, last = 0, len(read) - PREFIX
    head: Head = unpack(read)
    while head[0] == MAGIC:
        end = at + PREFIX + head[7]
        if end > last:
            break
        following: Head = unpack(read, end)
        # A torn frame ends somewhere in those that were appended after it.
        if following[0] != MAGIC:
            break
        # All but rows are few and small, and they are read as text.
        if verify or head[1] != ROW:
            begun = crc32(read[at : at + size])
            if crc32(read[at + PREFIX : end], begun) != head[8]:
                break
        found.append((position + at, head))
        at, head = end, following
    return found, at


def _is_whole(
    file: int, head: Head, read: bytes, position: int, size: int, *, verify: bool
) -> bool:
    """Whether a frame, the first in a piece of a file, is whole."""
    length = PREFIX + head[7]
    end = position + length
    if head[0] != MAGIC or end > size:
        return False
    is_doubtful = end < size and not _is_magic_at(file, end, read, length)
    if verify or is_doubtful or head[1] != ROW:
        frame = read[:length]
        if len(frame) < length:
            frame = os.pread(file, length, position)
        return _is_intact(frame)
    return True


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
    end = size if far else min(size, start + _SEARCHED)
    while start + PREFIX <= end:
        read = os.pread(file, min(_SEARCHED, end - start), start)
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
