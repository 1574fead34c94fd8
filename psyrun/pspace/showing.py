"""A space in a few lines: its axes with their values, and its first and last points."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.axes import Dimension, grid_of, values_of
from psyrun.pspace.space import ParameterSpace, Table, is_a
from psyrun.utils.text import shortened, value_text

_MOST_LOOKED_AT = 10**6  # values, of which the least and the largest are looked for
_MOST_SHOWN = 5  # values
_N_ENDS = 3  # first and last points
_LONGEST = 30  # characters of a value
_MOST_FACTORS = 6
_LINE = 90  # characters of a summary
_DATES = {datetime.date, datetime.datetime, datetime.time, datetime.timedelta}


class AxisText(NamedTuple):
    """One axis of a space, as it is shown.

    Attributes
    ----------
    name : str
        The parameter, or several.
    size : int
        Number of places.
    values : str
        Its values, or from where to where they are.
    """

    name: str
    size: int
    values: str


def axes_of(space: ParameterSpace) -> tuple[list[AxisText], dict[str, str]]:
    """Return the axes of a space, and the parameters that are the same everywhere."""
    grid = grid_of(space)
    axes = [_axis_text(dimension) for dimension in grid.dimensions]
    return axes, {key: short(value) for key, value in grid.attributes.items()}


def _axis_text(dimension: Dimension) -> AxisText:
    texts = {key: values_text(dimension.space, key) for key in dimension.keys}
    if len(texts) == 1:
        (values,) = texts.values()
    else:
        values = "; ".join(f"{key}: {text}" for key, text in texts.items())
    return AxisText(dimension.name, dimension.size, values)


def values_text(space: ParameterSpace, key: str) -> str:
    """Return the values of a parameter, or from where to where they are."""
    n = len(space)
    if n > _MOST_LOOKED_AT:
        return f"{short(space.point(0)[key])} … {short(space.point(n - 1)[key])}"
    values = values_of(space, key, np.arange(n))
    if n > _MOST_SHOWN and values.dtype.kind in "iuf":
        there = values[~np.isnan(values)]
        if len(there):
            more = ", nan" if len(there) < n else ""
            return f"{_rough(there.min().item())} to {_rough(there.max().item())}{more}"
    if n > _MOST_SHOWN and _are_dates(values):
        return f"{short(values.min())} to {short(values.max())}"
    # To Python, dates of NumPy would be numbers if they count nanoseconds.
    some = values[:_MOST_SHOWN]
    first = [short(v) for v in (some if some.dtype.kind in "mM" else some.tolist())]
    return ", ".join([*first, *(["…"] if n > _MOST_SHOWN else [])])


def _are_dates(values: NDArray[Any]) -> bool:
    """Whether all values are dates, times or lengths of time, that have an order."""
    if values.dtype.kind in "mM":
        return not np.isnat(values).any()
    if values.dtype.kind != "O":
        return False
    # Datetimes with and without a time zone have no order.
    kinds = {(type(v), getattr(v, "tzinfo", None) is None) for v in values.tolist()}
    return len(kinds) == 1 and next(iter(kinds))[0] in _DATES


def _rough(number: float) -> str:
    """Return an end of a range, of which six digits are enough to know it."""
    text = short(number)
    is_long = isinstance(number, float) and len(text) > len("0.123456")
    return f"{number:.6g}" if is_long else text


def factors_text(factors: Sequence[ParameterSpace]) -> str:
    """Return the factors of a product with their sizes, and their values if known."""
    texts = [_factor_text(factor) for factor in factors[:_MOST_FACTORS]]
    n_shown = max(
        n for n in range(len(texts) + 1) if len(" * ".join(texts[:n])) < _LINE
    )
    more = ["…"] if n_shown < len(factors) else []
    return " * ".join([*texts[:n_shown], *more])


def _factor_text(factor: ParameterSpace) -> str:
    keys = factor.keys()
    if not keys:
        return f"{len(factor)} times"
    # To look at others may take long.
    if is_a(factor, Table) and len(keys) == 1 and len(factor) <= _MOST_LOOKED_AT:
        return f"{keys[0]} {values_text(factor, keys[0])} ({len(factor)})"
    return f"{', '.join(keys)} ({len(factor)})"


def short(value: object) -> str:
    """Return a value in one short line."""
    return shortened(" ".join(value_text(value).split()), _LONGEST)


def as_html(space: ParameterSpace) -> str:
    """Return a space as HTML: a table of its axes, and one of points."""
    axes, attributes = axes_of(space)
    size = len(space)
    cells = [(axis.name, f"{axis.size}", axis.values) for axis in axes]
    cells += [(key, "", value) for key, value in attributes.items()]
    title = f"<p><b>{size} point{'' if size == 1 else 's'}</b></p>"
    parts = [title, *_table(("axis", "size", "values"), cells)]
    if size and space.keys():
        parts += _table(("", *space.keys()), _ends(space))
    return f"<div>{''.join(parts)}</div>"


def _ends(space: ParameterSpace) -> Iterator[Sequence[str]]:
    size, keys = len(space), space.keys()
    is_cut = size > 2 * _N_ENDS + 1
    first = range(_N_ENDS if is_cut else size)
    last = range(size - _N_ENDS, size) if is_cut else range(0)
    for row in first:
        yield _row(space, row)
    if is_cut:
        yield ["…"] * (len(keys) + 1)
    for row in last:
        yield _row(space, row)


def _row(space: ParameterSpace, row: int) -> list[str]:
    return [str(row), *map(short, space[row].values())]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"<table><thead>{_line('th', head)}</thead><tbody>"
    yield from (_line("td", row) for row in rows)
    yield "</tbody></table>"


def _line(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
