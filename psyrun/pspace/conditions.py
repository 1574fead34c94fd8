"""Conditions on parameters, as they are written on the command line.

``n=1,2`` holds where a parameter has one of these values, and ``n=0:5`` where it is at
least 0 and less than 5.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.pspace.axes import values_of
from psyrun.pspace.choosing import filtered_by, mask_of
from psyrun.pspace.columns import Indices
from psyrun.pspace.equality import equal_rows, is_in
from psyrun.pspace.functions import Gather
from psyrun.pspace.param import Param
from psyrun.pspace.space import Fetch, ParameterSpace, Product, is_a, spanned
from psyrun.pspace.written import (
    has_own_form,
    is_time_of_day,
    read_as,
    with_own_types,
)
from psyrun.utils.literals import are_literals, value_in, values_in
from psyrun.utils.text import listed, shortened, value_text
from psyrun.utils.typing import override

_LONGEST = 40  # characters of a value in a message
_MOST_COMPARED = 1000  # values, for a near one
_NUMBERS = "biuf"


@dataclass(frozen=True)
class Conditions:
    """Which points of a space are meant: those for which all of some texts are true.

    Parameters
    ----------
    texts : sequence of str
        Such as ``n=1,2`` or ``n=0:5``, each about another parameter.
    """

    texts: Sequence[str]

    @cached_property
    def _each(self) -> list[_OfOne]:
        found = [text.partition("=") for text in self.texts]
        return [_OfOne(name.strip(), text.strip()) for name, _, text in found]

    def of(self, space: ParameterSpace) -> ParameterSpace:
        """Return the points that are meant; factors of a product are looked at alone.

        Raises
        ------
        PsyrunError
            If a name is no parameter, a value is not there, or there is no such point.
        """
        found = space
        for condition in self._each:
            condition.check(space)
            found = filtered_by(found, condition)
        if not len(found):
            raise PsyrunError(
                f"no assignment has all of this: {', '.join(self.texts)}."
            )
        return found

    def mask(
        self, space: ParameterSpace, numbers: Indices | None = None
    ) -> NDArray[np.bool_]:
        """Return for each point of a space whether it is meant, whatever its number."""
        found = np.ones(len(space), dtype=np.bool_)
        for condition in self._each:
            found &= mask_of(space, condition)
        return found


@dataclass(frozen=True)
class _OfOne:
    """A condition on one parameter."""

    key: str
    text: str

    @property
    def keys(self) -> tuple[str]:
        return (self.key,)

    @property
    def title(self) -> str:
        return f"{self.key}={self.text}"

    @cached_property
    def _values(self) -> list[Any]:
        values = values_in(self.text)
        return values if isinstance(values, list) else [values]

    @cached_property
    def _range(self) -> _Range | None:
        return _Range.of(self.text)

    def check(self, space: ParameterSpace) -> None:
        """Raise `PsyrunError` if the parameter, or its values, are not there."""
        if self.key not in space.keys():  # noqa: SIM118
            raise unknown_parameter(self.key, space.keys())
        part = spanned(space, self.keys)[1] if is_a(space, Product) else space
        if self._range is None:
            rows_with(part, self.key, self._values)
        else:
            values = values_of(part, self.key, np.arange(len(part)))
            if not self._range.holds(values).any():
                raise self._range.nothing_in(self.key, values)

    def mask(self, gather: Gather, n_points: int) -> NDArray[np.bool_]:
        """Return for which points it is true."""
        points = _Gathered(self.key, n_points, gather)
        if self._range is None:
            return is_in(*_numbered(points, self.key, self._values))
        return self._range.holds(values_of(points, self.key, np.arange(n_points)))


class _Gathered(ParameterSpace):
    """Points of which only one parameter is known."""

    def __init__(self, key: str, n_points: int, gather: Gather) -> None:
        super().__init__([key])
        self._n_points, self._from = n_points, gather

    def __len__(self) -> int:
        return self._n_points

    @override
    def gather(self, key: str, rows: Indices, fetch: Fetch) -> NDArray[Any]:
        found: NDArray[Any] = self._from(key, rows, fetch)
        return found


@dataclass(frozen=True)
class _Range:
    """A range of values, from the first one up to, but without, the last one.

    Without a text, there is no such end.
    """

    first: str
    last: str

    @classmethod
    def of(cls, text: str) -> _Range | None:
        """Return the range that a text names, None if it names values.

        Times of a day have colons, too: as many in one end as in the other.
        """
        parts = text.split(":")
        n_colons = len(parts) - 1
        if not n_colons or "," in text or are_literals(text) or _is_time(text):
            return None
        if n_colons % 2:
            middle = n_colons // 2 + 1
            first, last = ":".join(parts[:middle]), ":".join(parts[middle:])
            return cls(first.strip(), last.strip())
        if not parts[-1].strip():
            return cls(":".join(parts[:-1]).strip(), "")
        if not parts[0].strip():
            return cls("", ":".join(parts[1:]).strip())
        return None

    def holds(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which values are in the range; others are not compared with it."""
        if values.dtype.kind in _NUMBERS:
            return _are_between(values, *self._ends_for(float))
        known = dict[type, Callable[[Any], bool]]()
        found = np.zeros(len(values), dtype=np.bool_)
        for place, value in enumerate(values):
            kind = type(value)
            if kind not in known:
                known[kind] = self._test_for(kind)
            found[place] = known[kind](value)
        return found

    def _test_for(self, kind: type) -> Callable[[Any], bool]:
        """Return what tells whether a value of some type is in the range."""
        text = f"{self.first}:{self.last}"
        if issubclass(kind, datetime.time) and is_time_of_day(text):
            # It is one time rather than two hours.
            wanted = read_as(kind, text)
            return lambda value: bool(value == wanted)
        first, last = self._ends_for(kind)
        return lambda value: _is_between(value, first, last)

    def _ends_for(self, kind: type) -> tuple[Any, Any]:
        return _as_kind(kind, self.first), _as_kind(kind, self.last)

    def nothing_in(self, key: str, values: NDArray[Any]) -> PsyrunError:
        """Return an error that says which values there are instead."""
        text = f"{key!r} has no value in {self.first}:{self.last}."
        if values.dtype.kind in _NUMBERS and len(values):
            low, high = shown(np.nanmin(values).item()), shown(np.nanmax(values).item())
            return PsyrunError(f"{text} Its values are from {low} to {high}.")
        return PsyrunError(f"{text}{_among(_listed(values))}")


_OTHER = object()
"""Stands for an end of a range that cannot be compared with some values."""


def _as_kind(kind: type, text: str) -> Any:
    """Return an end of a range as values of some type are; None where there is none."""
    if not text:
        return None
    value = value_in(text)
    if issubclass(kind, str):
        return value if isinstance(value, str) else text
    try:
        if has_own_form(kind):
            return read_as(kind, text)
    except ValueError:
        return _OTHER
    is_number = isinstance(value, int | float)
    return value if is_number == _is_number(kind) else _OTHER


def _is_time(text: str) -> bool:
    """Whether a text is a date and a time of that day, such as 2024-03-01T12:00."""
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    # Else other signs may stand between both.
    return "T" in text


def _is_number(kind: type) -> bool:
    return issubclass(kind, int | float | np.number | np.bool_)


def _are_between(values: NDArray[Any], first: Any, last: Any) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = ~np.isnan(values)
    if first is _OTHER or last is _OTHER:
        found[:] = False
        return found
    try:
        found &= True if first is None else values >= first
        found &= True if last is None else values < last
    except OverflowError:
        # An integer that their type has no room for.
        return np.array([_is_between(each, first, last) for each in values.tolist()])
    return found


def _is_between(value: Any, first: Any, last: Any) -> bool:
    if first is _OTHER or last is _OTHER:
        return False
    try:
        return bool(
            value == value
            and (first is None or value >= first)
            and (last is None or value < last)
        )
    except (TypeError, ValueError, ArithmeticError):
        return False


def unknown_parameter(key: str, keys: Iterable[str]) -> PsyrunError:
    """Return an error that says which parameters there are."""
    names = list(map(str, keys))
    return PsyrunError(
        f"there is no parameter {key!r}.{did_you_mean(str(key), names)} The parameters "
        f"are {listed(names)}."
    )


def rows_with(space: ParameterSpace, key: str, wanted: Sequence[Any]) -> Indices:
    """Return the rows of a space in which a parameter has one of some values.

    Values are equal as in a difference of spaces; texts stand for dates and the like
    where there are such, see `with_own_types`. Raises `PsyrunError` if no row has one.
    """
    there, asked = _numbered(space, key, wanted)
    is_known = is_in(asked, there)
    if not is_known.all():
        value = wanted[int(np.argmin(is_known))]
        raise PsyrunError(
            f"{key!r} is never {shown(value)}.{_nearest(space, key, value)}"
        )
    return np.flatnonzero(is_in(there, asked))


def _numbered(
    space: ParameterSpace, key: str, wanted: Sequence[Any]
) -> tuple[Indices, Indices]:
    """Return numbers of the values of a space, and of those that are wanted."""
    if any(isinstance(value, str | int | float) for value in wanted):
        wanted = with_own_types(wanted, _types(space, key))
    there, asked = equal_rows([space, Param(**{key: list(wanted)})], [key])
    return there, asked


def _types(space: ParameterSpace, key: str) -> set[type]:
    values = values_of(space, key, np.arange(len(space)))
    if values.dtype.kind in _NUMBERS:
        return set()
    return {np.datetime64} if values.dtype.kind == "M" else set(map(type, values))


def _nearest(space: ParameterSpace, key: str, value: Any) -> str:
    """Return in a sentence which value is near, or which values there are."""
    values = values_of(space, key, np.arange(len(space)))
    if values.dtype.kind in "iuf" and isinstance(value, int | float | np.number):
        distances = np.abs(values - _as_float(value))
        if not np.isnan(distances).all():
            near = values[int(np.nanargmin(distances))].item()
            return f" The nearest is {shown(near)}."
    some = _listed(values[:_MOST_COMPARED])
    texts = [each for each in some if isinstance(each, str)]
    if isinstance(value, str) and (near := did_you_mean(value, texts)):
        return near
    return _among(some)


def _listed(values: NDArray[Any]) -> list[Any]:
    """Return values in a list, times of NumPy as they are."""
    # As those of Python, fine ones would be numbers.
    return list(values) if values.dtype.kind in "mM" else values.tolist()


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _among(values: Sequence[Any]) -> str:
    some = list(dict.fromkeys(map(shown, values[:_MOST_COMPARED])))
    return f" Its values are {listed(some)}." if some else ""


def shown(value: Any) -> str:
    """Return a value as it stands in messages."""
    return shortened(value_text(value), _LONGEST)
