"""Knowing whether a command that submits still runs, whoever started it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from psyrun.errors import QueueUnreachableError


@contextmanager
def held(path: Path) -> Iterator[BinaryIO]:
    """Lock a file, for as long as a process has it open that was given it.

    Parameters
    ----------
    path : Path
        The file, which may not exist yet.

    Yields
    ------
    file object
        Open for appending. A command that inherits it holds the lock even if
        we are killed.

    Raises
    ------
    QueueUnreachableError
        Another process holds it.
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
