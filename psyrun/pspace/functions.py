"""Functions of the user's own that are called with the points of a space."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, did_you_mean, one_line
from psyrun.pspace.columns import Column, Indices
from psyrun.utils.text import assignment_text, shortened, text_of

_AT_ONCE = 2**16  # points: enough to share the cost of a call, few enough for memory
_N_CHECKED = 16  # points for which a call with arrays is compared with one by one
_LONGEST_SHOWN = 60  # characters
_EXACT = 2.0**53  # integers beyond are not all floats
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class PointFunction(NamedTuple):
    """A function that takes values of parameters by their names.

    Attributes
    ----------
    function : callable
        The function.
    title : str
        What it is called in messages, such as ``where``.
    keys : tuple of str
        The parameters that it takes.
    is_positional : bool
        Whether it takes them by their places, too, which is quicker.
    """

    function: Callable[..., Any]
    title: str
    keys: tuple[str, ...]
    is_positional: bool = False

    @classmethod
    def of(cls, function: object, title: str, known: Sequence[str]) -> PointFunction:
        """Find out which of the known parameters a function takes.

        Raises `PsyrunError` if it takes none, or others.
        """
        example = known[0] if known else "n"
        if not callable(function):
            raise PsyrunError(
                f"{title}: {_short(function)} is no function; give one of some "
                f"parameters, such as lambda {example}: ..."
            )
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            raise PsyrunError(
                f"{title}: {_place(function)} does not tell its parameters; wrap it in "
                f"a function that does, such as lambda {example}: ..."
            ) from None
        kinds = {each.kind for each in parameters}
        named = {each.name: each for each in parameters if each.kind in _NAMED}
        for name, each in named.items():
            if name not in known and each.default is each.empty:
                raise PsyrunError(
                    f"{title}: {_place(function)} takes {name!r}, but the space has "
                    f"{', '.join(known)}.{did_you_mean(name, known)}"
                )
        takes_all = inspect.Parameter.VAR_KEYWORD in kinds
        keys = tuple(key for key in known if takes_all or key in named)
        if not keys:
            raise PsyrunError(
                f"{title}: {_place(function)} takes no parameter of the space by name; "
                f"write for example lambda {example}: ..."
            )
        first = [
            each.name for each in parameters[: len(keys)] if each.kind is _NAMED[0]
        ]
        if set(first) == set(keys):
            return cls(function, title, tuple(first), is_positional=True)
        return cls(function, title, keys)

    def __str__(self) -> str:
        return f"{self.title}: {_place(self.function)}"

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Call the function for one point.

        Raises `PsyrunError` if it raises.
        """
        try:
            return self.function(**values)
        except Exception as error:
            raise PsyrunError(
                f"{self} raised {one_line(error)} for {assignment_text(values)}; let "
                f"it return a value for each point."
            ) from error

    def each(self, gather: Gather, rows: Indices) -> Iterator[Any]:
        """Yield what the function returns for some points, one by one."""
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            for values in self._pairs(gather, some):
                yield self(values)

    def mask(self, gather: Gather, n_points: int) -> NDArray[np.bool_]:
        """Return for which points the function is true.

        It is called with arrays if all values are numbers, and that gives the same as
        single points do. Raises `PsyrunError` if it returns anything but a bool.
        """
        found = np.empty(n_points, dtype=np.bool_)
        takes_arrays = True
        for start in range(0, n_points, _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, n_points))
            some = self._of_arrays(gather, rows) if takes_arrays else None
            takes_arrays = some is not None
            found[rows] = self._of_points(gather, rows) if some is None else some
        return found

    def _of_points(self, gather: Gather, rows: Indices) -> list[bool]:
        if self.is_positional:
            columns = [gather(key, rows, _take).tolist() for key in self.keys]
            # An error is found again below, with its point.
            with suppress(Exception):
                found = list(map(self.function, *columns))
                if all(map(_is_bool, found)):
                    return list(map(bool, found))
        return list(map(self._checked, self._pairs(gather, rows)))

    def _pairs(self, gather: Gather, rows: Indices) -> Iterator[dict[str, Any]]:
        columns = [gather(key, rows, _take).tolist() for key in self.keys]
        for values in zip(*columns, strict=True):
            yield dict(zip(self.keys, values, strict=True))

    def _checked(self, values: Mapping[str, Any]) -> bool:
        is_true = self(values)
        if not _is_bool(is_true):
            raise PsyrunError(
                f"{self} returned {_short(is_true)} for {assignment_text(values)}; "
                "let it return True or False, as a comparison does."
            )
        return bool(is_true)

    def _of_arrays(self, gather: Gather, rows: Indices) -> NDArray[np.bool_] | None:
        """Return for which points the function is true, None if it takes no arrays."""
        try:
            columns = {key: gather(key, rows, _numbers) for key in self.keys}
            with np.errstate(all="ignore"):
                found = self.function(**columns)
        except Exception:
            return None
        is_mask = isinstance(found, np.ndarray) and found.dtype == np.bool_
        if not is_mask or found.shape != rows.shape:
            return None
        # What reduces arrays, such as max, would be another function of a number.
        places = np.unique(np.linspace(0, len(rows) - 1, _N_CHECKED).astype(np.int64))
        single = [self._checked(each) for each in self._pairs(gather, rows[places])]
        return found if found[places].tolist() == single else None


Gather = Callable[[str, Indices, Callable[[Column, Indices], NDArray[Any]]], Any]


class _NoNumbersError(Exception):
    """Some values are no numbers that an array holds exactly."""


def _numbers(column: Column, rows: Indices) -> NDArray[np.object_]:
    numbers = column.numbers(rows)
    if numbers is None or np.any(np.abs(numbers) > _EXACT):
        raise _NoNumbersError
    # As single points have them: others may round and overflow in another way.
    return column.take(rows)


def _take(column: Column, rows: Indices) -> NDArray[np.object_]:
    return column.take(rows)


def _is_bool(value: object) -> bool:
    if isinstance(value, np.ndarray):
        # Some functions of NumPy return an array without axes for a number.
        return value.ndim == 0 and value.dtype == np.bool_
    return isinstance(value, bool | np.bool_)


def _place(function: Callable[..., Any]) -> str:
    """Return the name of a function, and where it stands."""
    name = getattr(function, "__name__", type(function).__name__)
    name = "the function" if name == "<lambda>" else name
    code = getattr(function, "__code__", None)
    if code is None:
        return name
    return f"{name} ({code.co_filename}:{code.co_firstlineno})"


def _short(value: object) -> str:
    return shortened(" ".join(text_of(value).split()), _LONGEST_SHOWN)
