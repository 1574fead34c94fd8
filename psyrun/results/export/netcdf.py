"""Files of netCDF 4."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from psyrun.results.export.grids import GridFile, Variable


class NetCdf(GridFile):
    """A file of netCDF 4."""

    format = "netCDF"
    chunk_bytes = 1 << 20
    has_all_numbers = False

    def __init__(self, path: Path) -> None:
        self._stream = _Stream(path)
        self._file: Any = None

    def begin(self, attrs: Mapping[str, Any]) -> None:
        """Create the file with some attributes."""
        import h5netcdf

        # What was written of a chunk is kept until all of it is there.
        cache = {"rdcc_nbytes": 4 * self.chunk_bytes}
        self._file = h5netcdf.File(self._stream, "w", **cache)
        self._set(self._file, attrs)

    def create(self, variable: Variable) -> Any:
        """Create a variable, which takes values at an index."""
        import h5py

        for name, length in zip(variable.dims, variable.shape, strict=True):
            if name not in self._file.dimensions:
                self._file.dimensions[name] = length
        encoding, options = variable.encoding, dict[str, Any]()
        if 0 not in variable.shape and variable.shape:
            options["chunks"] = variable.chunks
            if not encoding.is_text:
                options |= {"compression": "gzip", "compression_opts": 1}
                options["shuffle"] = True
        dtype = h5py.string_dtype() if encoding.is_text else encoding.dtype
        created = self._file.create_variable(
            variable.name, variable.dims, dtype, fillvalue=encoding.fill, **options
        )
        self._set(created, variable.attrs)
        return _Checked(created, self._stream)

    def _set(self, node: Any, attrs: Mapping[str, Any]) -> None:
        for name, value in attrs.items():
            node.attrs[name] = value
        self._stream.check()

    def end(self) -> None:
        """Write what is left, and close the file."""
        self.close()
        self._stream.check()

    def close(self) -> None:
        """Close the file, whatever is in it."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
        self._stream.close()


class _Checked:
    """A variable whose values are on disk, or an error is raised."""

    def __init__(self, variable: Any, stream: _Stream) -> None:
        self._variable, self._stream = variable, stream

    def __setitem__(self, index: Any, values: Any) -> None:
        self._variable[index] = values
        self._stream.check()


class _Stream:
    """A file that HDF5 writes to, which is told of no failure.

    It could neither go on nor close the file, and would end the process.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("r+b", buffering=0)
        self._failure: OSError | None = None

    def check(self) -> None:
        """Raise the first error there was."""
        if self._failure is not None:
            number = self._failure.errno or 0
            raise OSError(number, os.strerror(number)) from self._failure

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        begin = 0
        try:
            while begin < len(view) and self._failure is None:
                begin += self._file.write(view[begin:])
        except OSError as error:
            self._failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._failure = self._failure or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        n_read: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        return n_read

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        self._file.close()
