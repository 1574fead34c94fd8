"""Running the commands of a queue."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from psyrun.errors import QueueUnreachableError, SchedulerError
from psyrun.utils.process.isolation import isolated

TIME_OUT = 60.0
"""Seconds that a command of a queue has for its answer."""

_ELSEWHERE = (
    "Run psy where the queue's commands are on the PATH, or choose another scheduler."
)


def call(
    command: Sequence[str],
    *,
    time_out: float = TIME_OUT,
    environment: Mapping[str, str] | None = None,
    holding: BinaryIO | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command of the queue and return what it printed, as text.

    It keeps the file `holding` open until it ends, even if we are killed before.
    Raises `SchedulerError` where the program is missing, and
    `QueueUnreachableError` after `time_out` seconds.
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=time_out,
            env=isolated(os.environ if environment is None else environment),
            pass_fds=() if holding is None else (holding.fileno(),),
            # Ctrl-C is for us: what submits is to end what it has begun.
            start_new_session=holding is not None,
        )
    except OSError as error:
        raise cannot_run(command[0], error) from error
    except subprocess.TimeoutExpired as error:
        raise QueueUnreachableError(
            f"{command[0]} has not answered within {time_out:.0f} s. The queue may be "
            "busy or down; try again later."
        ) from error


def cannot_run(program: str, error: OSError) -> SchedulerError:
    """Return the error to raise for a command that cannot be run."""
    return SchedulerError(
        f"{program} cannot be run: {error.strerror or error}. {_ELSEWHERE}"
    )


def check_programs(names: Iterable[str]) -> None:
    """Raise `SchedulerError` if some programs of a queue are not found."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        path = os.environ.get("PATH")
        where = "on the PATH" if path else "found, as PATH is not set"
        raise SchedulerError(
            f"{', '.join(missing)} cannot be run: not {where}. {_ELSEWHERE}"
        )


def words_of(*printed: str) -> str:
    """Return the first text that is not blank as one line, or ``'it says nothing'``."""
    said = (" ".join(text.split()) for text in printed)
    return next(filter(None, said), "it says nothing")


def environment_without(*prefixes: str) -> dict[str, str]:
    """Return the environment without the variables that begin with some prefixes."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(prefixes)
    }


@contextmanager
def exclusive_lock(path: Path) -> Iterator[BinaryIO]:
    """Lock a file, for as long as a process has it open that was given it.

    Yields the file, open for appending: a command that inherits it holds the lock
    even if we are killed. Raises `QueueUnreachableError` where another process
    holds it.
    """
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise QueueUnreachableError(
                f"{path}: a submission that was started earlier has not ended; the "
                "queue may be busy or down. Try again later."
            ) from error
        except OSError:
            pass  # some file systems know no locks
        yield file
