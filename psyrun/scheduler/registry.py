"""Schedulers by name."""

from __future__ import annotations

import base64
import pickle
from contextlib import suppress

from psyrun.errors import SchedulerError, did_you_mean
from psyrun.scheduler.base import Scheduler
from psyrun.utils.plugins import Plugins

_SCHEDULERS: Plugins[Scheduler] = Plugins(
    group="psyrun.schedulers",
    kind="scheduler",
    base=Scheduler,  # type: ignore[type-abstract]
    base_path="psyrun.scheduler.Scheduler",
    error=SchedulerError,
    built_in={
        "ImmediateRun": "psyrun.scheduler.immediate:ImmediateRun",
        "Slurm": "psyrun.scheduler.slurm:Slurm",
        "Sqsub": "psyrun.scheduler.sqsub:Sqsub",
    },
)


def scheduler_names() -> list[str]:
    """Return the names of all schedulers that are installed.

    Returns
    -------
    list of str
        Sorted names, those of the group ``psyrun.schedulers`` included.
    """
    return _SCHEDULERS.names()


def scheduler_class(name: str) -> type[Scheduler]:
    """Return a scheduler's class.

    Parameters
    ----------
    name : str
        Name of an installed scheduler, or ``'module.Class'``.

    Returns
    -------
    type of Scheduler
        The class.

    Raises
    ------
    SchedulerError
        There is none of this name, it cannot be imported, or it is not a
        scheduler.
    """
    names = scheduler_names()
    if name in names:
        return _SCHEDULERS.load(name)
    module, _, attribute = name.rpartition(".")
    if not module:
        raise SchedulerError(
            f"unknown scheduler {name!r}.{did_you_mean(name, names)} Choose one of "
            f"{', '.join(names)}, or name a class as 'module.Class'."
        )
    return _SCHEDULERS.load_path(module, attribute)


def frozen(scheduler: Scheduler) -> str:
    """Return a scheduler as a text, to be made again in another process.

    Parameters
    ----------
    scheduler : Scheduler
        The scheduler.

    Returns
    -------
    str
        Empty if it cannot be pickled.
    """
    try:
        return base64.b64encode(pickle.dumps(scheduler)).decode("ascii")
    except Exception:
        return ""


def installed(target: str) -> Scheduler | None:
    """Return a new scheduler of a class that is installed, else None.

    Parameters
    ----------
    target : str
        Where the class is: ``'module:Class'``.

    Returns
    -------
    Scheduler or None
        None also if it cannot be made without arguments.
    """
    if not _SCHEDULERS.has_path(target):
        return None
    kind = _SCHEDULERS.load_path(*target.split(":", 1))
    with suppress(TypeError):
        return kind()
    return None


def thawed(target: str, text: str) -> Scheduler:
    """Return a scheduler that was frozen, or a new one of its class.

    Parameters
    ----------
    target : str
        Where its class is: ``'module:Class'``.
    text : str
        What :func:`frozen` returned.

    Returns
    -------
    Scheduler
        The scheduler.

    Raises
    ------
    SchedulerError
        Its class cannot be imported, is not a scheduler, or needs arguments that
        are not known.
    """
    kind = _SCHEDULERS.load_path(*target.split(":", 1))
    with suppress(Exception):
        scheduler = pickle.loads(base64.b64decode(text))
        if isinstance(scheduler, kind):
            return scheduler
    try:
        return kind()
    except TypeError as error:
        raise SchedulerError(
            f"scheduler {target!r} cannot be made without arguments ({error}), and "
            "cannot be pickled with them. Give them default values."
        ) from error
