"""What the rows of a file have cost, and where and by which version they were made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import StoreError
from psyrun.store.arrays import Indices
from psyrun.store.metadata import Metadata
from psyrun.utils.files import Filename, damaged

RECORD = np.dtype(
    [
        ("start", "<f8"),
        ("duration", "<f4"),
        ("peak", "<u4"),
        ("host", "<u2"),
        ("attempt", "<u2"),
        ("version", "<u2"),
    ]
)
"""What is kept of each row.

Seconds since the epoch and nan if it is not known, seconds or nan, KiB, the position in
a list of hosts, which attempt it was, and the position in a list of versions. Zero is
what is not known, and position 0 of the lists is empty.
"""
ARRAYS = tuple(f"cost_{name}" for name in RECORD.names or ())
"""Names of the arrays in metadata."""
_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True, eq=False)
class Costs:
    """What rows have cost.

    Attributes
    ----------
    records : ndarray of `RECORD`, shape (n_rows,)
        What is kept of each row.
    hosts, versions : tuple of str
        Names of machines, and fingerprints of versions of the task.
    """

    records: NDArray[Any]
    hosts: tuple[str, ...] = ("",)
    versions: tuple[str, ...] = ("",)

    @classmethod
    def unknown(cls, n_rows: int, version: str = "") -> Costs:
        """Return those of rows of which at most the version is known."""
        records = np.zeros(n_rows, RECORD)
        records["start"] = records["duration"] = np.nan
        if version:
            records["version"] = 1
        return cls(records, versions=("", version) if version else ("",))

    def __len__(self) -> int:
        return len(self.records)

    def take(self, rows: Indices) -> Costs:
        """Return those of some rows."""
        is_all = len(rows) == len(self) and np.array_equal(rows, np.arange(len(self)))
        if is_all:
            return self
        return Costs(self.records[rows], self.hosts, self.versions)

    @classmethod
    def joined(cls, parts: Iterable[Costs]) -> Costs:
        """Return those of rows that follow one another."""
        hosts, versions = {"": 0}, {"": 0}
        found = [np.empty(0, RECORD)]
        for part in parts:
            of_hosts = _numbers(hosts, part.hosts)
            of_versions = _numbers(versions, part.versions)
            found.append(_renumbered(part.records, host=of_hosts, version=of_versions))
        there = [records for records in found if len(records)] or found
        records = there[0] if len(there) == 1 else np.concatenate(there)
        return cls(records, tuple(hosts), tuple(versions))

    @property
    def lack_versions(self) -> bool:
        """Whether the version is not known of some rows."""
        return bool(np.any(self.records["version"] == 0))

    def with_versions(self, fingerprints: Sequence[str], numbers: Indices) -> Costs:
        """Return them with the versions of rows of which none is known.

        For each row, `numbers` has the position in `fingerprints`.
        """
        if not self.lack_versions:
            return self
        records, known = self.records.copy(), dict.fromkeys(self.versions)
        places = {text: number for number, text in enumerate(known)}
        of_all = _numbers(places, fingerprints)[numbers]
        lacks = records["version"] == 0
        records["version"][lacks] = of_all[lacks]
        return Costs(records, self.hosts, tuple(places))

    def metadata(self) -> Metadata:
        """Return them as they are kept."""
        arrays = {
            name: np.ascontiguousarray(self.records[column])
            for name, column in zip(ARRAYS, RECORD.names or (), strict=True)
        }
        about = {
            "hosts": list(self.hosts),
            "versions": [{"fingerprint": text} for text in self.versions],
        }
        return Metadata(about, arrays)

    @classmethod
    def of(cls, metadata: Metadata | None, n_rows: int, filename: Filename) -> Costs:
        """Return those of the rows of a file.

        Of rows that were appended later, nothing is known. Raises `StoreError` if they
        cannot be those of the file.
        """
        if metadata is None or ARRAYS[0] not in metadata.arrays:
            return cls.unknown(n_rows)
        try:
            known = cls._of(metadata)
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(filename, "has costs that cannot be") from error
        if len(known) > n_rows:
            raise StoreError(
                f"{filename}: has the costs of {len(known)} rows, but {n_rows} rows."
            )
        if len(known) == n_rows:
            return known
        return cls.joined([known, cls.unknown(n_rows - len(known))])

    @classmethod
    def _of(cls, metadata: Metadata) -> Costs:
        about, arrays = metadata.about, metadata.arrays
        hosts = tuple(map(str, about["hosts"]))
        versions = tuple(str(each["fingerprint"]) for each in about["versions"])
        records = np.zeros(len(arrays[ARRAYS[0]]), RECORD)
        for name, column in zip(ARRAYS, RECORD.names or (), strict=True):
            if arrays[name].shape != records.shape:
                raise ValueError(name)
            records[column] = arrays[name]
        for column, texts in (("host", hosts), ("version", versions)):
            if len(records) and records[column].max() >= len(texts):
                raise ValueError(column)
        return cls(records, hosts, versions)


def _renumbered(records: NDArray[Any], **places: NDArray[np.uint16]) -> NDArray[Any]:
    """Return records with other positions in some columns; as they are if equal."""
    found = records
    for column, numbers in places.items():
        if not np.array_equal(numbers, np.arange(len(numbers))):
            found = records.copy() if found is records else found
            found[column] = numbers[records[column]]
    return found


def _numbers(known: dict[str, int], texts: Sequence[str]) -> NDArray[np.uint16]:
    """Return the positions of texts among those that are known, which get more."""
    for text in texts:
        if text not in known and len(known) <= _MOST:
            known[text] = len(known)
    return np.array([known.get(text, 0) for text in texts], np.uint16)
