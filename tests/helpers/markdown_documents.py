"""Markdown documents as tests see them: fenced blocks, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<info>\S.*)?$")
HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
OPTION = re.compile(r'(\w+)="([^"]*)"')
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes
    ----------
    language : str
        First word after the opening fence.
    options : dict
        What follows it, as in ``title="psy-tasks/task_square.py"``.
    text : str
        The lines between the fences.
    line : int
        Number of the first of them, from 1.
    """

    language: str
    options: dict[str, str]
    text: str
    line: int


def blocks(document: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a document in their order."""
    inside: list[str] | None = None
    info, begin = "", 0
    for number, line in enumerate(document.read_text("utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if inside is not None and line == "```":
            text = "".join(f"{each}\n" for each in inside)
            language, _, rest = info.partition(" ")
            yield Block(language, dict(OPTION.findall(rest)), text, begin)
            inside = None
        elif inside is not None:
            inside.append(line)
        elif fence:
            inside, info, begin = [], fence["info"] or "", number + 1


def without_blocks(document: Path) -> str:
    """Return the text of a document without its fenced blocks."""
    return BLOCK.sub("", document.read_text("utf-8"))


def code_spans(document: Path) -> list[str]:
    """Return what stands between backticks in the text of a document."""
    return re.findall(r"`([^`\n]+)`", without_blocks(document))


def anchors(document: Path) -> set[str]:
    """Return the names by which links reach the headings of a document."""
    found = (match["text"] for match in HEADING.finditer(without_blocks(document)))
    kept = (re.sub(r"[^\w\- ]", "", text.lower()) for text in found)
    return {text.strip().replace(" ", "-") for text in kept}


def links(document: Path) -> list[str]:
    """Return the targets of the links of a document."""
    text = re.sub(r"`[^`]*`", "", without_blocks(document))
    return [match["target"] for match in LINK.finditer(text)]
