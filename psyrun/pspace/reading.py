"""Points that are read from a table: a file, or a data frame."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from psyrun.errors import PsyrunError, one_line
from psyrun.utils.extras import imported

Columns = dict[str, list[Any]]

_INTEGER = re.compile(r"[+-]?\d+")
_BOOLS = {"true": True, "false": False}
_LIBRARIES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "Table"}


def read_table(filename: str | os.PathLike[str]) -> Columns:
    """Return the columns of a table; see `psyrun.Param.read`."""
    path = Path(filename)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise PsyrunError(
            f"Param.read: {path}: cannot be read by its ending; it may be one of "
            f"{', '.join(_READERS)}. Read it with another library and use "
            "Param.from_frame."
        )
    try:
        return read(path)
    except PsyrunError:
        raise
    except FileNotFoundError:
        raise PsyrunError(
            f"Param.read: {path}: there is no such file; a path is relative to "
            f"{Path.cwd()}."
        ) from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise PsyrunError(
            f"Param.read: {path}: cannot be read ({one_line(error)}); give a table as "
            "text in UTF-8, with a line of names first."
        ) from error


def _read_text(path: Path, delimiter: str) -> Columns:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        # Lines without anything separate nothing, such as the last one.
        rows = [(lines.line_num, row) for row in lines if row]
    if not rows:
        raise PsyrunError(
            f"Param.read: {path}: is empty; give a line of names, and one per point."
        )
    names = [name.strip() for name in rows[0][1]]
    _check_names(f"Param.read: {path}", names)
    for number, row in rows[1:]:
        _check_row(f"Param.read: {path}: line {number}", names, row)
    columns = dict[str, list[Any]]()
    for i, name in enumerate(names):
        cells = [row[i].strip() for _, row in rows[1:]]
        try:
            columns[name] = _typed(cells)
        except _TooLongError as error:
            (cell,) = error.args
            raise PsyrunError(
                f"Param.read: {path}: line {rows[1 + cells.index(cell)][0]}: the cell "
                f"of {name!r} has a number of {len(cell)} digits, and Python reads "
                f"{sys.get_int_max_str_digits()} at most; give shorter ones, or text."
            ) from None
    return columns


class _TooLongError(Exception):
    """An integer that has more digits than Python reads."""


def _check_row(where: str, names: Sequence[str], row: Sequence[str]) -> None:
    if len(row) != len(names):
        raise PsyrunError(
            f"{where} has {len(row)} cells, but there are {len(names)} names "
            f"({', '.join(names)}); give each point one cell for each name."
        )
    for name, cell in zip(names, row, strict=True):
        if not cell.strip():
            raise PsyrunError(
                f"{where}: the cell of {name!r} is empty; fill it, or write nan for a "
                "number that is missing."
            )


def _check_names(where: str, names: Sequence[Any]) -> None:
    seen = set[str]()
    for i, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise PsyrunError(
                f"{where}: column {i + 1} has the name {name!r}; give each column a "
                "text as its name."
            )
        if name in seen:
            raise PsyrunError(
                f"{where}: there are two columns {name!r}; give each a name of its own."
            )
        seen.add(name)


def _typed(cells: list[str]) -> list[Any]:
    """Return integers, floats or bools if all cells are such, else text.

    Raises `_TooLongError` with an integer that is too long to be read.
    """
    if all(map(_INTEGER.fullmatch, cells)):
        try:
            return list(map(int, cells))
        except ValueError:
            raise _TooLongError(max(cells, key=len)) from None
    try:
        if not any("_" in cell for cell in cells):
            return list(map(float, cells))
    except ValueError:
        pass
    lower = [cell.lower() for cell in cells]
    if all(cell in _BOOLS for cell in lower):
        return [_BOOLS[cell] for cell in lower]
    return cells


def _read_parquet(path: Path) -> Columns:
    parquet = imported("pyarrow.parquet", "parquet", f"Param.read: {path}")
    try:
        table = parquet.read_table(path)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise PsyrunError(
            f"Param.read: {path}: is no Parquet file ({one_line(error)}). "
            "Write it anew."
        ) from error
    return _columns(f"Param.read: {path}", table)


_READERS: dict[str, Callable[[Path], Columns]] = {
    ".csv": lambda path: _read_text(path, ","),
    ".tsv": lambda path: _read_text(path, "\t"),
    ".parquet": _read_parquet,
}


def is_frame(value: object) -> bool:
    """Whether a value is a data frame, or a table of Arrow."""
    for kind in type(value).__mro__:
        library = kind.__module__.partition(".")[0]
        if _LIBRARIES.get(library) == kind.__name__:
            return True
    return False


def columns_of_frame(frame: object) -> Columns:
    """Return the columns of a data frame; see `psyrun.Param.from_frame`."""
    if not is_frame(frame):
        raise PsyrunError(
            f"Param.from_frame: got a {type(frame).__name__}; give a data frame of "
            "pandas or polars, or a table of pyarrow, or give lists to Param."
        )
    return _columns("Param.from_frame", frame)


def _columns(where: str, frame: Any) -> Columns:
    names, values = _parts(frame)
    _check_names(where, names)
    columns = dict(zip(names, map(list, values), strict=True))
    for name, column in columns.items():
        # So pandas has nan for text that is missing.
        has_text = any(isinstance(each, str) for each in column)
        for i, value in enumerate(column):
            is_nan = isinstance(value, float) and value != value
            if _is_missing(value) or (has_text and is_nan):
                raise PsyrunError(
                    f"{where}: column {name!r} has no value in row {i}; fill it, or "
                    "leave the row out."
                )
    return columns


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _parts(frame: Any) -> tuple[list[Any], Iterator[Any]]:
    """Return the names of the columns, and their values in Python's types."""
    if hasattr(frame, "iloc"):
        places = range(frame.shape[1])
        return list(frame.columns), (frame.iloc[:, i].tolist() for i in places)
    if hasattr(frame, "column_names"):
        return list(frame.column_names), (c.to_pylist() for c in frame.columns)
    return list(frame.columns), (c.to_list() for c in frame.get_columns())
