"""Spaces that are too large for the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager

from psyrun.errors import PsyrunError


@contextmanager
def enough_for(space: Sized, taskfile: object) -> Iterator[None]:
    """Say in one line where a list of all assignments takes too much memory.

    Parameters
    ----------
    space : Sized
        The space.
    taskfile : object
        The task file, for the message.

    Raises
    ------
    PsyrunError
        In place of a `MemoryError`.
    """
    try:
        yield
    except MemoryError as error:
        raise PsyrunError(
            f"{taskfile}: pspace has {len(space)} assignments, and a list of them "
            "takes more memory than there is. Make it smaller, for example with fewer "
            "values for each parameter or as several tasks."
        ) from error
