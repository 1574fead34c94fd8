"""Texts that name points of a space by their numbers, as ``assignments 3,17``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_WORD = "assignments "  # conditions on parameters have an equals sign


def text_of_numbers(numbers: Iterable[int]) -> str:
    """Return a text that names some points, in ascending order."""
    return _WORD + ",".join(map(str, sorted(set(numbers))))


def numbers_in(texts: Sequence[str]) -> list[int] | None:
    """Return the numbers that texts name; None if they do not name points so."""
    if len(texts) != 1 or not texts[0].startswith(_WORD):
        return None
    found = texts[0].removeprefix(_WORD)
    return [int(each) for each in found.split(",") if each]
