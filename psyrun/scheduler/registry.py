"""Schedulers by name."""

from __future__ import annotations

import base64
import pickle
from contextlib import suppress
from importlib import import_module
from typing import Any

from psyrun.errors import SchedulerError, did_you_mean
from psyrun.scheduler.base import Scheduler

GROUP = "psyrun.schedulers"
"""Entry-point group of schedulers; an entry's name is the scheduler's."""

_BUILT_IN = {
    "ImmediateRun": "psyrun.scheduler.immediate:ImmediateRun",
    "Slurm": "psyrun.scheduler.slurm:Slurm",
    "Sqsub": "psyrun.scheduler.sqsub:Sqsub",
}


def scheduler_names() -> list[str]:
    """Return the names of all schedulers that are installed.

    Returns
    -------
    list of str
        Sorted names, those of the group ``psyrun.schedulers`` included.
    """
    return sorted(_targets())


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
    targets = _targets()
    if name in targets:
        return _load(name, *targets[name].split(":", 1))
    module, _, attribute = name.rpartition(".")
    if not module:
        raise SchedulerError(
            f"unknown scheduler {name!r}.{did_you_mean(name, targets)} Choose one of "
            f"{', '.join(sorted(targets))}, or name a class as 'module.Class'."
        )
    return _load(name, module, attribute)


def load_class(target: str) -> type[Scheduler]:
    """Return a scheduler's class by where it is.

    Parameters
    ----------
    target : str
        ``'module:Class'``.

    Returns
    -------
    type of Scheduler
        The class.

    Raises
    ------
    SchedulerError
        It cannot be imported, or is not a scheduler.
    """
    return _load(target, *target.split(":", 1))


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
    kind = load_class(target)
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


def _targets() -> dict[str, str]:
    from importlib.metadata import entry_points

    installed = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    return installed | _BUILT_IN


def _load(name: str, module: str, attribute: str) -> type[Scheduler]:
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise SchedulerError(
            f"scheduler {name!r}: {module}:{attribute} cannot be imported: "
            f"{type(error).__name__}: {' '.join(str(error).split())}. Install it, or "
            f"mend its entry in the group {GROUP}."
        ) from error
    if not (isinstance(found, type) and issubclass(found, Scheduler)):
        raise SchedulerError(
            f"scheduler {name!r}: {module}:{attribute} is not a scheduler; it must "
            "be a subclass of psyrun.scheduler.Scheduler."
        )
    if found.__abstractmethods__:
        raise SchedulerError(
            f"scheduler {name!r}: {module}:{attribute} lacks "
            f"{', '.join(sorted(found.__abstractmethods__))}."
        )
    return found
