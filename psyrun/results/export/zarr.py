"""Folders of Zarr."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.results.export.grids import GridFile, Variable


class Zarr(GridFile):
    """A folder of Zarr, in its format 2, which most programs know."""

    format = "Zarr"
    chunk_bytes = 1 << 23
    has_all_numbers = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._group: Any = None

    def begin(self, attrs: Mapping[str, Any]) -> None:
        """Create the folder with some attributes."""
        import zarr

        self._group = zarr.open_group(
            self._path, mode="w", zarr_format=2, attributes=dict(attrs)
        )

    def create(self, variable: Variable) -> Any:
        """Create a variable, which takes values at an index."""
        attrs = {name: _plain(value) for name, value in variable.attrs.items()}
        return self._group.create_array(
            variable.name,
            shape=variable.shape,
            chunks=tuple(max(1, length) for length in variable.chunks),
            dtype=str if variable.encoding.is_text else variable.encoding.dtype,
            fill_value=variable.encoding.fill,
            attributes={**attrs, "_ARRAY_DIMENSIONS": list(variable.dims)},
        )

    def end(self) -> None:
        """Write what is left."""
        import zarr

        zarr.consolidate_metadata(self._path, zarr_format=2)

    def close(self) -> None:
        """Do nothing: each write is one of a file."""


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
