"""The options of a run, also as the command line of a process that continues it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from psyrun.planning.desired import PlanOptions
    from psyrun.workdir.run_record import Mode

PROCESS: Final = "process"
JOB: Final = "job"


@dataclass(frozen=True)
class RunOptions:
    """What ``psy run`` was asked for.

    Attributes
    ----------
    tasks : sequence of str
        Names of the tasks; all if there are none.
    jobs : int or None
        How many cores may be used at once, or how many jobs may be in a queue.
    detach : {'process', 'job'} or None
        Where the run is to go on, if not in this process.
    controller : str or None
        In the process that goes on with a run: ``job``, or the number of the file
        to which it reports that it has begun.
    snakemake_args : sequence of str
        The user's arguments for Snakemake.
    """

    taskdir: Path
    tasks: Sequence[str]
    plan: PlanOptions
    jobs: int | None
    is_dry_run: bool
    is_quiet: bool
    is_debugged: bool
    detach: Literal["process", "job"] | None
    controller: str | None
    snakemake_args: Sequence[str]

    @property
    def mode(self) -> Mode:
        """Where the controller of the run is."""
        if self.controller is None:
            return "terminal"
        return JOB if self.controller == JOB else PROCESS

    def command_line(self, tasks: Sequence[str], controller: str) -> list[str]:
        """Return the arguments of ``psy`` with which another process does the same.

        Parameters
        ----------
        tasks : sequence of str
            Names of its tasks.
        controller : str
            As the attribute, for that process.
        """
        # Another controller goes on with what the first one has begun.
        rerun = self.plan.rerun if controller != JOB else None
        is_rerun = self.plan.rerun is not None
        flags = {
            # In place of that, this would give it up.
            "--continue": self.plan.keep_going and not (is_rerun and rerun is None),
            "--fresh": self.plan.is_fresh and controller != JOB,
            "--accept-failures": self.plan.accept_failures,
            "--move-aside": self.plan.move_aside,
            "--quiet": self.is_quiet,
            "--debug": self.is_debugged,
        }
        values = {
            "--controller": controller,
            "--taskdir": self.taskdir,
            "--jobs": self.jobs,
            "--rerun": rerun,
            "--max-failures": self.plan.max_failures,
            "--order": self.plan.order,
        }
        return [
            "run",
            *(flag for flag, is_given in flags.items() if is_given),
            *(f"{name}={v}" for name, v in values.items() if v is not None),
            *(f"--part={text}" for text in self.plan.part),
            *tasks,
            *(["--", *self.snakemake_args] if self.snakemake_args else []),
        ]
