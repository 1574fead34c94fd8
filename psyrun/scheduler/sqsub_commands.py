"""The commands of Sharcnet's queue, and what they print."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from psyrun.errors import QueueFullError, QueueUnreachableError, SchedulerError
from psyrun.scheduler.commands import call, words_of
from psyrun.scheduler.jobs import JobArray, JobId, JobStatus

_STATUS = {"Q": "Q", "*Q": "*Q", "R": "R", "Z": "Z", "C": "D", "D": "D"}
_UNREACHABLE = re.compile(
    r"cannot (?:connect|contact|reach)|unable to (?:connect|contact|reach)|timed out"
    r"|connection (?:refused|reset)|not responding|temporarily|try again|unavailable",
    re.IGNORECASE,
)
_FULL = re.compile(r"too many|limit (?:of jobs )?(?:reached|exceeded)", re.IGNORECASE)


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


def queue_name(array: JobArray, position: int) -> str:
    """Return the name by which the queue shows a job of an array.

    Parameters
    ----------
    array : JobArray
        The array.
    position : int
        The job's position.

    Returns
    -------
    str
        Its name and the array's key: sqsub knows no comments.
    """
    return f"{array.names[position]}#{array.key}"


def array_words(array: JobArray, position: int) -> list[str]:
    """Return `sqsub_words` for a job of an array.

    Parameters
    ----------
    array : JobArray
        The array.
    position : int
        The job's position.

    Returns
    -------
    list of str
        Words of the command line.
    """
    args = [*array.args, str(position)]
    output = str(array.output(position))
    return sqsub_words(args, output, queue_name(array, position), ())


def noted_ids(array: JobArray) -> dict[int, str]:
    """Return the ids that sqsub noted.

    Parameters
    ----------
    array : JobArray
        The array.

    Returns
    -------
    dict of int to str
        Ids by position.
    """
    found = {}
    for position in range(len(array)):
        with suppress(FileNotFoundError):
            found[position] = array.id_file(position).read_text("utf-8").strip()
    return {position: jobid for position, jobid in found.items() if jobid}


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
        One per job. A state that is not known counts as running: nothing is
        taken as ended that may go on.
    """
    for line in printed.splitlines()[2:]:
        columns = line.split(maxsplit=5)
        if len(columns) == 6:
            jobid, _, state, _, _, name = columns
            yield JobStatus(jobid, _STATUS.get(state, "R"), name.strip())


def sqjobs(*jobids: str) -> list[JobStatus]:
    """Ask sqjobs.

    Parameters
    ----------
    *jobids : str
        Jobs to ask for; all of yours by default.

    Returns
    -------
    list of JobStatus
        The jobs that are known.

    Raises
    ------
    QueueUnreachableError
        The queue does not answer.
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
    """Return whether a command failed because the queue did not answer.

    Parameters
    ----------
    done : subprocess.CompletedProcess
        What the command printed.

    Returns
    -------
    bool
        False also where the command did not fail.
    """
    if done.returncode == 0:
        return False
    return done.returncode < 0 or bool(_UNREACHABLE.search(done.stderr + done.stdout))


def refusal(done: subprocess.CompletedProcess[str]) -> SchedulerError:
    """Return the error for a job that sqsub did not submit.

    Parameters
    ----------
    done : subprocess.CompletedProcess
        What sqsub printed.

    Returns
    -------
    SchedulerError
        To be raised; of the kind that says whether to try again.
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
    """Return the error for a queue that does not answer.

    Parameters
    ----------
    program : str
        The command that found it so.
    done : subprocess.CompletedProcess
        What it printed.

    Returns
    -------
    QueueUnreachableError
        To be raised.
    """
    return QueueUnreachableError(
        f"{program} failed with exit status {done.returncode}: "
        f"{words_of(done.stderr, done.stdout)} Jobs may well go on; try again later."
    )


def read_id(idfile: Path) -> str:
    """Return the job id that sqsub left.

    Parameters
    ----------
    idfile : Path
        The file.

    Returns
    -------
    str
        The job id.

    Raises
    ------
    SchedulerError
        There is none.
    """
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
