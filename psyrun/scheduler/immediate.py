"""No queue: a job runs at once, on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from psyrun.errors import JobError, SchedulerError
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.jobs import JobId, JobStatus
from psyrun.utils.typing import override

LOCAL = "local"
"""The profile for running jobs on this machine."""


class ImmediateRun(Scheduler):
    """Run each job while it is being submitted.

    As there is no queue, `scheduler_args` written for one have no effect.
    """

    PROFILE = "local"

    def __init__(self) -> None:
        self._ids = count()

    @override
    def submit(
        self,
        args: Sequence[str],
        output_filename: str,
        name: str | None = None,
        depends_on: Sequence[JobId] | None = None,
        scheduler_args: Mapping[str, Any] | None = None,
    ) -> JobId:
        """Run one job and wait for its end."""
        jobid = next(self._ids)
        status = _run(args, output_filename)
        if status != 0:
            raise JobError(
                f"{name or args[0]}: the job failed with exit status {status}. "
                f"Its output is in {output_filename}."
            )
        return jobid

    @override
    def validate(self, scheduler_args: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Take any arguments, as none has an effect."""
        return {}

    @override
    def get_status(self, jobid: JobId) -> JobStatus | None:
        """Return None, as a job has ended when it has been submitted."""
        return None

    @override
    def get_jobs(self) -> list[JobId]:
        """Return no jobs, as none is ever waiting."""
        return []

    @override
    def kill(self, jobid: JobId) -> None:
        """Do nothing, as the job has ended."""


def _run(args: Sequence[str], output_filename: str) -> int:
    try:
        with Path(output_filename).open("ab") as output:
            return subprocess.run(
                args, stdout=output, stderr=subprocess.STDOUT, check=False
            ).returncode
    except OSError as error:
        raise SchedulerError(
            f"{args[0]}: the job cannot be run: {error}. Check that the command "
            f"exists and that {output_filename} can be written."
        ) from error
