"""Rows that are picked from pickle files, of which one at a time is loaded.

They are brought into order as a large card index is: the rows of each file go to
temporary files, one for each range of places in the result, and these are then read one
after the other.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from psyrun.store.arrays import Indices, take
from psyrun.store.base import Writer
from psyrun.store.picks import Picks
from psyrun.store.rows import Columns
from psyrun.utils.files import Filename, explained, folder_beside

if TYPE_CHECKING:
    from psyrun.store.pickle import PickleStore

_LEAST_BYTES = 1 << 25  # of a range; less is as well in memory at once


def ranges(sources: Sequence[Filename]) -> int:
    """Return how many ranges of places there are to be: each about as large as a file.

    One says that all rows may be in memory.
    """
    sizes = [_size(source) for source in sources]
    return max(1, ceil(sum(sizes) / max(_LEAST_BYTES, *sizes, 0)))


def _size(source: Filename) -> int:
    with explained(source):
        return Path(source).stat().st_size


def write_picked(
    store: PickleStore,
    filename: Filename,
    sources: Sequence[Filename],
    picks: Picks,
    n_ranges: int,
) -> None:
    """Write rows that are picked from files; see `ranges`."""
    step = max(1, ceil(len(picks) / n_ranges))
    with folder_beside(filename) as name:
        folder = Path(name)
        with explained(filename):
            for number, source in enumerate(sources):
                _distribute(store, source, number, picks, step, folder)
        with store.writer(filename) as writer:
            for number in range(n_ranges):
                _collect(store, folder / str(number), writer)


def _distribute(
    store: PickleStore,
    source: Filename,
    number: int,
    picks: Picks,
    step: int,
    folder: Path,
) -> None:
    """Append the rows of one file to the files of their ranges."""
    places = np.flatnonzero(picks.origin == number)
    if not len(places):
        return
    columns = store.load(source)
    in_range = places // step
    for each in np.unique(in_range).tolist():
        chosen = places[in_range == each]
        rows = take(columns, picks.rows[chosen])
        with (folder / str(each)).open("ab") as file:
            pickle.dump((chosen, rows), file, pickle.HIGHEST_PROTOCOL)


def _collect(store: PickleStore, path: Path, writer: Writer) -> None:
    """Write the rows of a range in order."""
    if not path.exists():
        return
    places: list[Indices] = []
    batches: list[Columns] = []
    with path.open("rb") as file:
        size = path.stat().st_size
        while file.tell() < size:
            chosen, rows = pickle.load(file)
            places.append(chosen)
            batches.append(rows)
    path.unlink()
    columns = store.concatenate(batches)
    writer.append(take(columns, np.argsort(np.concatenate(places))))
