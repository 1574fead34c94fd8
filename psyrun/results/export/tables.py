"""Results as files with a row for each assignment: Parquet and Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psyrun.errors import PsyrunError
from psyrun.results.export.metadata import KEY
from psyrun.results.frames import UnsuitableError, arrow_array
from psyrun.results.sources import Source
from psyrun.store.arrays import Indices
from psyrun.store.rows import count_rows


@dataclass(frozen=True)
class Table:
    """Rows that are to be written.

    Attributes
    ----------
    name : str
        The file, as errors call it.
    source : Source
        Where they are read from.
    keys : sequence of str
        The columns.
    rows : ndarray of int64 or None
        Which rows of the source; None for all.
    metadata : dict of str to object
        What is known of them, for JSON.
    """

    name: str
    source: Source
    keys: Sequence[str]
    rows: Indices | None
    metadata: Mapping[str, Any]

    def pieces(self) -> Iterator[Mapping[str, Any]]:
        """Yield the rows in pieces, at least one."""
        return self.source.pieces(self.keys, self.rows)

    def count(self) -> int:
        """Return the number of rows."""
        return self.source.count() if self.rows is None else len(self.rows)

    def refusal(self, error: UnsuitableError, format_: str, others: str) -> PsyrunError:
        """Return the error for values that a format cannot hold."""
        advice = f"Leave it out with --columns (columns=[...]), or export to {others}."
        return error.refusal(self.name, format_, advice)


def write_parquet(path: Path, table: Table) -> int:
    """Write a Parquet file, and return the number of rows."""
    import pyarrow.parquet

    def opened(schema: Any) -> Any:
        return pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")

    return _write(_Arrow(table, "Parquet"), opened)


def write_arrow(path: Path, table: Table) -> int:
    """Write a file of Arrow, also called Feather, and return the number of rows."""
    import pyarrow

    def opened(schema: Any) -> Any:
        options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
        return pyarrow.ipc.new_file(path, schema, options=options)

    return _write(_Arrow(table, "Arrow"), opened)


@dataclass(frozen=True)
class _Arrow:
    """Makes tables of Arrow from pieces of rows."""

    table: Table
    format: str

    def schema(self, arrays: Mapping[str, Any]) -> Any:
        import pyarrow

        about = self.table.source.description.attrs
        fields = [
            pyarrow.field(key, array.type, metadata=_texts(about.get(key, {})) or None)
            for key, array in arrays.items()
        ]
        return pyarrow.schema(fields, metadata=self._metadata())

    def _metadata(self) -> dict[str, str]:
        attrs = self.table.metadata["attrs"]
        own = {key: attrs[key] for key in self.table.keys if attrs.get(key)}
        found = {KEY: json.dumps(self.table.metadata)}
        # So pandas finds what it calls `attrs` of a frame.
        return found | ({"PANDAS_ATTRS": json.dumps(own)} if own else {})

    def arrays(self, piece: Mapping[str, Any], schema: Any = None) -> dict[str, Any]:
        try:
            arrays = {str(key): arrow_array(key, piece[key]) for key in piece}
            if schema is not None:
                for key, array in arrays.items():
                    arrays[key] = _of_type(array, key, schema.field(key).type)
        except UnsuitableError as error:
            raise self.table.refusal(error, self.format, ".zarr or .csv") from error
        return arrays


def _of_type(array: Any, key: str, type_: Any) -> Any:
    """Return an array as one of the type that the rows before it have."""
    import pyarrow

    if array.type == type_:
        return array
    try:
        return array.cast(type_)
    except pyarrow.ArrowException as error:
        kinds = f"{type_} and {array.type}"
        raise UnsuitableError(key, kinds, "together in a column") from error


def _texts(attrs: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in attrs.items()}


def _write(arrow: _Arrow, opened: Any) -> int:
    import pyarrow

    pieces = arrow.table.pieces()
    first = next(pieces)
    arrays = arrow.arrays(first)
    schema, n_rows = arrow.schema(arrays), count_rows(first)
    stream: AbstractContextManager[Any] = opened(schema)
    with stream as writer:
        writer.write_table(pyarrow.table(arrays, schema=schema))
        # Else they would be in memory beside each of the others.
        del first, arrays
        for piece in pieces:
            table = pyarrow.table(arrow.arrays(piece, schema), schema=schema)
            writer.write_table(table)
            n_rows += count_rows(piece)
            del piece, table
    return n_rows
