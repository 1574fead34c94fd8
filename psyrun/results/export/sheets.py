"""Results as files of cells: comma-separated values and Excel."""

from __future__ import annotations

import csv
import datetime
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.results.export.tables import Table
from psyrun.results.frames import UnsuitableError, kinds_of
from psyrun.store.rows import count_rows
from psyrun.utils.text import counted

_MOST_ROWS = 1_048_576  # of a sheet, with the header
_MOST_COLUMNS = 16_384
_LONGEST_CELL = 32_767  # characters
_OTHERS = ".parquet or .nc"


def write_csv(path: Path, table: Table) -> int:
    """Write comma-separated values, and return the number of rows.

    Missing values are empty, and arrays, lists and dictionaries text of JSON.
    """
    n_rows = 0
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.keys)
        for piece in table.pieces():
            writer.writerows(_rows_of_cells(table, piece, "CSV", _csv_time))
            n_rows += count_rows(piece)
    return n_rows


def _csv_time(values: NDArray[Any]) -> list[Any]:
    texts: list[str] = values.astype(str).tolist()
    return ["" if text == "NaT" else text for text in texts]


def _rows_of_cells(
    table: Table,
    piece: Mapping[str, Any],
    format_: str,
    times: Callable[[NDArray[Any]], list[Any]],
) -> Iterator[tuple[Any, ...]]:
    try:
        columns = [_cells(key, piece[key], times) for key in table.keys]
    except UnsuitableError as error:
        raise table.refusal(error, format_, _OTHERS) from error
    return zip(*columns, strict=True)


def _cells(
    key: str, column: Any, times: Callable[[NDArray[Any]], list[Any]]
) -> list[Any]:
    """Return the values of a column as numbers, texts, and None for what is missing."""
    if not isinstance(column, np.ndarray) or column.dtype == object:
        return [_cell(key, value) for value in column]
    kind = column.dtype.kind
    if column.ndim > 1:
        return [_cell(key, row) for row in column]
    if kind in "biuU":
        return list(column.tolist())
    if kind == "f":
        # Of shorter floating point numbers, the text has no more digits than it needs.
        exact = column.dtype.itemsize == 8
        values = column.tolist() if exact else [float(str(each)) for each in column]
        return [None if value != value else value for value in values]
    if kind == "c":
        return list(column.astype(str).tolist())
    if kind == "M":
        return times(column)
    if kind == "m":
        return [None if np.isnat(value) else str(value) for value in column]
    raise UnsuitableError(key, kinds_of(column))


def _cell(key: str, value: Any) -> Any:
    if isinstance(value, np.generic) and value.dtype.kind in "biufcmM":
        return _cells(key, np.array([value]), _csv_time)[0]
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, complex):
        return str(value)
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, list | tuple | dict | np.ndarray):
        try:
            return json.dumps(_plain(value), ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            pass
    raise UnsuitableError(key, _kind(value))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return value


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array of {value.dtype}"
    if isinstance(value, list | tuple | dict):
        return f"{type(value).__name__} of what JSON does not have"
    return type(value).__name__


def write_sheet(path: Path, table: Table) -> int:
    """Write an Excel file, and return the number of rows.

    Its second sheet, ``psyrun``, has what is known of the result.
    """
    import openpyxl

    _check_size(table)
    book = openpyxl.Workbook(write_only=True)
    try:
        n_rows = _fill(book.create_sheet("result"), table)
        about = book.create_sheet("psyrun")
        for name, value in table.metadata.items():
            text = json.dumps(value)
            # What is too long for a cell goes on in the next ones.
            begins = range(0, len(text), _LONGEST_CELL)
            about.append([name, *(text[i : i + _LONGEST_CELL] for i in begins)])
        book.save(path)
    except BaseException:
        for sheet in book.worksheets:
            # Else it would say so once more when it is forgotten.
            with suppress(Exception):
                sheet.close()
        raise
    return n_rows


def _fill(sheet: Any, table: Table) -> int:
    sheet.append(list(map(str, table.keys)))
    n_rows = 0
    for piece in table.pieces():
        for row in _rows_of_cells(table, piece, "Excel", _excel_time):
            sheet.append(_excel_row(table, sheet, row))
        n_rows += count_rows(piece)
    return n_rows


def _check_size(table: Table) -> None:
    n_rows, n_columns = table.count(), len(table.keys)
    if n_rows >= _MOST_ROWS or n_columns > _MOST_COLUMNS:
        raise PsyrunError(
            f"{table.name}: there are {counted(n_rows, 'row')} and "
            f"{counted(n_columns, 'column')}, but a sheet of Excel holds {_MOST_ROWS} "
            f"rows with the header, and {_MOST_COLUMNS} columns. Take fewer with "
            f"--where or --columns, or export to {_OTHERS}."
        )


def _excel_time(values: NDArray[Any]) -> list[Any]:
    found: list[Any] = values.astype("datetime64[us]").tolist()
    return found


def _excel_row(table: Table, sheet: Any, row: tuple[Any, ...]) -> list[Any]:
    return [
        value
        if not isinstance(value, str | float)
        else _excel_cell(table, sheet, key, value)
        for key, value in zip(table.keys, row, strict=True)
    ]


def _excel_cell(table: Table, sheet: Any, key: str, value: str | float) -> Any:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.utils.exceptions import IllegalCharacterError

    if isinstance(value, float):
        # There is no infinity in Excel.
        return value if math.isfinite(value) else str(value)
    if len(value) > _LONGEST_CELL:
        long = UnsuitableError(key, f"text of {len(value)} characters")
        raise table.refusal(long, "a cell of Excel", _OTHERS)
    try:
        cell = WriteOnlyCell(sheet, value)
    except IllegalCharacterError as error:
        odd = UnsuitableError(key, "text with control characters")
        raise table.refusal(odd, "Excel", _OTHERS) from error
    # What begins with = would be computed.
    cell.data_type = "s"
    return cell
