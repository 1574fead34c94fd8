"""What a check found."""

from __future__ import annotations

import textwrap
from enum import StrEnum
from typing import NamedTuple

_WIDTH = 80  # columns


class Level(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """The result of a check: what was checked, what was found, and what to do."""

    level: Level
    about: str
    text: str

    @property
    def line(self) -> str:
        """The finding as one line for people."""
        return f"{self.level:<8} {self.about}: {' '.join(self.text.split())}"

    @property
    def wrapped(self) -> str:
        """The finding as lines that fit into a terminal, as long as its words do."""
        return textwrap.fill(
            self.text,
            _WIDTH,
            initial_indent=f"{self.level:<8} {self.about}: ",
            subsequent_indent=" " * 9,
            break_long_words=False,
            break_on_hyphens=False,
        )


def ok(about: str, text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(Level.OK, about, text)


def warning(about: str, text: str) -> Finding:
    """Return that something works, but not as well as it could."""
    return Finding(Level.WARNING, about, text)


def problem(about: str, text: str) -> Finding:
    """Return that something keeps tasks from running."""
    return Finding(Level.PROBLEM, about, text)
