"""What a result file says of its rows, without the project that it is from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from psyrun.results.known_rows import KnownRows
from psyrun.store.base import Store
from psyrun.store.metadata import metadata_of
from psyrun.utils.files import damaged
from psyrun.utils.records import RecordedTypeError
from psyrun.workdir.description import Description
from psyrun.workdir.recorded_axes import RecordedAxes, arrays_for, columns_for

_DAMAGED = "has axes that cannot be"


def kept_with(store: Store, path: Path) -> tuple[KnownRows | None, Description, str]:
    """Return which assignments the rows of a file are of, and what they are.

    The text says in one line why the former is not known, if it was kept. Raises
    `StoreError` if both are damaged, or of a later version of psyrun.
    """
    first = metadata_of(store, path, ())
    if first is None:
        return None, Description(), ""
    try:
        recorded = first.about.get("description")
        description = (
            Description() if recorded is None else Description.of_record(recorded)
        )
        names, columns = arrays_for(first.about), columns_for(first.about)
        metadata = metadata_of(store, path, names) if names else first
        held = store.pick(path, columns) if columns else {}
        axes = None if metadata is None else RecordedAxes.of_metadata(metadata, held)
    except (
        AttributeError,
        IndexError,
        KeyError,
        RecordedTypeError,
        TypeError,
        ValueError,
    ) as error:
        raise damaged(path, _DAMAGED) from error
    if axes is None:
        return None, description, ""
    if (n_rows := store.count(path)) != axes.n_rows:
        problem = f"has {n_rows} rows, but what it says of them is of {axes.n_rows}."
        return None, description, f"{path}: {problem}"
    return _known(axes), description, ""


def _known(axes: RecordedAxes) -> KnownRows:
    space = axes.grid.space
    indices = None
    if len(axes.lacks):
        indices = np.setdiff1d(np.arange(len(space)), axes.lacks)
    return KnownRows(
        space,
        indices,
        axes.n_former,
        axes.lacks.tolist(),
        frozenset(axes.compared),
        axes.grid,
    )
