"""Checksums of files, by which it is noticed that one is not what was written."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psyrun.utils.files import Filename, damaged, explained, file_beside, opened

_PIECE = 1 << 20  # bytes that are read at once


@dataclass(frozen=True)
class Checksum:
    """What a file is recognized by.

    Attributes
    ----------
    size : int
        Its size in bytes.
    crc : int
        CRC-32 of its content.
    """

    size: int
    crc: int

    @classmethod
    def of(cls, path: Filename) -> Checksum:
        """Return that of a file; `StoreError` if it cannot be read."""
        size = crc = 0
        with explained(path), opened(path, buffering=0) as file:
            while piece := file.read(_PIECE):
                size += len(piece)
                crc = zlib.crc32(piece, crc)
        return cls(size, crc)

    @classmethod
    def of_record(cls, record: Any) -> Checksum | None:
        """Return one from JSON, where None stands for none.

        Raises `TypeError` if it is something else.
        """
        if record is None:
            return None
        checksum = cls(**record)
        if type(checksum.size) is not int or type(checksum.crc) is not int:
            raise TypeError(f"{record} is no checksum")
        return checksum

    def problem_of(self, path: Filename) -> str:
        """Return why a file is not the one of this checksum; empty if it is.

        It is read only if it has the right size.
        """
        try:
            size = Path(path).stat().st_size
        except FileNotFoundError:
            return "is gone"
        if size != self.size:
            return f"has {size} bytes instead of {self.size}"
        if Checksum.of(path) != self:
            return "has another content than what was written"
        return ""


def verify(path: Filename, checksum: Checksum | None) -> None:
    """Raise `DamagedFileError` if there is a checksum, and a file has another one."""
    problem = "" if checksum is None else checksum.problem_of(path)
    if problem:
        raise damaged(path, f"is damaged, it {problem}")


def keep_beside(path: Path, word: str = "changed") -> Path:
    """Give a file another name in its folder, with a word in it, and return that.

    A symbolic link stays: it is the file it points to. What says what is to be known of
    the file goes along.
    """
    kept, beside = name_beside(path, word), file_beside(path)
    with explained(path):
        # First, so that whoever is killed here finds it in its place the next time.
        if beside.is_file():
            beside.replace(file_beside(kept))
        Path(os.path.realpath(path)).replace(kept)
    return kept if path.is_symlink() else path.with_name(kept.name)


def name_beside(path: Path, word: str) -> Path:
    """Return the name that `keep_beside` would give to a file."""
    target = Path(os.path.realpath(path))
    return free_name(target.with_name(f"{target.stem}.{word}{target.suffix}"))


def free_name(path: Path) -> Path:
    """Return a path that no file has: this one, or with a number before its suffix."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
