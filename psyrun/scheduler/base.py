"""The contract between psyrun and a queue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FunctionType
from typing import Any, ClassVar

from psyrun.errors import QueueUnreachableError
from psyrun.scheduler.guard import guard
from psyrun.scheduler.jobs import (
    Cause,
    Ending,
    JobArray,
    JobId,
    JobStatus,
    Obstacle,
    Usage,
    Waiting,
)
from psyrun.scheduler.limits import Limits
from psyrun.scheduler.options import Option, resolve

__all__ = [
    "Cause",
    "Ending",
    "JobArray",
    "JobId",
    "JobStatus",
    "Obstacle",
    "Scheduler",
    "Usage",
    "Waiting",
]


class Scheduler(ABC):
    """Hands jobs to a queue and asks about them.

    A scheduler of your own implements the four abstract methods. The others
    work on top of these; overriding them makes a queue faster to drive, and
    lets it tell more.

    Attributes
    ----------
    USER_DEFAULT_ARGS : dict of str to object
        `scheduler_args` that ``psy new-task`` writes into a new task file.
    OPTIONS : dict of str to Option, or None
        `scheduler_args` that are accepted; None accepts all.
    PROFILE : str
        Snakemake profile of psyrun that ``psy run`` uses.
    PROGRAMS : tuple of str
        Commands of the queue without which ``psy run`` does not begin.
    """

    USER_DEFAULT_ARGS: ClassVar[Mapping[str, Any]] = {}
    OPTIONS: ClassVar[Mapping[str, Option] | None] = None
    PROFILE: ClassVar[str] = "queue"
    PROGRAMS: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if _is_of_former_version(vars(cls).get("submit_array")):
            # psyrun 0.8 called it with a number and patterns; `submit` is as it was.
            del cls.submit_array
        guard(cls, [name for name in vars(Scheduler) if not name.startswith("_")])

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
        QueueUnreachableError
            The queue does not answer. Whether it took the job is not known.
        QueueFullError
            The queue takes no more jobs now.
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

        Raises
        ------
        QueueUnreachableError
            The queue does not answer. That says nothing about the job.
        """

    @abstractmethod
    def get_jobs(self) -> list[JobId]:
        """Return your jobs that are queued or running.

        Returns
        -------
        list of int or str
            Jobs in the order in which the queue lists them.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """

    @abstractmethod
    def kill(self, jobid: JobId) -> None:
        """Cancel a queued or running job.

        Parameters
        ----------
        jobid : int or str
            The job. One that has ended is left alone.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """

    def submit_array(self, array: JobArray) -> list[JobId]:
        """Submit many jobs of one command.

        By default they are submitted one by one, and what the queue calls
        each of them is noted in the array's folder at once.

        Parameters
        ----------
        array : JobArray
            The jobs.

        Returns
        -------
        list of int or str
            What the queue calls the jobs, by position. Where the queue took no
            more after some of them, the list is shorter.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer; `find` tells later what it did.
        QueueFullError
            The queue takes none of the jobs now, or not as many at once.
        SchedulerError
            The arguments are not accepted, or the queue refused the jobs.
        """
        ids: list[JobId] = []
        for position, name in enumerate(array.names):
            args = [*array.args, str(position)]
            output = str(array.output(position))
            try:
                jobid = self.submit(args, output, name, None, array.scheduler_args)
            except QueueUnreachableError:
                # The queue may have taken the job: that is to be looked for.
                raise
            except Exception:
                # Those that were taken are to be watched, whatever happened then.
                if ids:
                    return ids
                raise
            array.id_file(position).write_text(str(jobid), encoding="utf-8")
            ids.append(jobid)
        return ids

    def find(self, array: JobArray) -> dict[int, JobId]:
        """Find the jobs of an array whose submission was cut off.

        By default the notes in its folder are read.

        Parameters
        ----------
        array : JobArray
            The jobs.

        Returns
        -------
        dict of int to int or str
            What the queue calls the jobs that it has taken, by position.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """
        found: dict[int, JobId] = {}
        for position in range(len(array)):
            with suppress(FileNotFoundError):
                text = array.id_file(position).read_text(encoding="utf-8").strip()
                # Schedulers may give ids as numbers and expect them back as such.
                if text:
                    found[position] = int(text) if text.isdecimal() else text
        return found

    def get_statuses(self, jobids: Sequence[JobId]) -> dict[JobId, JobStatus]:
        """Return the status of many jobs, by default one by one.

        Parameters
        ----------
        jobids : sequence of int or str
            The jobs.

        Returns
        -------
        dict of int or str to JobStatus
            Without the jobs that the queue does not know, or no longer does.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer. That says nothing about the jobs.
        """
        found = {jobid: self.get_status(jobid) for jobid in jobids}
        return {jobid: status for jobid, status in found.items() if status is not None}

    def foreign(self, jobs: Mapping[JobId, JobArray]) -> set[JobId]:
        """Return which jobs are none of psyrun's, by default none of them.

        A queue may begin to count anew, and give the number of a job that has
        ended to another one.

        Parameters
        ----------
        jobs : mapping of int or str to JobArray
            What the queue called jobs of arrays, some time ago.

        Returns
        -------
        set of int or str
            Those that the queue lists, but shows with another name or key.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """
        return set()

    def why_queued(self, jobids: Sequence[JobId]) -> dict[JobId, str]:
        """Return why jobs have not started, by default nothing.

        Parameters
        ----------
        jobids : sequence of int or str
            Jobs that are queued.

        Returns
        -------
        dict of int or str to str
            A few words, for the jobs of which the queue tells it.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """
        return {}

    def get_waiting(self, jobids: Sequence[JobId]) -> dict[JobId, Waiting]:
        """Return why jobs have not started and when they will, with one question.

        By default that is what `why_queued` returns, and no times.

        Parameters
        ----------
        jobids : sequence of int or str
            Jobs that are queued.

        Returns
        -------
        dict of int or str to Waiting
            For the jobs of which the queue tells something.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """
        told = self.why_queued(jobids)
        return {jobid: Waiting(reason) for jobid, reason in told.items()}

    def get_obstacles(self, jobids: Sequence[JobId]) -> dict[JobId, Obstacle]:
        """Return what does not pass as other jobs end, by default nothing.

        Parameters
        ----------
        jobids : sequence of int or str
            Jobs that are queued.

        Returns
        -------
        dict of int or str to Obstacle
            Without the jobs that will start once it is their turn.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """
        return {}

    def get_endings(self, jobids: Sequence[JobId]) -> dict[JobId, Ending]:
        """Return why jobs ended, by default nothing.

        Parameters
        ----------
        jobids : sequence of int or str
            Jobs that have ended.

        Returns
        -------
        dict of int or str to Ending
            Without the jobs of which the queue does not know it.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """
        return {}

    def get_usages(self, jobids: Sequence[JobId]) -> dict[JobId, Usage]:
        """Return what jobs have used, by default nothing.

        Parameters
        ----------
        jobids : sequence of int or str
            Jobs that have ended.

        Returns
        -------
        dict of int or str to Usage
            Without the jobs of which the queue does not know it.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """
        return {}

    def why_not_begun(self, jobids: Sequence[JobId]) -> dict[JobId, Ending]:
        """Return why jobs ended that never began, by default nothing.

        This is asked about jobs of which `get_endings` tells nothing.

        Parameters
        ----------
        jobids : sequence of int or str
            Jobs that the queue does not list, and that left no trace.

        Returns
        -------
        dict of int or str to Ending
            Without the jobs of which the queue does not know it.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """
        return {}

    def explain(self, output: str) -> Ending | None:
        """Read from a job's output why it ended, by default nothing.

        Parameters
        ----------
        output : str
            The end of what the job, and the queue about it, have printed. The
            job did not come to the end of its command.

        Returns
        -------
        Ending or None
            None where the queue has not said so there.
        """
        return None

    def kill_all(self, jobids: Sequence[JobId]) -> None:
        """Cancel many jobs, by default one by one.

        Parameters
        ----------
        jobids : sequence of int or str
            The jobs. Those that have ended are left alone.

        Raises
        ------
        QueueUnreachableError
            The queue does not answer.
        """
        for jobid in jobids:
            self.kill(jobid)

    def max_array_size(self) -> int | None:
        """Return how many jobs an array may have, None where any number may."""
        return None

    def limits(self, values: Mapping[str, Any]) -> Limits:
        """Return what the queue allows a job at most, by default nothing is known.

        Parameters
        ----------
        values : mapping of str to object
            What the job asks for, as `validate` returned it; it may name a partition.

        Returns
        -------
        Limits
            With None for what is not known; time in seconds, memory in bytes.
        """
        return Limits()

    def end_of_this_job(self) -> float | None:
        """Return when the queue will end the job that this process belongs to.

        Returns
        -------
        float or None
            In seconds since the epoch. None, the default, where that is not known.
        """
        return None

    def resources(self, values: Mapping[str, Any]) -> dict[str, int | str]:
        """Return arguments as other Snakemake executors know them.

        Parameters
        ----------
        values : mapping of str to object
            As `validate` returned them.

        Returns
        -------
        dict of str to int or str
            Snakemake's standard resources, such as ``mem_mb`` in megabytes and
            ``runtime`` in minutes. Empty by default.
        """
        return {}

    def raised(
        self, values: Mapping[str, Any], cause: Cause, factor: float
    ) -> dict[str, Any] | None:
        """Return arguments for another try of a job that was given too little.

        Parameters
        ----------
        values : mapping of str to object
            As `validate` returned them.
        cause : Cause
            What the job had too little of: `Cause.MEMORY` or `Cause.TIME`.
        factor : float
            How many times as much it is to be given.

        Returns
        -------
        dict of str to object, or None
            None, the default, where it cannot be given more.
        """
        return None

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


def _is_of_former_version(submit_array: object) -> bool:
    """Whether the method needs ``n, args, output_filename`` as in psyrun 0.8."""
    if not isinstance(submit_array, FunctionType):
        return False
    n_defaults = len(submit_array.__defaults__ or ())
    return submit_array.__code__.co_argcount - n_defaults > 2
