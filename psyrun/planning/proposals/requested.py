"""What jobs ask for now, and how a queue wants it to be written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psyrun.planning.proposals.situation import Situation
from psyrun.scheduler import units
from psyrun.scheduler.options import dashed, names_of

_TIMES = ("timelimit", "time")
_MEMORIES = ("memory", "memory_per_cpu", "mem")
_MEBI = 2**20


@dataclass(frozen=True)
class Argument:
    """An argument of the scheduler.

    Attributes
    ----------
    key : str
        Its name, as the task has it.
    now : object
        Its value there; None if it has none.
    per : int
        Into how many equal parts it divides what a job needs.
    """

    key: str
    now: Any
    per: int = 1


def time_argument(situation: Situation) -> Argument | None:
    """Return the argument for the time limit; None if the queue has none."""
    return _argument(situation, _TIMES)


def memory_argument(situation: Situation) -> Argument | None:
    """Return the argument for memory that the task has, or would best have."""
    found = _argument(situation, _MEMORIES)
    if found is not None and "per" in dashed(found.key).split("-"):
        return Argument(found.key, found.now, max(1, situation.n_cpus))
    return found


def _argument(situation: Situation, known: tuple[str, ...]) -> Argument | None:
    options = situation.scheduler.OPTIONS
    spelt = names_of(options or {})
    given = situation.scheduler_args
    for key, value in given.items():
        name = spelt.get(dashed(key), key)
        if name in known:
            return Argument(key, value)
    if options is not None and known[0] in options:
        return Argument(known[0], None)
    return None


def requested_seconds(situation: Situation) -> float | None:
    """Return the time limit of a process job; None if there is none."""
    minutes = _resources(situation).get("runtime")
    if isinstance(minutes, int):
        return 60.0 * minutes
    argument = time_argument(situation)
    if argument is not None and situation.scheduler.OPTIONS is None:
        with suppress(ValueError):
            return 60.0 * units.minutes(argument.now)
    return None


def _resources(situation: Situation) -> Mapping[str, int | str]:
    # Those of a queue that requires some arguments need these.
    values = situation.values
    return situation.scheduler.resources(values) if values else {}


def requested_memory(situation: Situation) -> float | None:
    """Return the bytes that a process job asks for; None if it says nothing of it."""
    resources = _resources(situation)
    for name, factor in (("mem_mb", 1), ("mem_mb_per_cpu", situation.n_cpus)):
        amount = resources.get(name)
        if isinstance(amount, int) and amount > 0:
            return float(amount * factor * _MEBI)
    argument = memory_argument(situation)
    if argument is not None and situation.scheduler.OPTIONS is None:
        with suppress(ValueError):
            return units.bytes_of(argument.now) * argument.per
    return None
