"""What a task file says of its results: their dimensions, coordinates and attributes.

It is recorded when a plan is accepted, so that results are labelled without running
the task file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from psyrun.utils.files import damaged, read_json, write_json
from psyrun.utils.records import RecordedTypeError, of_kind
from psyrun.workdir.layout import TaskLayout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DIMS = dict[str, list[str]]
_COORDS = dict[str, dict[str, Any]]
_ATTRS = dict[str, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Description:
    """What a task file says of its results.

    Attributes
    ----------
    dims : dict of str to tuple of str
        For results that are arrays the names of their axes.
    coords : dict of str to ndarray
        For some of these names the values along the axis.
    attrs : dict of str to dict
        For parameters, results and axes what is to be known of them, such as units.
    """

    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    coords: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    attrs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def save(self, layout: TaskLayout) -> None:
        """Record it, unless that is what is recorded; nothing at all says nothing."""
        record = self.record()
        if any(record.values()):
            write_json(layout.description, record)
        else:
            layout.description.unlink(missing_ok=True)

    def record(self) -> dict[str, Any]:
        """Return it, ready for JSON."""
        return {
            "dims": {name: list(dims) for name, dims in self.dims.items()},
            "coords": {name: _recorded(array) for name, array in self.coords.items()},
            "attrs": {name: dict(attrs) for name, attrs in self.attrs.items()},
        }

    @property
    def digest(self) -> str:
        """A text that tells it from others."""
        # As it is read again: some keys become texts.
        record = json.loads(json.dumps(self.record()))
        return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]

    @classmethod
    def load(cls, layout: TaskLayout) -> Description:
        """Read the record; it is empty where nothing is recorded.

        Raises `StoreError` if it is damaged.
        """
        record: Any = read_json(layout.description)
        if record is None:
            return cls()
        try:
            return cls.of_record(record)
        except (KeyError, TypeError, ValueError, RecordedTypeError) as error:
            raise damaged(
                layout.description, "has other entries than expected"
            ) from error

    @classmethod
    def of_record(cls, record: Any) -> Description:
        """Return what was recorded.

        Raises `KeyError`, `TypeError` or `ValueError` if that is damaged.
        """
        dims, coords, attrs = (
            of_kind(record[name], kind)
            for name, kind in zip(
                ("dims", "coords", "attrs"), (_DIMS, _COORDS, _ATTRS), strict=True
            )
        )
        return cls(
            {name: tuple(names) for name, names in dims.items()},
            {name: _array(each) for name, each in coords.items()},
            attrs,
        )


def _recorded(array: NDArray[Any]) -> dict[str, Any]:
    is_time = array.dtype.kind in "mM"
    values = array.view("i8") if is_time else array
    return {"dtype": array.dtype.str, "values": values.tolist()}


def _array(record: Mapping[str, Any]) -> NDArray[Any]:
    import numpy as np

    dtype: np.dtype[Any] = np.dtype(record["dtype"])
    if dtype.hasobject:
        raise ValueError(dtype)
    if dtype.kind in "mM":
        return np.array(record["values"], "i8").view(dtype)
    return np.array(record["values"], dtype)
