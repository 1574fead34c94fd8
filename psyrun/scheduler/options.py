"""The arguments that a scheduler takes, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psyrun.errors import SchedulerError, did_you_mean

# In psyrun 0.8, jobs of an array had no number, and the steps of a balanced task other
# names.
_FORMER_STEPS = {"process": "process", "split": "pspace", "merge": "finalize"}


@dataclass(frozen=True)
class Option:
    """One entry of `scheduler_args` and the command line option it becomes.

    Attributes
    ----------
    flag : str
        The option, such as ``'-t'`` or ``'--mem'``. The value follows as its
        own word after a short option, and after ``=`` behind a long one.
    required : bool
        Whether `scheduler_args` must have it.
    default : object, optional
        Value used where `scheduler_args` has none; ``None`` leaves it out.
    check : callable, optional
        Takes a value and returns it as the queue wants it, or raises
        `ValueError` with a text that says what is allowed. It must take what
        it returned.
    other_names : tuple of str, optional
        Names that mean the same option. `Scheduler.validate` must know them.
    excludes : tuple of str, optional
        Options of the table that cannot be given together with this one.
    """

    flag: str
    required: bool = False
    default: Any = None
    check: Callable[[Any], Any] | None = None
    other_names: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    def words(self, value: Any) -> list[str]:
        """Return the words of the command line that state `value`.

        Parameters
        ----------
        value : object
            Turned into text by ``str``; True states the bare option, and False
            nothing.

        Returns
        -------
        list of str
            One word for a long option, two for a short one.
        """
        if isinstance(value, bool):
            return [self.flag] if value else []
        if self.flag.startswith("--"):
            return [f"{self.flag}={value}"]
        return [self.flag, str(value)]


def dashed(name: str) -> str:
    """Return a name with ``'-'`` for each ``'_'``, which often mean the same."""
    return name.replace("_", "-")


def names_of(options: Mapping[str, Option]) -> dict[str, str]:
    """Return the names of a table by all names, as `dashed`, that they may have."""
    return {
        dashed(spelt): name
        for name, option in options.items()
        for spelt in (name, *option.other_names)
    }


def joined(
    options: Mapping[str, Option] | None, *sources: Mapping[str, Any]
) -> dict[str, Any]:
    """Join the `scheduler_args` of several places, of which later ones win.

    Entries of an earlier place are gone if a later one gives the same option, by
    whatever name, or one that excludes it. What a single place says twice is kept,
    for `Scheduler.validate` to refuse. Without a table (None), names are compared
    as they are.
    """
    options = options or {}
    names = names_of(options)

    def key(name: str) -> str:
        return names.get(dashed(str(name)), dashed(str(name)))

    found: dict[str, Any] = {}
    for source in sources:
        gone = {key(name) for name in source}
        # None leaves an option out, so that it does not stand in for another.
        stated = {key(name) for name, value in source.items() if value is not None}
        for name in stated & options.keys():
            gone |= set(options[name].excludes)
        kept = {name: value for name, value in found.items() if key(name) not in gone}
        found = kept | dict(source)
    return found


def resolve(
    options: Mapping[str, Option],
    scheduler_args: Mapping[str, Any],
    job_name: str,
    scheduler_name: str,
) -> dict[str, Any]:
    """Check `scheduler_args` against a table and work out their values for one job.

    Returns the values, defaults included, in the order of the table. Raises
    `SchedulerError` where an argument is unknown, missing or not allowed, or its
    function raised.
    """
    _check_names(options, scheduler_args, scheduler_name)
    values = {}
    for name, option in options.items():
        value = _value(scheduler_args.get(name), name, job_name)
        value = option.default if value is None else value
        if value is not None:
            values[name] = _checked(option, value, name, job_name)
        elif option.required:
            raise SchedulerError(_missing(options, name, scheduler_name))
    return values


def argv(options: Mapping[str, Option], values: Mapping[str, Any]) -> list[str]:
    """Return the words of the command line that state values of `resolve`."""
    return [word for name in values for word in options[name].words(values[name])]


def _check_names(
    options: Mapping[str, Option], given: Mapping[str, Any], scheduler_name: str
) -> None:
    for name in given:
        if name not in options:
            raise SchedulerError(
                f"scheduler_args: {scheduler_name} does not know {name!r}."
                f"{did_you_mean(str(name), options)} It accepts {', '.join(options)}."
            )


def _value(value: Any, name: str, job_name: str) -> Any:
    if not callable(value):
        return value
    try:
        return value(job_name)
    except (Exception, SystemExit) as error:
        for former in _former_names(job_name):
            with suppress(Exception, SystemExit):
                return value(former)
        raise SchedulerError(
            f"scheduler_args: the function for {name!r} raised "
            f"{type(error).__name__}: {' '.join(str(error).split())} for the job "
            f"{job_name!r}; it must take the job's name and return a value."
        ) from error


def _former_names(job_name: str) -> Iterator[str]:
    """Yield what psyrun 0.8 called a job where that differs."""
    task, _, step = job_name.partition(":")
    if former := _FORMER_STEPS.get(step.partition(":")[0]):
        yield f"{task}:{former}"


def _checked(option: Option, value: Any, name: str, job_name: str) -> Any:
    if option.check is None:
        return value
    try:
        return option.check(value)
    except ValueError as error:
        raise SchedulerError(
            f"scheduler_args: {name!r} is {value!r} for the job {job_name!r}; {error}."
        ) from error


def _missing(options: Mapping[str, Option], name: str, scheduler_name: str) -> str:
    required = [name for name, option in options.items() if option.required]
    return (
        f"scheduler_args: {name!r} is missing; {scheduler_name} requires "
        f"{' and '.join(required)}. Add scheduler_args = {{{name!r}: ...}}."
    )
