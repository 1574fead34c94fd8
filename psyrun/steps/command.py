"""The commands of generated rules, taken apart by what runs them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple


class StepCommand(NamedTuple):
    """The command of one of psyrun's rules.

    Attributes
    ----------
    arguments : list of str
        What follows ``python3 -m psyrun.steps``: the step, the frozen space
        and, for a process job, its block.
    log : Path
        Where its output goes.
    """

    arguments: list[str]
    log: Path

    @classmethod
    def parse(cls, command: str | None) -> StepCommand | None:
        """Take a command apart; None if it is not one of psyrun's."""
        try:
            words = shlex.split(command or "")
        except ValueError:
            return None
        match words:
            case [_, "-m", "psyrun.steps", *arguments, ">", log, "2>&1"]:
                return cls(arguments, Path(log))
        return None

    @property
    def step(self) -> str:
        """The step."""
        return self.arguments[0]

    @property
    def block(self) -> str | None:
        """The block of a process job."""
        return self.arguments[2] if len(self.arguments) > 2 else None

    @property
    def task_folder(self) -> Path:
        """The folder of the task, ``<workdir>/<task>``."""
        return Path(self.arguments[1]).parent.parent
