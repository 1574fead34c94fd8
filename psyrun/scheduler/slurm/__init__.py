"""Slurm Workload Manager (https://slurm.schedmd.com)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psyrun.scheduler.base import Scheduler
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
from psyrun.scheduler.options import resolve
from psyrun.scheduler.slurm import options as slurm_options
from psyrun.scheduler.slurm.accounting import (
    cancelled_before_start,
    explain,
    first_known,
    from_sacct,
    from_scontrol,
)
from psyrun.scheduler.slurm.commands import (
    STANDARD_TIMES,
    ask,
    ask_or_fail,
    end_time,
    unreachable,
)
from psyrun.scheduler.slurm.partitions import check_limits, limits_of
from psyrun.scheduler.slurm.sbatch import (
    MY_JOBS,
    array_command,
    find,
    in_queue,
    job_command,
    reused_ids,
    submit,
    submit_recorded,
)
from psyrun.scheduler.slurm.squeue import (
    FORMAT,
    WAITING_FORMAT,
    compact_ids,
    obstacles,
    parse,
    reasons,
    waiting,
)
from psyrun.scheduler.slurm.usage import usages
from psyrun.utils.typing import override

_MOST_WORDS = 500  # of a call of scancel
_LIMITS = re.compile(r"^(?:MaxArraySize|MaxJobCount)\s*=\s*(\d+)", re.MULTILINE)
_ARRAY_TASKS = re.compile(r"^SchedulerParameters.*max_array_tasks=(\d+)", re.MULTILINE)


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

    Other options of sbatch are given by their long names, with ``'-'`` or
    ``'_'``, such as ``'partition'``, ``'account'`` or ``'gpus_per_task'``;
    True states an option that takes no value. Options that psyrun needs for
    itself, such as ``'output'``, are refused.

    A time limit is written as ``'15m'``, ``'1h30m'`` or ``'2d'``, as a number
    of minutes, or as Slurm wants it, such as ``'HH:MM:SS'`` or
    ``'D-HH:MM'``. Memory without a unit counts megabytes.
    """

    PROFILE = "slurm"
    PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol")
    USER_DEFAULT_ARGS = {"timelimit": "0-01:00", "memory": "1G", "n_cpus": 1}
    OPTIONS = slurm_options.OPTIONS

    def __init__(self, workdir: str | Path | None = None) -> None:
        self.workdir = None if workdir is None else Path(workdir)
        self._max_array_size: int | None = None

    @override
    def validate(self, scheduler_args: Mapping[str, Any], name: str) -> dict[str, Any]:
        given = slurm_options.known_names(scheduler_args)
        options = slurm_options.with_site_options(given)
        values = resolve(options, given, name, type(self).__name__)
        slurm_options.check_together(values)
        return values

    @override
    def submit(
        self,
        args: Sequence[str],
        output_filename: str,
        name: str | None = None,
        depends_on: Sequence[JobId] | None = None,
        scheduler_args: Mapping[str, Any] | None = None,
    ) -> JobId:
        name = name or args[0]
        options = slurm_options.sbatch_arguments(
            self.validate(scheduler_args or {}, name)
        )
        return submit(
            job_command(options, args, output_filename, name, depends_on or ())
        )

    @override
    def submit_array(self, array: JobArray) -> list[JobId]:
        """Submit many jobs with one call of sbatch."""
        values = self.validate(array.scheduler_args, array.name)
        check_limits(values)
        job = submit_recorded(
            array_command(slurm_options.sbatch_arguments(values), array), array.folder
        )
        return [f"{job}_{position}" for position in range(len(array))]

    @override
    def find(self, array: JobArray) -> dict[int, JobId]:
        """Find the jobs of an array by what sbatch left, else by their comment."""
        job = find(array)
        positions = range(len(array)) if job is not None else ()
        return {position: f"{job}_{position}" for position in positions}

    @override
    def get_status(self, jobid: JobId) -> JobStatus | None:
        command = [*MY_JOBS[:2], "-t", "all", "-h", "-o", FORMAT, "-j", str(jobid)]
        done = ask(command)
        # squeue fails on a job that it has forgotten, or that never was.
        if done.returncode != 0 and "nvalid job id" not in done.stderr:
            raise unreachable("squeue", done.stderr)
        return next((job for job in parse(done.stdout) if job.id == str(jobid)), None)

    @override
    def get_statuses(self, jobids: Sequence[JobId]) -> dict[JobId, JobStatus]:
        """Return what squeue says of many jobs, with one call."""
        if not jobids:
            return {}
        # All jobs of yours: a list of thousands of ids is too long for a command
        # line, and squeue fails on a single one that it has forgotten.
        listed = {job.id: job for job in self._listed("-t", "all")}
        known = {jobid: listed.get(str(jobid)) for jobid in jobids}
        return {jobid: job for jobid, job in known.items() if job is not None}

    @override
    def get_jobs(self) -> list[JobId]:
        return [job.id for job in self._listed() if job.status != "D"]

    @override
    def why_queued(self, jobids: Sequence[JobId]) -> dict[JobId, str]:
        """Return why jobs wait, with one call of squeue."""
        told = reasons(ask_or_fail(_squeue("-t", "PD")))
        return {jobid: told[str(jobid)] for jobid in jobids if str(jobid) in told}

    @override
    def get_waiting(self, jobids: Sequence[JobId]) -> dict[JobId, Waiting]:
        """Return why jobs wait and when they will start, with one call of squeue."""
        if not jobids:
            return {}
        command = [*STANDARD_TIMES, *MY_JOBS, "-t", "PD", "-h", "-o", WAITING_FORMAT]
        told = waiting(ask_or_fail(command))
        return {jobid: told[str(jobid)] for jobid in jobids if str(jobid) in told}

    @override
    def get_obstacles(self, jobids: Sequence[JobId]) -> dict[JobId, Obstacle]:
        """Return what keeps jobs from starting, with one call of squeue."""
        told = obstacles(ask_or_fail(_squeue("-t", "PD")))
        return {jobid: told[str(jobid)] for jobid in jobids if str(jobid) in told}

    @override
    def foreign(self, jobs: Mapping[JobId, JobArray]) -> set[JobId]:
        """Return which jobs have another name or comment, with one call of squeue."""
        shown = in_queue("%i|%k|%j") if jobs else ""
        return reused_ids(shown, {str(jobid): array for jobid, array in jobs.items()})

    def _listed(self, *options: str) -> Iterator[JobStatus]:
        return parse(ask_or_fail(_squeue(*options)))

    @override
    def get_endings(self, jobids: Sequence[JobId]) -> dict[JobId, Ending]:
        """Return why jobs ended, from sacct, else from scontrol."""
        found = first_known(map(str, jobids), from_sacct, from_scontrol)
        return {jobid: found[str(jobid)] for jobid in jobids if str(jobid) in found}

    @override
    def get_usages(self, jobids: Sequence[JobId]) -> dict[JobId, Usage]:
        """Return what jobs have used, from sacct; nothing where there is none."""
        found = usages(map(str, jobids))
        return {jobid: found[str(jobid)] for jobid in jobids if str(jobid) in found}

    @override
    def why_not_begun(self, jobids: Sequence[JobId]) -> dict[JobId, Ending]:
        """Return which tasks scontrol does not list any more in their arrays."""
        found = cancelled_before_start(map(str, jobids))
        return {jobid: found[str(jobid)] for jobid in jobids if str(jobid) in found}

    @override
    def explain(self, output: str) -> Ending | None:
        """Return why a job ended from what Slurm wrote into its output."""
        return explain(output)

    @override
    def kill(self, jobid: JobId) -> None:
        self.kill_all([jobid])

    @override
    def kill_all(self, jobids: Sequence[JobId]) -> None:
        """Cancel many jobs, with as few calls of scancel as possible."""
        if not jobids:
            return
        words = compact_ids(jobids, self.get_jobs())
        for start in range(0, len(words), _MOST_WORDS):
            # It fails on jobs that have ended, after it has cancelled the others.
            ask(["scancel", *words[start : start + _MOST_WORDS]])

    @override
    def limits(self, values: Mapping[str, Any]) -> Limits:
        """Return what the partition of a job allows, and its account."""
        return limits_of(values)

    @override
    def max_array_size(self) -> int:
        """Return how many jobs an array may have, from Slurm's configuration."""
        if self._max_array_size is None:
            shown = ask_or_fail(["scontrol", "show", "config"])
            limits = [*_LIMITS.findall(shown), *_ARRAY_TASKS.findall(shown)]
            self._max_array_size = max(1, min(map(int, limits), default=1001))
        return self._max_array_size

    @override
    def end_of_this_job(self) -> float | None:
        """Return when Slurm will end the job that this process belongs to."""
        return end_time()

    @override
    def resources(self, values: Mapping[str, Any]) -> dict[str, int | str]:
        """Return arguments as ``snakemake-executor-plugin-slurm`` reads them."""
        return slurm_options.resources(values)

    @override
    def raised(
        self, values: Mapping[str, Any], cause: Cause, factor: float
    ) -> dict[str, Any] | None:
        return slurm_options.raised(values, cause, factor)


def _squeue(*options: str) -> list[str]:
    # Without -r, which loses the last of the tasks 1-999:2 (Slurm 22.05).
    return [*MY_JOBS, *options, "-h", "-o", FORMAT]
