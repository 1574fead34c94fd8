"""What a plot shows of each row: a result, or what the row has cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.report.axis import is_length_of_time, plain, seconds_of_array
from psyrun.results.columns import as_array
from psyrun.results.frames import kinds_of

COSTS = {
    "time": ("cost_duration", 1.0, "duration of the evaluation (s)"),
    "memory": ("cost_peak_memory", 2.0**-20, "peak memory of the evaluation (MiB)"),
}
"""The column, the factor and the label of each cost."""
FAILED = "failed"
FAILED_LABEL = "share of failed assignments"


@dataclass(frozen=True)
class Quantity:
    """A number for each row, or several along an axis of its own.

    Attributes
    ----------
    name : str
        The result, or the cost.
    label : str
        Its name, or what is known of it, with the unit.
    values : ndarray of float64, shape (n,) or (n, length)
        The numbers; nan where there is none.
    """

    name: str
    label: str
    values: NDArray[np.float64]


class NoNumberError(Exception):
    """A column cannot be plotted; the text says what it is, and what to do."""


def label_of(name: str, attrs: Mapping[str, Any], units: str = "") -> str:
    """Return what an axis is called: its long name or its name, and the unit."""
    units = plain(attrs.get("units", units))
    title = plain(attrs.get("long_name", name)) or plain(name)
    return f"{title} ({units})" if units else title


def numbers_of(key: str, column: Any) -> NDArray[np.float64]:
    """Return a column as floating-point numbers; truth values are 0 and 1.

    Lengths of time are in seconds. Missing values are nan.

    Raises
    ------
    NoNumberError
        If it has anything else.
    """
    array = as_array(key, column)
    if is_length_of_time(array):
        array = seconds_of_array(array)
    if array.dtype.kind == "O":
        array = _of_objects(array)
    if array.dtype.kind not in "biuf":
        raise NoNumberError(_refusal(array))
    if array.ndim > 2:
        raise NoNumberError(
            f"is an array with {array.ndim - 1} axes. Plots take numbers, and arrays "
            "with one axis: return a number of it in 'execute', such as its largest"
        )
    return array.astype(np.float64)


def _of_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Return objects as numbers, if all of them are numbers or None."""
    plain_numbers = int | float | Decimal | Fraction | np.number | np.bool_
    if all(each is None or isinstance(each, plain_numbers) for each in array):
        is_complex = any(
            isinstance(each, complex | np.complexfloating) for each in array
        )
        values = [np.nan if each is None else each for each in array]
        try:
            return np.array(values, np.complex128 if is_complex else np.float64)
        except OverflowError:
            raise NoNumberError(
                "has whole numbers beyond the largest floating-point number. Return "
                "their logarithm in 'execute'"
            ) from None
    return array


def _refusal(array: NDArray[Any]) -> str:
    kind = array.dtype.kind
    if kind == "c":
        return (
            "is complex. Return abs(), .real or .imag of it as another result in "
            "'execute'"
        )
    if kind == "M":
        return "is a date. Return the time since another date in 'execute'"
    what = "text" if kind in "SUT" else f"of type {kinds_of(array.ravel())}"
    return f"is {what}, and no number"


def is_scalar(values: NDArray[np.float64]) -> bool:
    """Whether there is one number for each row."""
    return values.ndim == 1


def cost_quantity(cost: str, columns: Mapping[str, Any]) -> Quantity:
    """Return what rows have cost: ``time`` or ``memory``.

    Raises `PsyrunError` if that is known of no row.
    """
    key, factor, label = COSTS[cost]
    values = np.asarray(columns[key], np.float64) * factor
    if len(values) and not np.isfinite(values).any():
        raise PsyrunError(
            f"plot: the {cost} of these rows is not known: it is recorded by 'psy run' "
            "of this version, in the work folder of the task."
        )
    return Quantity(cost, label, values)
