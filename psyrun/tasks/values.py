"""What special variables may be: each function takes what a task file says.

It returns the value in the form that `psyrun.tasks.Config` has it, and raises
`NotAllowedError` with what is allowed.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from psyrun.backend import Backend
from psyrun.scheduler import Scheduler, scheduler_class
from psyrun.scheduler.units import seconds
from psyrun.utils.plugins import missing_methods
from psyrun.utils.process.threads import AUTO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from psyrun.pspace import ParameterSpace
    from psyrun.store import Store


class NotAllowedError(Exception):
    """A value is not allowed; the text says what is."""


def space(value: Any) -> ParameterSpace:
    """Take a parameter space."""
    from psyrun.pspace import ParameterSpace

    if isinstance(value, ParameterSpace):
        return value
    if isinstance(value, Mapping):
        raise NotAllowedError("a parameter space: unpack the mapping with Param(**...)")
    raise NotAllowedError("a parameter space such as Param(x=[1, 2, 3])")


def function(value: Any) -> Callable[..., Any]:
    """Take a function."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    raise NotAllowedError("a function, such as one defined by 'def'")


def optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what takes None, too."""

    def read_optional(value: Any) -> Any:
        try:
            return None if value is None else read(value)
        except NotAllowedError as error:
            raise NotAllowedError(f"{error}, or None") from None

    return read_optional


def integer(*, at_least: int) -> Callable[[Any], int]:
    """Return what takes whole numbers, also those of NumPy, from a smallest one on."""

    def read_integer(value: Any) -> int:
        # True and False are integers in Python, but not meant to be.
        with suppress(TypeError):
            number = operator.index(value)
            if number >= at_least and not isinstance(value, bool):
                return number
        raise NotAllowedError(f"an integer of at least {at_least}")

    return read_integer


def limit(*, at_least: int) -> Callable[[Any], int | None]:
    """Return what takes whole numbers from a smallest one on, or None for no limit."""
    read = integer(at_least=at_least)

    def read_limit(value: Any) -> int | None:
        try:
            return None if value is None else read(value)
        except NotAllowedError as error:
            raise NotAllowedError(f"{error}. None stands for any number") from None

    return read_limit


def number(*, at_least: float) -> Callable[[Any], float]:
    """Return what takes finite numbers, also those of NumPy, from a smallest one on."""

    def read_number(value: Any) -> float:
        # Text can be made a number, too, and arrays of one.
        if isinstance(value, Real) and not isinstance(value, bool):
            found = float(value)
            if at_least <= found < math.inf:
                return found
        raise NotAllowedError(f"a number of at least {at_least:g}")

    return read_number


def threads(value: Any) -> int | Literal["auto"] | None:
    """Take a number of threads, None to leave it to the libraries, or ``'auto'``."""
    if value is None:
        return None
    if isinstance(value, str) and value == AUTO:
        return "auto"
    try:
        return integer(at_least=1)(value)
    except NotAllowedError as error:
        raise NotAllowedError(f"{error}, {AUTO!r} or None") from None


def duration(value: Any) -> float:
    """Take a length of time above zero, and return it in seconds."""
    try:
        return seconds(value)
    except ValueError as error:
        raise NotAllowedError(str(error)) from None


def flag(value: Any) -> bool:
    """Take True or False."""
    if isinstance(value, bool):
        return value
    raise NotAllowedError("True or False")


def choice(*words: str) -> Callable[[Any], str]:
    """Return what takes one of some words."""

    def read_choice(value: Any) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise NotAllowedError(f"one of {', '.join(map(repr, words))}")

    return read_choice


def path(value: Any) -> Path:
    """Take a path, in which `~` is the home folder."""
    found = _any_path(value)
    try:
        str(found).encode()
    except UnicodeEncodeError:
        raise NotAllowedError("a path in UTF-8, as Snakemake takes no other") from None
    return found


def _any_path(value: Any) -> Path:
    """Take a path that may have bytes in it that are not of UTF-8."""
    is_path = isinstance(value, str | os.PathLike)
    text = str(value).encode(errors="ignore").decode() if is_path else ""
    if not text.isprintable() or not text:
        raise NotAllowedError("a path on one line, as text or pathlib.Path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        # Nobody has that name: it is that of a file, as for a shell.
        return Path(value)


def command(value: Any) -> str:
    """Take a path or the name of a program, and return it as text.

    What the first line of a script has in front of that is left out.
    """
    return re.sub(r"^(/usr/bin/)?env\s+(?=\S+$)", "", str(path(value)))


def names(value: Any) -> tuple[str, ...]:
    """Take names, in their order if they have one; None for no names."""
    if value is None:
        return ()
    is_list = isinstance(value, list | tuple | set | frozenset)
    if is_list and all(isinstance(name, str) for name in value):
        return tuple(value) if isinstance(value, list | tuple) else tuple(sorted(value))
    raise NotAllowedError("a list of names, such as ['a', 'b']")


def paths(value: Any) -> tuple[Path, ...]:
    """Take paths."""
    if not isinstance(value, list | tuple):
        raise NotAllowedError("a list of paths, such as ['data.csv']")
    try:
        return tuple(map(_any_path, value))
    except NotAllowedError:
        raise NotAllowedError("a list of paths, such as ['data.csv']") from None


def arguments(value: Any) -> dict[str, Any]:
    """Take a dictionary whose keys are names; None for an empty one."""
    if value is None:
        return {}
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return dict(value)
    raise NotAllowedError(
        "a dictionary with names as keys, such as {'timelimit': '15m'}"
    )


def dimensions(value: Any) -> dict[str, tuple[str, ...]]:
    """Take the names of the axes of some results; a single one may be text."""
    allowed = "a dictionary with a list of names for each result, such as "
    allowed += "{'wave': ('t',)}"
    if not _has_names(value):
        raise NotAllowedError(allowed)
    found = {}
    for key, named in value.items():
        try:
            found[key] = names([named] if isinstance(named, str) else named)
        except NotAllowedError:
            raise NotAllowedError(f"{allowed}; that of {key!r} is none") from None
        if len(set(found[key])) < len(found[key]):
            raise NotAllowedError(f"{allowed}; that of {key!r} has a name twice")
    return found


def coordinates(value: Any) -> dict[str, NDArray[Any]]:
    """Take the values along some axes."""
    import numpy as np

    allowed = "a dictionary with a list of numbers, texts or dates for each axis, such "
    allowed += "as {'t': [0.0, 0.1]}"
    if not _has_names(value):
        raise NotAllowedError(allowed)
    found = {}
    for name, along in value.items():
        try:
            array = np.asarray(along)
        except ValueError:
            array = np.empty(0, object)
        if array.ndim != 1 or array.dtype.kind not in "biufUmM":
            raise NotAllowedError(f"{allowed}; that of {name!r} is none")
        found[name] = array
    return found


def attributes(value: Any) -> dict[str, dict[str, Any]]:
    """Take what is to be known of some columns."""
    allowed = "a dictionary with numbers and texts by name for each column, such as "
    allowed += "{'wave': {'units': 'mV'}}"
    if not (_has_names(value) and all(map(_has_names, value.values()))):
        raise NotAllowedError(allowed)
    for key, attrs in value.items():
        for name, each in attrs.items():
            if not isinstance(each, str | int | float):
                raise NotAllowedError(f"{allowed}; {name!r} of {key!r} is neither")
    return {key: dict(attrs) for key, attrs in value.items()}


def tolerances(value: Any) -> dict[str, float]:
    """Take the largest difference of numbers of some parameters that are the same."""
    allowed = "a dictionary with a number, 0 or more, for each parameter, such as "
    allowed += "{'beta': 1e-9}"
    if not _has_names(value):
        raise NotAllowedError(allowed)
    for key, each in value.items():
        is_number = isinstance(each, int | float) and not isinstance(each, bool)
        if not (is_number and 0 <= each < math.inf):
            raise NotAllowedError(f"{allowed}; that of {key!r} is {each!r}")
    return {key: float(each) for key, each in value.items()}


def former_values(value: Any) -> dict[str, Any]:
    """Take the values of some parameters in rows that lack them."""
    if _has_names(value):
        return dict(value)
    raise NotAllowedError(
        "a dictionary with a value for each parameter, such as {'sigma': 1.0}"
    )


def _has_names(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def backend(value: Any) -> Backend:
    """Take a backend, or its class."""
    allowed = "DistributeBackend or LoadBalancingBackend"
    return cast(Backend, _instance(value, Backend, allowed))


def scheduler(value: Any) -> Scheduler:
    """Take a scheduler, its class, or its name."""
    if isinstance(value, str):
        value = scheduler_class(value)
    allowed = "a scheduler such as ImmediateRun() or Slurm()"
    return cast(Scheduler, _instance(value, Scheduler, allowed))


def store(value: Any) -> Store:
    """Take a store, its class, or its filename extension."""
    from psyrun.store import Store
    from psyrun.store.registry import extensions, store_named

    if isinstance(value, str):
        return store_named(value)
    allowed = f"a store such as NpzStore(), or one of {', '.join(extensions())}"
    return cast("Store", _instance(value, Store, allowed))


def _instance(value: Any, base: type[Any], allowed: str) -> Any:
    """Return an instance of a class, made from the class where that was given."""
    if isinstance(value, type) and issubclass(value, base):
        if missing := missing_methods(value):
            raise NotAllowedError(f"a complete class; {value.__name__} lacks {missing}")
        try:
            return value()
        except TypeError as error:
            raise NotAllowedError(
                f"an instance, as the class needs arguments ({error})"
            ) from None
    if isinstance(value, base):
        return value
    raise NotAllowedError(allowed)
