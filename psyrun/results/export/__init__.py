"""Results in files of other programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.results.export.grids import write_grid
from psyrun.results.export.metadata import metadata_of
from psyrun.results.export.netcdf import NetCdf
from psyrun.results.export.places import replacing_folder
from psyrun.results.export.sheets import write_csv, write_sheet
from psyrun.results.export.tables import Table, write_arrow, write_parquet
from psyrun.results.export.zarr import Zarr
from psyrun.results.forms import (
    Request,
    keys_asked_for,
    part_asked_for,
    rows_asked_for,
    source_of,
)
from psyrun.results.load import RecordedTask, find_rows
from psyrun.results.sources import Source
from psyrun.utils.extras import imported
from psyrun.utils.files import Filename, explained, replacing
from psyrun.utils.leftovers import remove_abandoned
from psyrun.workdir.consistent_reads import retry_while_changing


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes
    ----------
    extra : str
        The extra of psyrun with its libraries.
    modules : tuple of str
        These libraries.
    write_table : callable, optional
        Writes rows to a file.
    grid : type, optional
        What writes labelled arrays.
    is_folder : bool
        Whether it is a folder rather than a file.
    """

    extra: str = ""
    modules: tuple[str, ...] = ()
    write_table: Callable[[Path, Table], int] | None = None
    grid: type[NetCdf] | type[Zarr] | None = None
    is_folder: bool = False


FORMATS = {
    ".csv": Format(write_table=write_csv),
    ".parquet": Format("parquet", ("pyarrow",), write_parquet),
    ".arrow": Format("arrow", ("pyarrow",), write_arrow),
    ".nc": Format("netcdf", ("h5py", "h5netcdf"), grid=NetCdf),
    ".zarr": Format("zarr", ("zarr",), grid=Zarr, is_folder=True),
    ".xlsx": Format("excel", ("openpyxl",), write_sheet),
}
"""The formats by extension."""


def export(
    task_or_path: Filename,
    out: Filename,
    *,
    columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    partial: bool = False,
    costs: bool = False,
    former: bool = False,
    force: bool = False,
    taskdir: Filename | None = None,
) -> int:
    """Write the result of a task, or the rows of a data file, for other programs.

    Parameters
    ----------
    task_or_path, columns, where, partial, costs, former, taskdir
        As for `psyrun.load`.
    out : path-like
        The file to write; it appears whole or not at all. Its extension chooses the
        format: ``.csv``, ``.parquet``, ``.arrow`` and ``.xlsx`` have a row for each
        assignment; ``.nc`` and ``.zarr`` the dimensions of the space, or with `former`
        the dimension ``assignment``.
    force : bool, default False
        Whether to replace what is there.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    PsyrunError
        As `psyrun.load` does; if the extension is unknown, there is a file already, a
        library is not installed, the format cannot hold a value, or the file cannot
        be written.
    """
    path = Path(out)
    format_ = _format_of(path)
    request = Request(None, columns, where, costs=costs, former=former)
    request.check()
    found, so_far = find_rows(task_or_path, partial, taskdir)
    _refuse_to_replace(path, format_, found, force=force)
    for module in format_.modules:
        imported(module, format_.extra, f"{path}: this format")
    target = Path(os.path.realpath(path))
    remove_abandoned(target.parent, target.name)

    def write() -> int:
        source = source_of(found, request, so_far, with_axes=True)
        with _writing(path, format_) as beside:
            return _written(beside, path, format_, source, request, found)

    return retry_while_changing(write)


def _format_of(path: Path) -> Format:
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        known = ", ".join(FORMATS)
        raise PsyrunError(
            f"{path}: there is no format of the extension {path.suffix!r}."
            f"{did_you_mean(path.suffix, FORMATS)} The extensions are {known}."
        )
    return found


def _refuse_to_replace(
    path: Path, format_: Format, found: RecordedTask | Path, *, force: bool
) -> None:
    """Refuse to replace a file without being told to, or what is to be read."""
    if not os.path.lexists(path):
        return
    read = found if isinstance(found, Path) else found.resultfile
    if os.path.realpath(read) == os.path.realpath(path):
        raise PsyrunError(f"{path}: is what is to be exported. Choose another name.")
    if path.is_dir() and not (format_.is_folder and _is_zarr(path)):
        raise PsyrunError(f"{path}: is a folder with other files. Choose another name.")
    if format_.is_folder and not path.is_dir():
        raise PsyrunError(
            f"{path}: is a file, which a folder is not to replace. Choose another name."
        )
    if not force:
        raise PsyrunError(
            f"{path}: exists already. Choose another name, or replace it with --force "
            "(force=True)."
        )


def _is_zarr(folder: Path) -> bool:
    names = {".zgroup", ".zarray", "zarr.json"}
    return any((folder / name).is_file() for name in names) or not any(folder.iterdir())


def _writing(path: Path, format_: Format) -> Any:
    return replacing_folder(path) if format_.is_folder else replacing(path)


def _written(
    beside: Path,
    path: Path,
    format_: Format,
    source: Source,
    request: Request,
    found: RecordedTask | Path,
) -> int:
    keys = keys_asked_for(source, request)
    part = None
    if source.known is not None:
        part = part_asked_for(source, source.known, request)
    with explained(path), _plainly():
        about = metadata_of(source, part, found)
        if format_.grid is not None:
            return write_grid(
                format_.grid(beside), str(path), source, request, keys, about
            )
        assert format_.write_table is not None
        rows = rows_asked_for(source, request)
        names = source.keys() if keys is None else keys
        table = Table(str(path), source, names, rows, about)
        return format_.write_table(beside, table)


@contextmanager
def _plainly() -> Iterator[None]:
    """Let errors of the system have its own words, and not those of a library."""
    try:
        yield
    except PsyrunError:
        raise
    except OSError as error:
        if not error.errno:
            raise
        raise OSError(error.errno, os.strerror(error.errno)) from error
