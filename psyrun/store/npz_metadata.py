"""What is to be known of the rows in an NPZ file, and in a file beside a result.

It is arrays in NumPy's format, in members ``metadata/<name>``. As these names do not
end in ``.npy``, they cannot be those of keys. `numpy.load` gives the arrays by them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping

import numpy as np

from psyrun.store.arrays import Array

_PREFIX = "metadata/"


def write_metadata(archive: zipfile.ZipFile, metadata: Mapping[str, Array]) -> None:
    """Add arrays to an archive."""
    for name, array in metadata.items():
        with archive.open(_PREFIX + name, "w", force_zip64=True) as member:
            np.lib.format.write_array(member, array, allow_pickle=False)


def read_metadata(
    archive: zipfile.ZipFile, names: Collection[str] | None = None
) -> dict[str, Array]:
    """Return arrays that were added; none if there are none.

    Raises `ValueError` if one of them is damaged.
    """
    there = [
        name.removeprefix(_PREFIX)
        for name in archive.namelist()
        if name.startswith(_PREFIX) and not name.endswith(".npy")
    ]
    found = {}
    for name in there if names is None else [n for n in there if n in names]:
        with archive.open(_PREFIX + name) as member:
            found[name] = np.lib.format.read_array(member, allow_pickle=False)
    return found
