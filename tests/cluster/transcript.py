"""Transcripts of a session with Sharcnet's queue (see transcripts/README.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "transcripts"


@dataclass
class Exchange:
    """A command, what it prints, how it ends, and what psyrun's client reads in it."""

    command: str
    printed: list[str] = field(default_factory=list)
    status: int = 0
    read: list[tuple[str, ...]] = field(default_factory=list)


def exchanges(name: str) -> Iterator[Exchange]:
    """Read a transcript."""
    exchange: Exchange | None = None
    for line in (FOLDER / name).read_text().splitlines():
        if line.startswith("$ "):
            if exchange:
                yield exchange
            exchange = Exchange(line[2:])
        elif exchange and not line.startswith("# "):
            _add(exchange, line)
    if exchange:
        yield exchange


def _add(exchange: Exchange, line: str) -> None:
    if ended := re.fullmatch(r"\[exit (\d+)\]", line):
        exchange.status = int(ended[1])
    elif line.startswith("> "):
        exchange.read.append(tuple(line[2:].split(maxsplit=2)))
    else:
        exchange.printed.append(line)


def fill_in(text: str, names: dict[str, str]) -> str:
    """Replace each known {name}."""
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def match(pattern: str, line: str, names: dict[str, str]) -> bool:
    """Return whether a printed line is as in the transcript; learn new job ids.

    The width of columns is not known, so any blanks do where there are some.
    """
    regex = re.escape(" ".join(fill_in(pattern, names).split()))
    regex = regex.replace(r"\{time\}", r"\d+s").replace(r"\ ", " ")
    regex = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", regex)
    matched = re.fullmatch(regex, " ".join(line.split()))
    if matched:
        names.update(matched.groupdict())
    return matched is not None
