"""Put the rows of all blocks into one file."""

from __future__ import annotations

import shutil
from pathlib import Path

from psyrun import journal
from psyrun.errors import JobError
from psyrun.files import write_json
from psyrun.layout import MERGE
from psyrun.steps.job import Job


def merge(job: Job) -> None:
    """Write the result file, in the order of the space.

    Parameters
    ----------
    job : Job
        The job. The former result file stays until the new one is whole.
    """
    plan = job.plan
    with job.lock(MERGE):
        _check_complete(job)
        result = Path(plan.resultfile)
        result.parent.mkdir(parents=True, exist_ok=True)
        with job.store(plan.result_ext).writer(str(result)) as writer:
            n_rows = job.data.write(writer)
        record = {
            "merge": plan.merge,
            "into": plan.resultfile,
            "n_rows": n_rows,
            "n_failed": job.data.n_accepted_failures(),
            **_repetitions(job),
        }
        write_json(job.round.merged, record)
        for mark in job.round.folder.glob(job.round.merge_mark("*").name):
            mark.unlink()
        job.round.merge_mark(plan.merge).touch()
        _remove_what_is_no_longer_needed(job)
    print(f"{n_rows} rows written to {result}")


def _repetitions(job: Job) -> dict[str, int]:
    """Count assignments that were evaluated again, by cause."""
    keys = ("failed_before", "cut_off_before")
    jobs: dict[tuple[str, int], dict[str, int]] = {}
    for path in job.round.journals.glob("*.journal"):
        sessions = [e for e in journal.scan(path) if e.kind == journal.SESSION]
        for session in journal.failures(sessions):
            # All workers of a job note the same numbers.
            jobs[session["host"], session["job"]] = session
    return {key: sum(session[key] for session in jobs.values()) for key in keys}


def _check_complete(job: Job) -> None:
    """Refuse to merge while rows are missing.

    Raises
    ------
    JobError
        If they are: the jobs that had fetched their assignments were killed.
    """
    data = job.data
    n_known = len(data.known()) + data.n_accepted_failures()
    n_missing = len(data.division.space) - n_known
    if n_missing:
        raise JobError(
            f"{n_missing} assignments have no row: the jobs that had fetched them were "
            "killed. Run again: only these are evaluated then."
        )


def _remove_what_is_no_longer_needed(job: Job) -> None:
    for folder in (job.round.journals, job.round.claims):
        shutil.rmtree(folder, ignore_errors=True)
    for number, round_ in job.layout.rounds().items():
        if number < job.plan.round:
            shutil.rmtree(round_.folder, ignore_errors=True)
