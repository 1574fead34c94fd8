"""What can happen to a file: bits, pages or parts of it change, or all of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

_TEXT = b"The quick brown fox jumps over the lazy dog.\n"
_PAGE = 512  # bytes

Damage = Callable[[bytes, random.Random, list[Path]], bytes | None]
"""From what a file holds, and other files, to what it holds then; None for no file."""


def _flip_bit(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    return _flipped(content, chance, 1)


def _flip_bits(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    return _flipped(content, chance, 8)


def _flipped(content: bytes, chance: random.Random, count: int) -> bytes:
    changed = bytearray(content)
    for _ in range(count if changed else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _empty(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    return b""


def _zero_page(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    at = chance.randrange(len(content) + 1)
    size = min(len(content) - at, chance.choice([8, 64, _PAGE]))
    return content[:at] + bytes(size) + content[at + size :]


def _zero_all(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    return bytes(len(content))


def _repeat_part(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    first, last = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:last] + content[first:]


def _text(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    return chance.choice([_TEXT, b"[]", b"{}", b"null", b"0", b'"x"', b"\xff\xfe"])


def _of_other_file(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    return chance.choice(others).read_bytes() if others else b""


def _of_sibling(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    """Take a file of the same kind, such as another block, or of another round."""
    same = [path for path in others if path.suffix == others[0].suffix]
    return chance.choice(same).read_bytes() if same else b""


def _append(content: bytes, chance: random.Random, others: list[Path]) -> bytes:
    return content + chance.randbytes(chance.randrange(1, 100))


def _remove(content: bytes, chance: random.Random, others: list[Path]) -> None:
    return None


DAMAGES: dict[str, Damage] = {
    "a bit flipped": _flip_bit,
    "8 bits flipped": _flip_bits,
    "cut": _cut,
    "empty": _empty,
    "a page of zeros": _zero_page,
    "all zeros": _zero_all,
    "a part repeated": _repeat_part,
    "text": _text,
    "another file": _of_other_file,
    "a file of its kind": _of_sibling,
    "appended to": _append,
    "removed": _remove,
}


def damage(path: Path, files: list[Path], chance: random.Random) -> str:
    """Damage a file, and return how; `files` are those that it may be replaced by."""
    how = chance.choice(list(DAMAGES))
    others = [other for other in files if other != path]
    # Those of its kind come first.
    others.sort(key=lambda other: (other.suffix != path.suffix, str(other)))
    content = DAMAGES[how](path.read_bytes(), chance, others)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    return how
