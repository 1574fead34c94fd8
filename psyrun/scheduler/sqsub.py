"""Sharcnet's queue, with its commands sqsub, sqjobs and sqkill."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO

from psyrun.errors import QueueFullError, QueueUnreachableError, SchedulerError
from psyrun.scheduler import units
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.commands import call, exclusive_lock, words_of
from psyrun.scheduler.jobs import Cause, JobArray, JobId, JobStatus
from psyrun.scheduler.options import Option, argv
from psyrun.utils.leftovers import remove_abandoned, words_of_folder
from psyrun.utils.typing import override

_LOCK = "sqsub.lock"
_STATUS = {"Q": "Q", "*Q": "*Q", "R": "R", "Z": "Z", "C": "D", "D": "D"}
_UNREACHABLE = re.compile(
    r"cannot (?:connect|contact|reach)|unable to (?:connect|contact|reach)|timed out"
    r"|connection (?:refused|reset)|not responding|temporarily|try again|unavailable",
    re.IGNORECASE,
)
_FULL = re.compile(r"too many|limit (?:of jobs )?(?:reached|exceeded)", re.IGNORECASE)


def _time(value: Any) -> str:
    units.minutes(value)
    if isinstance(value, str) and not value.strip().isdecimal():
        return value.strip()
    return f"{units.minutes(value)}m"


class Sqsub(Scheduler):
    """Submits jobs with sqsub.

    Parameters
    ----------
    workdir : str or path, optional
        Folder in which sqsub leaves the number of a job for a moment; the
        system's folder for temporary files by default.

    Notes
    -----
    These `scheduler_args` are known. Each is a value, or a function that
    takes the job's name and returns the value.

    =========  ===============  ==========================================
    argument   option of sqsub  meaning
    =========  ===============  ==========================================
    timelimit  -r               time limit of each job; required
    memory     --mpp            memory of each job; required
    n_cpus     -n               CPU cores of each job, 1 by default
    n_nodes    -N               nodes of each job
    =========  ===============  ==========================================

    A time limit is written as ``'15m'``, ``'1h30m'`` or ``'2d'``, or as a
    number of minutes. Memory without a unit counts megabytes.
    """

    PROFILE = "sqsub"
    PROGRAMS = ("sqsub", "sqjobs", "sqkill")
    USER_DEFAULT_ARGS = {"timelimit": "1h", "memory": "1G", "n_cpus": 1}
    OPTIONS = {
        "timelimit": Option("-r", required=True, check=_time),
        "n_cpus": Option("-n", default=1, check=units.count),
        "n_nodes": Option("-N", check=units.count),
        "memory": Option("--mpp", required=True, check=units.memory),
    }

    def __init__(self, workdir: str | Path | None = None) -> None:
        self.workdir = None if workdir is None else Path(workdir)

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
        values = self.validate(scheduler_args or {}, name)
        words = sqsub_words(args, output_filename, name, depends_on or ())
        with self._temporary_folder() as folder:
            return self._submit(values, words, Path(folder, "id"))

    def _temporary_folder(self) -> tempfile.TemporaryDirectory[str]:
        parent = self._folder()
        if parent is not None:
            remove_abandoned(parent, "sqsub")
        prefix, suffix = words_of_folder(Path("sqsub"))
        return tempfile.TemporaryDirectory(suffix, prefix, parent)

    def _submit(
        self,
        values: Mapping[str, Any],
        words: Sequence[str],
        idfile: Path,
        lock: BinaryIO | None = None,
    ) -> str:
        options = [*argv(self.OPTIONS, values), f"--idfile={idfile}"]
        done = call(["sqsub", *options, *words], holding=lock)
        if done.returncode != 0:
            raise refusal(done)
        return read_id(idfile)

    @override
    def submit_array(self, array: JobArray) -> list[JobId]:
        """Submit many jobs one by one; sqsub itself notes the id of each."""
        values = self.validate(array.scheduler_args, array.name)
        ids: list[JobId] = []
        with exclusive_lock(array.folder / _LOCK) as lock:
            known = noted_ids(array)
            for position in range(len(array)):
                words = array_words(array, position)
                idfile = array.id_file(position)
                try:
                    jobid = known.get(position)
                    ids.append(jobid or self._submit(values, words, idfile, lock))
                except QueueUnreachableError:
                    # The queue may have taken the job: that is to be looked for.
                    raise
                except SchedulerError:
                    if not ids:
                        raise
                    break
        return ids

    @override
    def find(self, array: JobArray) -> dict[int, JobId]:
        """Find jobs by the ids that sqsub noted, else by their names."""
        with exclusive_lock(array.folder / _LOCK):
            known = noted_ids(array)
        if len(known) == len(array):
            return dict(known)
        positions = {queue_name(array, i): i for i in range(len(array))}
        listed = {
            positions[job.name]: job.id for job in sqjobs() if job.name in positions
        }
        return {**listed, **known}

    @override
    def get_status(self, jobid: JobId) -> JobStatus | None:
        listed = sqjobs(str(jobid))
        return next((job for job in listed if job.id == str(jobid)), None)

    @override
    def get_statuses(self, jobids: Sequence[JobId]) -> dict[JobId, JobStatus]:
        """Return what sqjobs says of many jobs, with one call."""
        if not jobids:
            return {}
        listed = {job.id: job for job in sqjobs()}
        known = {jobid: listed.get(str(jobid)) for jobid in jobids}
        return {jobid: job for jobid, job in known.items() if job is not None}

    @override
    def get_jobs(self) -> list[JobId]:
        """Return your jobs that are queued, running or suspended."""
        return [job.id for job in sqjobs() if job.status != "D"]

    @override
    def foreign(self, jobs: Mapping[JobId, JobArray]) -> set[JobId]:
        """Return which jobs have another key behind their name, with one call."""
        listed = {job.id: job.name.rpartition("#")[2] for job in sqjobs()}
        return {
            jobid
            for jobid, array in jobs.items()
            if listed.get(str(jobid), array.key) != array.key
        }

    @override
    def kill(self, jobid: JobId) -> None:
        # It fails on a job that has ended.
        done = call(["sqkill", str(jobid)])
        if is_unreachable(done):
            raise unreachable("sqkill", done)

    @override
    def resources(self, values: Mapping[str, Any]) -> dict[str, int | str]:
        found: dict[str, int | str] = {
            "runtime": units.minutes(values["timelimit"]),
            "mem_mb": units.megabytes(values["memory"]),
            "cpus_per_task": values["n_cpus"],
        }
        return found | ({"nodes": values["n_nodes"]} if "n_nodes" in values else {})

    @override
    def raised(
        self, values: Mapping[str, Any], cause: Cause, factor: float
    ) -> dict[str, Any] | None:
        if cause is Cause.TIME:
            minutes = ceil(units.minutes(values["timelimit"]) * factor)
            return {**values, "timelimit": f"{minutes}m"}
        if cause is Cause.MEMORY:
            amount = ceil(units.megabytes(values["memory"]) * factor)
            return {**values, "memory": units.memory(amount)}
        return None

    def _folder(self) -> Path | None:
        if self.workdir is not None:
            self.workdir.mkdir(parents=True, exist_ok=True)
        return self.workdir


def sqsub_words(
    args: Sequence[str],
    output_filename: str,
    name: str,
    depends_on: Sequence[JobId],
) -> list[str]:
    """Return what follows the resource options in a call of sqsub."""
    words = ["-j", name, "-o", output_filename]
    if depends_on:
        words += ["-w", ",".join(map(str, depends_on))]
    return [*words, *args]


def queue_name(array: JobArray, position: int) -> str:
    """Return the name by which the queue shows a job of an array.

    It ends with the array's key, as sqsub knows no comments.
    """
    return f"{array.names[position]}#{array.key}"


def array_words(array: JobArray, position: int) -> list[str]:
    """Return `sqsub_words` for the job at a position of an array."""
    args = [*array.args, str(position)]
    output = str(array.output(position))
    return sqsub_words(args, output, queue_name(array, position), ())


def noted_ids(array: JobArray) -> dict[int, str]:
    """Return the ids, by position, that sqsub noted for an array."""
    found = {}
    for position in range(len(array)):
        with suppress(FileNotFoundError):
            found[position] = array.id_file(position).read_text("utf-8").strip()
    return {position: jobid for position, jobid in found.items() if jobid}


def parse_sqjobs(printed: str) -> Iterator[JobStatus]:
    """Read what sqjobs printed.

    After two lines of header, a line per job has at least six columns: job id,
    queue, state, number of cores, time, and name or command. An unknown state counts
    as running: nothing is taken as ended that may go on.
    """
    for line in printed.splitlines()[2:]:
        columns = line.split(maxsplit=5)
        if len(columns) == 6:
            jobid, _, state, _, _, name = columns
            yield JobStatus(jobid, _STATUS.get(state, "R"), name.strip())


def sqjobs(*jobids: str) -> list[JobStatus]:
    """Ask sqjobs for some jobs, by default for all of yours.

    Raises `QueueUnreachableError` where the queue does not answer.
    """
    done = call(["sqjobs", *jobids])
    # Where there are no jobs it prints its header at most, and fails.
    is_idle = done.returncode == 1 and not done.stderr.strip()
    n_lines = len(done.stdout.splitlines())
    if done.returncode == 0 or (is_idle and n_lines != 1):
        return list(parse_sqjobs(done.stdout))
    if jobids and not is_unreachable(done):
        return []
    raise unreachable("sqjobs", done)


def is_unreachable(done: subprocess.CompletedProcess[str]) -> bool:
    """Return whether a command failed because the queue did not answer."""
    if done.returncode == 0:
        return False
    return done.returncode < 0 or bool(_UNREACHABLE.search(done.stderr + done.stdout))


def refusal(done: subprocess.CompletedProcess[str]) -> SchedulerError:
    """Return the error for a job that sqsub did not submit.

    It is of the kind that says whether to try again.
    """
    if is_unreachable(done):
        return unreachable("sqsub", done)
    said = words_of(done.stderr, done.stdout)
    if _FULL.search(said):
        return QueueFullError(
            f"sqsub takes no more jobs now: {said} Wait for jobs to end."
        )
    return SchedulerError(
        f"sqsub failed with exit status {done.returncode}: {said} Check "
        "scheduler_args and the queue's limits."
    )


def unreachable(
    program: str, done: subprocess.CompletedProcess[str]
) -> QueueUnreachableError:
    """Return the error for a queue that does not answer a command."""
    return QueueUnreachableError(
        f"{program} failed with exit status {done.returncode}: "
        f"{words_of(done.stderr, done.stdout)} Jobs may well go on; try again later."
    )


def read_id(idfile: Path) -> str:
    """Return the job id that sqsub left; raises `SchedulerError` if it left none."""
    try:
        jobid = idfile.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise _no_id(idfile, error.strerror or "it cannot be read") from error
    if not jobid:
        raise _no_id(idfile, "the file is empty")
    return jobid


def _no_id(idfile: Path, reason: str) -> SchedulerError:
    return SchedulerError(
        f"sqsub left no job id in {idfile}: {reason}. Check with sqjobs whether the "
        "job was submitted."
    )
