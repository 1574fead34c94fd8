"""Columns of parameters and results as numbers and levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Indices
from psyrun.report.axis import Kind, Levels, plain
from psyrun.utils.dates import seconds_of_dates
from psyrun.utils.text import shortened, value_text

_LONGEST = 300  # characters of a text
_MOST_TEXTS = 20_000  # different ones of a parameter


@dataclass(frozen=True)
class Label:
    """What something is called.

    Attributes
    ----------
    name : str
        The name that it has in the task file.
    title : str
        What the task file calls it in words, else the name.
    unit : str
        Its unit; empty if there is none, or it is not known.
    """

    name: str
    title: str
    unit: str = ""

    @classmethod
    def of(cls, name: str, attrs: Mapping[str, Any], unit: str = "") -> Label:
        """Return that of a parameter or result, given what is known of it."""
        title = plain(attrs.get("long_name") or name)
        return cls(name, title, plain(attrs.get("units") or unit))


@dataclass(frozen=True)
class Parameter:
    """A parameter that rows differ in.

    Attributes
    ----------
    label : Label
        What it is called.
    kind : {"number", "date", "time", "text"}
        What its values are.
    levels : ndarray of float64, or list of str
        Its different values. Numbers ascend, nan at the end; dates are milliseconds
        since the epoch (UTC), times of day since midnight; texts are in the order of
        the space.
    codes : ndarray of int64, shape (n_rows,)
        The level of each row.
    is_repeat : bool
        Whether it only counts repeats.
    """

    label: Label
    kind: Kind
    levels: NDArray[np.float64] | list[str]
    codes: Indices
    is_repeat: bool = False


@dataclass(frozen=True)
class Measured:
    """A number of each row: a result, or what the row has cost.

    Attributes
    ----------
    label : Label
        What it is called.
    values : ndarray of float64, shape (n_rows,)
        The numbers; nan, too, of rows that are not computed.
    """

    label: Label
    values: NDArray[np.float64]


def levels_of(values: NDArray[Any]) -> tuple[Kind, Any, Indices]:
    """Return the kind and the levels of the values along an axis, and each one's level.

    Levels are as in `Parameter`.
    """
    found = Levels.of(values)
    if found.kind == "text":
        return _levels_of_text(values)
    if found.kind in ("date", "time"):
        return found.kind, _milliseconds(found.values), found.of_place
    return "number", found.values, found.of_place


def _levels_of_text(values: NDArray[Any]) -> tuple[Kind, list[str], Indices]:
    # With more of each text than there is room for in plots.
    texts = [_text(value) for value in values]
    known: dict[str, int] = {}
    places = [known.setdefault(text, len(known)) for text in texts]
    levels = [shortened(text, _LONGEST) for text in known]
    return "text", levels, np.array(places, np.int64)


def are_too_many(kind: Kind, levels: Any) -> bool:
    """Whether the page cannot hold the texts of a parameter."""
    return kind == "text" and len(levels) > _MOST_TEXTS


def _text(value: Any) -> str:
    return plain(value) if isinstance(value, str) else plain(value_text(value))


def _milliseconds(dates: NDArray[Any]) -> NDArray[np.float64]:
    # Of whole microseconds, as a browser cuts off parts of milliseconds.
    return np.rint(seconds_of_dates(dates) * 1e6) / 1e3
