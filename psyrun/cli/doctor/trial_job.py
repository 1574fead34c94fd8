"""A short job, to see whether jobs run and what they find on their machine."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psyrun.cli.doctor.probe import ANSWER, MARK, NOTE
from psyrun.errors import QueueError
from psyrun.queue.script import JobTrace, command, write_script
from psyrun.scheduler import Scheduler
from psyrun.scheduler.jobs import Ending, JobArray, JobId
from psyrun.utils.files import read_json
from psyrun.utils.leftovers import remove_abandoned, words_of_folder

NAME = "psy-doctor"
_PAUSE = 0.5  # seconds between looks at the queue
_LATENCY = 15.0  # seconds until files written elsewhere must be here


@dataclass(frozen=True)
class TrialJob:
    """A job that was tried.

    Attributes
    ----------
    key : str
        The text that the queue should show with it.
    state : str
        ``'ended'``, or its last state: ``'queued'`` or ``'running'``.
    reason : str
        Why it was queued, if the queue says so.
    seconds : float
        From its submission to its end, or until it was cancelled.
    submitted : float
        When, in seconds since the epoch.
    ending : Ending or None
        Why it ended, if the queue says so.
    answers : dict of Path to (dict or None)
        What it wrote into each folder, as far as it can be seen here.
    """

    id: JobId
    key: str
    state: str
    reason: str
    seconds: float
    submitted: float
    trace: JobTrace
    ending: Ending | None
    answers: Mapping[Path, dict[str, Any] | None]


def try_job(
    scheduler: Scheduler,
    values: Mapping[str, Any],
    folders: list[Path],
    patience: float,
) -> TrialJob:
    """Submit a job of two seconds, wait for its end, and clean up.

    Parameters
    ----------
    values : mapping of str to object
        Arguments for it, validated.
    folders : list of Path
        Where the job is to read and write; the first is the project's.
    patience : float
        Seconds after which the job is cancelled.

    Raises
    ------
    SchedulerError
        The queue refused the job, or does not answer.
    OSError
        A folder cannot be written to.
    """
    with _places(folders) as places:
        key = secrets.token_hex(8)
        array = _job(places, key, values)
        begun = time.time()
        jobid = _submit(scheduler, array)
        state, reason = _watch(scheduler, jobid, patience)
        return TrialJob(
            id=jobid,
            key=key,
            state=state,
            reason=reason,
            seconds=time.time() - begun,
            submitted=begun,
            answers=_answers(places) if state == "ended" else {},
            trace=JobTrace.read(array.output(0)),
            ending=scheduler.get_endings([jobid]).get(jobid),
        )


def _watch(
    scheduler: Scheduler,
    jobid: JobId,
    patience: float,
) -> tuple[str, str]:
    """Wait for the end of a job; return its state, and why it is queued.

    Whatever happens, it does not stay in the queue.
    """
    state = "queued"
    try:
        deadline = time.monotonic() + patience
        while state != "ended" and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            state = _state(scheduler, jobid)
        return state, _reason(scheduler, jobid) if state == "queued" else ""
    finally:
        if state != "ended":
            scheduler.kill(jobid)


def _reason(scheduler: Scheduler, jobid: JobId) -> str:
    try:
        return scheduler.why_queued([jobid]).get(jobid, "")
    except QueueError:
        return ""


@contextmanager
def _places(folders: list[Path]) -> Iterator[dict[Path, Path]]:
    """Make a folder in each of the folders, for a while."""
    places: dict[Path, Path] = {}
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(folder, NAME)
            prefix, suffix = words_of_folder(folder / NAME)
            place = Path(tempfile.mkdtemp(suffix, prefix, folder))
            place.chmod(0o755)
            places[folder] = place
        yield places
    finally:
        for place in places.values():
            shutil.rmtree(place, ignore_errors=True)


def _job(places: Mapping[Path, Path], key: str, values: Mapping[str, Any]) -> JobArray:
    """Write what the job needs: a script as that of a task's jobs, and notes."""
    folder = next(iter(places.values()))
    for place in places.values():
        (place / NOTE).write_text(key, encoding="utf-8")
    words = [
        *("python3", "-P", "-m", "psyrun.cli.doctor.probe"),
        *map(str, places.values()),
    ]
    write_script(folder, key, [f"sleep 2; exec {shlex.join(words)}"], Path.cwd())
    return JobArray(
        args=command(folder),
        name=NAME,
        names=(NAME,),
        folder=folder,
        scheduler_args=values,
        key=key,
    )


def _submit(scheduler: Scheduler, array: JobArray) -> JobId:
    os.environ[MARK] = array.key
    try:
        return scheduler.submit_array(array)[0]
    finally:
        del os.environ[MARK]


def _state(scheduler: Scheduler, jobid: JobId) -> str:
    found = scheduler.get_statuses([jobid]).get(jobid)
    if found is None or found.status == "D":
        return "ended"
    return "queued" if "Q" in found.status else "running"


def _answers(places: Mapping[Path, Path]) -> dict[Path, dict[str, Any] | None]:
    """Read what the job left; other machines may see it late."""
    deadline = time.monotonic() + _LATENCY
    found: dict[Path, dict[str, Any] | None] = {}
    while time.monotonic() < deadline:
        for folder, place in places.items():
            with suppress(OSError):
                # File servers forget what was not there once a folder is listed.
                list(place.iterdir())
            found[folder] = read_json(place / ANSWER)
        status = JobTrace.read(next(iter(places.values())) / "0.out").exit_status
        if all(found.values()) or status not in (None, 0):
            break
        time.sleep(_PAUSE)
    return found
