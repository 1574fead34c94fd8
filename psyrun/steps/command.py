"""The commands of generated rules: written by planning, read by what runs them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psyrun.workdir.layout import PROCESS, Round, TaskLayout


@dataclass(frozen=True)
class StepCommand:
    """One step of one round of a task.

    Attributes
    ----------
    step : str
        The step: split, process or merge.
    folder : Path
        The folder of the task, ``<workdir>/<task>``.
    round_number : int
        The round.
    block : str or None
        The block of a process job.
    """

    step: str
    folder: Path
    round_number: int
    block: str | None = None

    @classmethod
    def read(cls, arguments: Sequence[str]) -> StepCommand:
        """Read what follows ``python3 -P -m psyrun.steps``."""
        step, *words = arguments
        if len(words) == (2 if step == PROCESS else 1):
            # Jobs that an earlier version submitted name the frozen space of their
            # round, such as psy-work/square/round-1/space.pkl.
            round_ = Path(words[0]).parent
            words[:1] = [str(round_.parent), round_.name.removeprefix("round-")]
        folder, number, *block = words
        return cls(step, Path(folder), int(number), *block)

    @classmethod
    def parse(cls, command: str | None) -> StepCommand | None:
        """Read the shell command of a rule; None if it is not one of psyrun's."""
        try:
            words = shlex.split(command or "")
        except ValueError:
            return None
        match words:
            # The rules of an earlier version lack the -P.
            case [_, "-P", "-m", "psyrun.steps", *arguments, ">", _, "2>&1"] | [
                _,
                "-m",
                "psyrun.steps",
                *arguments,
                ">",
                _,
                "2>&1",
            ]:
                return cls.read(arguments)
        return None

    @property
    def arguments(self) -> list[str]:
        """What follows ``python3 -P -m psyrun.steps``."""
        block = [] if self.block is None else [self.block]
        return [self.step, str(self.folder), str(self.round_number), *block]

    @property
    def name(self) -> str:
        """Name of the step in its round, such as ``merge`` or ``process-3``."""
        return self.step if self.block is None else f"{self.step}-{self.block}"

    @property
    def layout(self) -> TaskLayout:
        """Paths of the task."""
        return TaskLayout(self.folder)

    @property
    def round(self) -> Round:
        """Paths of the round."""
        return self.layout.round(self.round_number)

    @property
    def log(self) -> Path:
        """Where the output goes."""
        return self.layout.log(self.step, self.block)
