"""What a check found."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


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


def ok(about: str, text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(Level.OK, about, text)


def warning(about: str, text: str) -> Finding:
    """Return that something works, but not as well as it could."""
    return Finding(Level.WARNING, about, text)


def problem(about: str, text: str) -> Finding:
    """Return that something keeps tasks from running."""
    return Finding(Level.PROBLEM, about, text)
