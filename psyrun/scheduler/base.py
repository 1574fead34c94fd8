"""The contract between psyrun and a queue."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

from psyrun.errors import SchedulerError
from psyrun.scheduler.options import Option, resolve

JobId: TypeAlias = int | str
"""What a queue calls a job; `submit` returns it, the other methods take it."""


class JobStatus(NamedTuple):
    """What a queue says about one job.

    Attributes
    ----------
    id : int or str
        The job, as `Scheduler.submit` returned it.
    status : str
        ``'Q'`` queued, ``'*Q'`` queued and waiting for another job, ``'R'``
        running, ``'Z'`` suspended, ``'D'`` ended, whether well or not.
    name : str
        The job's name.
    """

    id: JobId
    status: str
    name: str


class Scheduler(ABC):
    """Hands jobs to a queue and asks about them.

    A scheduler of your own implements the four abstract methods.

    Attributes
    ----------
    USER_DEFAULT_ARGS : dict of str to object
        `scheduler_args` that ``psy new-task`` writes into a new task file.
    OPTIONS : dict of str to Option, or None
        `scheduler_args` that are accepted; None accepts all.
    """

    USER_DEFAULT_ARGS: ClassVar[Mapping[str, Any]] = {}
    OPTIONS: ClassVar[Mapping[str, Option] | None] = None

    @abstractmethod
    def submit(
        self,
        args: Sequence[str],
        output_filename: str,
        name: str | None = None,
        depends_on: Sequence[JobId] | None = None,
        scheduler_args: Mapping[str, Any] | None = None,
    ) -> JobId:
        """Submit one job.

        Parameters
        ----------
        args : sequence of str
            The command and its arguments.
        output_filename : str
            File that takes the job's standard output and error.
        name : str, optional
            Name of the job; the first of `args` by default.
        depends_on : sequence of int or str, optional
            Jobs that must have ended well before this one starts.
        scheduler_args : mapping of str to object, optional
            Further arguments; a function is called with the job's name.

        Returns
        -------
        int or str
            What the queue calls the job.

        Raises
        ------
        SchedulerError
            The arguments are not accepted, or the queue refused the job.
        """

    @abstractmethod
    def get_status(self, jobid: JobId) -> JobStatus | None:
        """Return the status of a job.

        Parameters
        ----------
        jobid : int or str
            The job.

        Returns
        -------
        JobStatus or None
            None if the queue does not know the job, or no longer does.
        """

    @abstractmethod
    def get_jobs(self) -> list[JobId]:
        """Return your jobs that are queued or running.

        Returns
        -------
        list of int or str
            Jobs in the order in which the queue lists them.
        """

    @abstractmethod
    def kill(self, jobid: JobId) -> None:
        """Cancel a queued or running job.

        Parameters
        ----------
        jobid : int or str
            The job. One that has ended is left alone.
        """

    def validate(self, scheduler_args: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Check `scheduler_args` and work out their values for one job.

        Parameters
        ----------
        scheduler_args : mapping of str to object
            Values, or functions that take the job's name.
        name : str
            The job's name.

        Returns
        -------
        dict of str to object
            Values for this job, defaults included.

        Raises
        ------
        SchedulerError
            An argument is unknown or missing, or a function raised.
        """
        options = self.OPTIONS
        if options is None:
            options = {key: Option(flag="") for key in scheduler_args}
        return resolve(options, scheduler_args, name, type(self).__name__)


def call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the queue and return what it printed.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.

    Returns
    -------
    subprocess.CompletedProcess
        With ``returncode``, ``stdout`` and ``stderr`` as text.

    Raises
    ------
    SchedulerError
        The program is not there.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SchedulerError(
            f"{command[0]} cannot be run: {error.strerror}. Run psy where the "
            "queue's commands are on the PATH, or choose another scheduler."
        ) from error


def call_or_fail(command: Sequence[str]) -> str:
    """Run a command of the queue that must succeed.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.

    Returns
    -------
    str
        What it printed on standard output.

    Raises
    ------
    SchedulerError
        The program is not there, or it failed.
    """
    done = call(command)
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise SchedulerError(
            f"{command[0]} failed with exit status {done.returncode}: {said} "
            "Check scheduler_args and the queue's limits."
        )
    return done.stdout
