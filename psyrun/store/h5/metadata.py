"""What is to be known of the rows in an HDF5 file.

It is arrays in a group below that of the rows. PyTables takes names like that of the
group for hidden ones, and `node_name` gives no key such a name.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

import tables
from numpy.typing import NDArray

from psyrun.store.h5.attributes import pickled
from psyrun.store.h5.file import SPARE_BYTES, reserve, to_disk
from psyrun.utils.files import Filename, damaged

GROUP = "_p_metadata"
"""Name of the group."""


def write_metadata(
    group: tables.Group, metadata: Mapping[str, NDArray[Any]], name: Filename
) -> None:
    """Add arrays to a file, which errors call by `name`.

    Raises `StoreError` if there is no space for them.
    """
    file = group._v_file
    n_bytes = sum(array.nbytes + SPARE_BYTES for array in metadata.values())
    reserve(file, os.fstat(file.fileno()).st_size, n_bytes, name)
    place = file.create_group(group, GROUP)
    for key, array in metadata.items():
        node = file.create_array(place, key, array)
    if metadata:
        to_disk(file, node)


def read_metadata(
    group: tables.Group, names: Collection[str] | None
) -> dict[str, NDArray[Any]]:
    """Return arrays that were added; none if there are none.

    Raises `StoreError` if something else is in their place.
    """
    if GROUP not in group:
        return {}
    filename = group._v_file.filename
    place = group._f_get_child(GROUP)
    if not isinstance(place, tables.Group):
        raise damaged(filename, "has something else in the place of metadata")
    found = {}
    for key in sorted(place._v_children if names is None else names):
        if key in place:
            node = place._f_get_child(key)
            # An array of objects is pickled, and has other types of its own.
            if not isinstance(node, tables.Array) or node.atom.kind == "string":
                raise damaged(filename, f"has no numbers in its metadata {key!r}")
            if isinstance(node.flavor, bytes):
                raise pickled(filename)
            found[key] = node.read()
    return found
