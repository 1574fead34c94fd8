"""Slurm Workload Manager (https://slurm.schedmd.com)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psyrun.scheduler.base import JobId, JobStatus, Scheduler, call, call_or_fail
from psyrun.scheduler.options import Option, argv

SQUEUE_FORMAT = "%i|%t|%r|%j"
"""Columns asked of squeue: id, compact state, reason, name."""

_STATUS = {"PD": "Q", "R": "R", "CF": "R", "CG": "R", "S": "Z", "ST": "Z"}


class Slurm(Scheduler):
    """Submits jobs with sbatch.

    Parameters
    ----------
    workdir : str or path, optional
        Taken so that every scheduler can be made alike; Slurm needs none.

    Notes
    -----
    These `scheduler_args` are known. Each is a value, or a function that
    takes the job's name and returns the value.

    ==================  ====================  ==============================
    argument            option of sbatch      meaning
    ==================  ====================  ==============================
    timelimit           -t                    time limit of each job
    memory              --mem                 memory per node
    memory_per_cpu      --mem-per-cpu         memory per CPU core
    n_cpus              -c                    CPU cores
    n_nodes             -N                    nodes
    cores-per-socket    --cores-per-socket    least cores per socket
    sockets-per-node    --sockets-per-node    least sockets per node
    ==================  ====================  ==============================

    A time limit is written as Slurm wants it: minutes, ``HH:MM:SS`` or
    ``D-HH:MM``. Memory without a unit counts megabytes.
    """

    USER_DEFAULT_ARGS = {"timelimit": "0-01:00", "memory": "1G", "n_cpus": 1}
    OPTIONS = {
        "timelimit": Option("-t"),
        "memory": Option("--mem"),
        "memory_per_cpu": Option("--mem-per-cpu"),
        "n_cpus": Option("-c"),
        "n_nodes": Option("-N"),
        "cores-per-socket": Option("--cores-per-socket"),
        "sockets-per-node": Option("--sockets-per-node"),
    }

    def __init__(self, workdir: str | Path | None = None) -> None:
        self.workdir = None if workdir is None else Path(workdir)

    def submit(
        self,
        args: Sequence[str],
        output_filename: str,
        name: str | None = None,
        depends_on: Sequence[JobId] | None = None,
        scheduler_args: Mapping[str, Any] | None = None,
    ) -> JobId:
        """Submit one job with sbatch.

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
            See the table above.

        Returns
        -------
        int or str
            Slurm's job id.

        Raises
        ------
        SchedulerError
            The arguments are not accepted, or sbatch failed.
        """
        name = name or args[0]
        values = self.validate(scheduler_args or {}, name)
        command = ["sbatch", "--parsable", *argv(self.OPTIONS, values)]
        command += sbatch_words(args, output_filename, name, depends_on or ())
        return parse_sbatch(call_or_fail(command))

    def get_status(self, jobid: JobId) -> JobStatus | None:
        """Return what squeue says of one job.

        Parameters
        ----------
        jobid : int or str
            Slurm's job id.

        Returns
        -------
        JobStatus or None
            None if squeue does not list the job, or no longer does.
        """
        # squeue fails on a job that it has forgotten: nothing is printed then.
        done = call(["squeue", "-h", "-o", SQUEUE_FORMAT, "-j", str(jobid)])
        return next(parse_squeue(done.stdout), None)

    def get_jobs(self) -> list[JobId]:
        """Return your jobs that squeue lists.

        Returns
        -------
        list of int or str
            Slurm's job ids.

        Raises
        ------
        SchedulerError
            squeue failed.
        """
        listed = call_or_fail(["squeue", "-h", "--me", "-o", SQUEUE_FORMAT])
        return [job.id for job in parse_squeue(listed)]

    def kill(self, jobid: JobId) -> None:
        """Cancel one job with scancel.

        Parameters
        ----------
        jobid : int or str
            Slurm's job id.
        """
        call(["scancel", str(jobid)])


def sbatch_words(
    args: Sequence[str],
    output_filename: str,
    name: str,
    depends_on: Sequence[JobId],
) -> list[str]:
    """Return what follows the resource options in a call of sbatch.

    Parameters
    ----------
    args : sequence of str
        The job's command and its arguments.
    output_filename : str
        File that takes the job's output.
    name : str
        Name of the job.
    depends_on : sequence of int or str
        Jobs that must have ended well before.

    Returns
    -------
    list of str
        Words of the command line.
    """
    words = ["-J", name, "-o", output_filename]
    if depends_on:
        words.append(f"--dependency=afterok:{':'.join(map(str, depends_on))}")
    return [*words, "--wrap", shlex.join(args)]


def parse_sbatch(printed: str) -> str:
    """Return the job id that ``sbatch --parsable`` printed.

    Parameters
    ----------
    printed : str
        ``'12'``, or ``'12;cluster'`` where there are several clusters.

    Returns
    -------
    str
        The job id.
    """
    return printed.strip().partition(";")[0]


def parse_squeue(printed: str) -> Iterator[JobStatus]:
    """Read what squeue printed in the format `SQUEUE_FORMAT`.

    Parameters
    ----------
    printed : str
        One line per job, or per pending part of a job array.

    Yields
    ------
    JobStatus
        One per line; a state that is not known counts as ended.
    """
    for line in printed.splitlines():
        jobid, state, reason, name = line.strip().split("|", 3)
        status = _STATUS.get(state, "D")
        if status == "Q" and reason == "Dependency":
            status = "*Q"
        yield JobStatus(jobid, status, name)
