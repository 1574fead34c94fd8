"""Results are written with what is to be known of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.store.base import Store
from psyrun.store.costs import Costs
from psyrun.store.metadata import PROVENANCE, Metadata, packed, save_with
from psyrun.utils import __version__
from psyrun.utils.files import duplicate, file_beside
from psyrun.workdir.costs import costs_of
from psyrun.workdir.description import Description
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord
from psyrun.workdir.recorded_axes import RecordedAxes, UnrecordableError
from psyrun.workdir.rows import RoundData

ProvenanceOf = Callable[[tuple[str, ...]], dict[str, Any]]


def save_result(
    layout: TaskLayout,
    data: RoundData,
    store: Store,
    filename: str,
    provenance_of: ProvenanceOf = lambda versions: {},
) -> int:
    """Write all rows of a round to a file, and return their number.

    What is to be known of them is in it, or in a file beside it. `provenance_of`
    returns where the rows of some versions come from.
    """
    whole = data.whole_file() if store.ext == data.store.ext else None
    if whole is not None and is_described(layout, data.round):
        duplicate(whole, filename)
        if not store.keeps_metadata:
            _duplicate_beside(data.round.costs_of_rows, file_beside(filename))
        return store.count(filename)
    metadata = _metadata(layout, data, provenance_of)
    # What is known is not to be there twice.
    is_anew = whole is not None and store.keeps_metadata

    def save(name: str) -> int:
        return data.save(store, name, is_anew=is_anew)

    return save_with(store, filename, save, metadata)


def is_described(layout: TaskLayout, round_: Round) -> bool:
    """Whether the result of a round has what the task file says of results now."""
    merged = MergeRecord.load(round_)
    return merged is not None and merged.described == recorded_description(layout)


def recorded_description(layout: TaskLayout) -> str | None:
    """Return the digest of what a result gets that is written now, None if unknown."""
    with suppress(PsyrunError, OSError):
        return Description.load(layout).digest
    return None


def _duplicate_beside(known: Path, path: Path) -> None:
    if known.is_file():
        duplicate(known, path)
    else:
        path.unlink(missing_ok=True)


def _metadata(
    layout: TaskLayout, data: RoundData, provenance_of: ProvenanceOf
) -> Metadata:
    """Return what is known of the rows; what cannot be found out is left out."""
    costs = Costs.unknown(0)
    with suppress(PsyrunError, OSError):
        costs = costs_of(data)
    found = costs.metadata()
    about: dict[str, Any] = {
        "psyrun": __version__,
        "task": layout.name,
        "written": time.time(),
        **found.about,
    }
    arrays = dict(found.arrays)
    with suppress(PsyrunError, OSError):
        about["current_versions"] = list(Plan.required(layout).names)
    with suppress(PsyrunError, OSError):
        about["description"] = Description.load(layout).record()
    with suppress(PsyrunError, OSError, UnrecordableError):
        axes = _axes(data).metadata()
        about |= axes.about
        arrays |= axes.arrays
    if provenance := provenance_of(costs.versions):
        arrays[PROVENANCE] = packed(provenance)
    return Metadata(about, arrays)


def _axes(data: RoundData) -> RecordedAxes:
    space, n_former = data.division.space, len(data.former_rows.rows)
    is_there = np.zeros(len(space), dtype=bool)
    is_there[data.with_row()] = True
    lacks = np.flatnonzero(~is_there)
    return RecordedAxes.of(space, lacks, n_former, sorted(data.compared()))
