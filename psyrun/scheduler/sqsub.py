"""Sharcnet's queue, with its commands sqsub, sqjobs and sqkill."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psyrun.errors import SchedulerError
from psyrun.scheduler.base import JobId, JobStatus, Scheduler, call, call_or_fail
from psyrun.scheduler.options import Option, argv

_STATUS = {"Q": "Q", "*Q": "*Q", "R": "R", "Z": "Z"}


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
    """

    USER_DEFAULT_ARGS = {"timelimit": "1h", "memory": "1G", "n_cpus": 1}
    OPTIONS = {
        "timelimit": Option("-r", required=True),
        "n_cpus": Option("-n", default=1),
        "n_nodes": Option("-N"),
        "memory": Option("--mpp", required=True),
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
        """Submit one job with sqsub.

        Parameters
        ----------
        args : sequence of str
            The command and its arguments.
        output_filename : str
            File that takes the job's standard output and error.
        name : str, optional
            Name of the job; the first of `args` by default.
        depends_on : sequence of int or str, optional
            Jobs that must have ended before this one starts.
        scheduler_args : mapping of str to object, optional
            See the table above; a time limit and a memory limit are required.

        Returns
        -------
        int or str
            The queue's number of the job.

        Raises
        ------
        SchedulerError
            The arguments are not accepted, or sqsub failed.
        """
        name = name or args[0]
        values = self.validate(scheduler_args or {}, name)
        words = sqsub_words(args, output_filename, name, depends_on or ())
        with tempfile.TemporaryDirectory(dir=self._folder()) as folder:
            idfile = Path(folder, "id")
            options = [*argv(self.OPTIONS, values), f"--idfile={idfile}"]
            call_or_fail(["sqsub", *options, *words])
            return _read_id(idfile)

    def get_status(self, jobid: JobId) -> JobStatus | None:
        """Return what sqjobs says of one job.

        Parameters
        ----------
        jobid : int or str
            The queue's number of the job.

        Returns
        -------
        JobStatus or None
            None if sqjobs does not list the job, or no longer does.
        """
        listed = parse_sqjobs(call(["sqjobs", str(jobid)]).stdout)
        return next((job for job in listed if job.id == str(jobid)), None)

    def get_jobs(self) -> list[JobId]:
        """Return your jobs that are queued, running or suspended.

        Returns
        -------
        list of int or str
            The queue's numbers of the jobs.
        """
        # sqjobs fails where there are no jobs: nothing is listed then.
        listed = parse_sqjobs(call(["sqjobs"]).stdout)
        return [job.id for job in listed if job.status != "D"]

    def kill(self, jobid: JobId) -> None:
        """Cancel one job with sqkill.

        Parameters
        ----------
        jobid : int or str
            The queue's number of the job.
        """
        call(["sqkill", str(jobid)])

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
    """Return what follows the resource options in a call of sqsub.

    Parameters
    ----------
    args : sequence of str
        The job's command and its arguments.
    output_filename : str
        File that takes the job's output.
    name : str
        Name of the job.
    depends_on : sequence of int or str
        Jobs that must have ended before.

    Returns
    -------
    list of str
        Words of the command line.
    """
    words = ["-j", name, "-o", output_filename]
    if depends_on:
        words += ["-w", ",".join(map(str, depends_on))]
    return [*words, *args]


def parse_sqjobs(printed: str) -> Iterator[JobStatus]:
    """Read what sqjobs printed.

    Parameters
    ----------
    printed : str
        Two lines of header, then a line per job of at least six columns: job
        id, queue, state, number of cores, time, and name or command.

    Yields
    ------
    JobStatus
        One per job; a state that is not known counts as ended.
    """
    for line in printed.splitlines()[2:]:
        columns = line.split(maxsplit=5)
        if len(columns) == 6:
            jobid, _, state, _, _, name = columns
            yield JobStatus(jobid, _STATUS.get(state, "D"), name.strip())


def _read_id(idfile: Path) -> str:
    try:
        return idfile.read_text().strip()
    except OSError as error:
        raise SchedulerError(
            f"sqsub left no job id in {idfile}: {error.strerror}. Check with sqjobs "
            "whether the job was submitted."
        ) from error
