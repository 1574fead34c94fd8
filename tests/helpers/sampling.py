"""A part of the tests of each file, another one for each commit."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar
from zlib import crc32

T = TypeVar("T")


def commit() -> str:
    """Return the commit that is tested; empty if that is not known."""
    command = ["git", "rev-parse", "HEAD"]
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()


def sampled(cases: Iterable[tuple[str, T]], one_in: int, key: str) -> list[T]:
    """Return one in so many of the cases of each group, in their order.

    Parameters
    ----------
    cases : iterable of (str, object)
        The name of the group, and the case.
    one_in : int
        Of each group there is one at least.
    key : str
        Text on which it depends where in a group it begins. All cases have their turn
        with some key.
    """
    groups: dict[str, list[tuple[int, T]]] = {}
    for position, (name, case) in enumerate(cases):
        groups.setdefault(name, []).append((position, case))
    kept = (
        member
        for name, members in groups.items()
        for member in _some(members, one_in, f"{key} {name}")
    )
    return [case for _, case in sorted(kept, key=lambda member: member[0])]


def _some(members: Sequence[T], one_in: int, key: str) -> Sequence[T]:
    first = crc32(key.encode()) % min(one_in, len(members))
    return members[first::one_in]
