"""What the rows of a file have cost, and where and by which version they were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
_NAMES = RECORD.names or ()
PEAK_BYTES = 1024.0
"""Unit of the peaks of memory."""
SEED = "seed"
"""Name of a further column, of 64-bit integers without sign.

It is there if some rows have random numbers by `psyrun.pspace.replicates`; zero for all
others.
"""
ARRAYS = tuple(f"cost_{name}" for name in (*_NAMES, SEED))
"""Names of the arrays in metadata."""
_SEED_TYPE = np.dtype("<u8")
_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True, eq=False)
class Costs:
    """What rows have cost.

    Attributes
    ----------
    columns : dict of str to ndarray, shape (n_rows,)
        What is kept of each row, as in `RECORD`, and perhaps its `SEED`.
    hosts, versions : tuple of str
        Names of machines, and fingerprints of versions of the task.
    """

    columns: Mapping[str, NDArray[Any]]
    hosts: tuple[str, ...] = ("",)
    versions: tuple[str, ...] = ("",)

    @classmethod
    def of_records(
        cls,
        records: NDArray[Any],
        hosts: tuple[str, ...] = ("",),
        versions: tuple[str, ...] = ("",),
        seeds: NDArray[np.uint64] | None = None,
    ) -> Costs:
        """Return those of an array of `RECORD`, and perhaps seeds."""
        columns = {name: np.ascontiguousarray(records[name]) for name in _NAMES}
        if seeds is not None:
            columns[SEED] = seeds
        return cls(columns, hosts, versions)

    @classmethod
    def unknown(cls, n_rows: int, version: str = "") -> Costs:
        """Return those of rows of which at most the version is known."""
        records = np.zeros(n_rows, RECORD)
        records["start"] = records["duration"] = np.nan
        if version:
            records["version"] = 1
        return cls.of_records(records, versions=("", version) if version else ("",))

    def __len__(self) -> int:
        return len(self.columns["start"])

    @property
    def seconds(self) -> NDArray[np.float64]:
        """How long each row took; nan where that is not known."""
        return self.columns["duration"].astype(np.float64)

    @property
    def peaks(self) -> NDArray[np.float64]:
        """The peak of memory of each row in bytes; nan where that is not known."""
        peaks = self.columns["peak"] * PEAK_BYTES
        peaks[peaks == 0] = np.nan
        return peaks

    def records(self) -> NDArray[Any]:
        """Return an array of `RECORD`, shape (n_rows,)."""
        found = np.empty(len(self), RECORD)
        for name in _NAMES:
            found[name] = self.columns[name]
        return found

    def take(self, rows: Indices) -> Costs:
        """Return those of some rows."""
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(self))):
            return self
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Costs(columns, self.hosts, self.versions)

    @classmethod
    def joined(cls, parts: Iterable[Costs]) -> Costs:
        """Return those of rows that follow one another."""
        hosts, versions = {"": 0}, {"": 0}
        found = []
        for part in parts:
            of_hosts = _numbers(hosts, part.hosts)
            of_versions = _numbers(versions, part.versions)
            found.append(_renumbered(part.columns, host=of_hosts, version=of_versions))
        there = [each for each in found if len(each["start"])]
        if not there:
            there = [cls.unknown(0).columns]
        columns = {
            name: _concatenated([each[name] for each in there]) for name in _NAMES
        }
        if any(SEED in each for each in there):
            columns[SEED] = _concatenated([_seeds(each) for each in there])
        return cls(columns, tuple(hosts), tuple(versions))

    @property
    def lack_versions(self) -> bool:
        """Whether the version is not known of some rows."""
        return bool(np.any(self.columns["version"] == 0))

    def with_versions(self, fingerprints: Sequence[str], numbers: Indices) -> Costs:
        """Return them with the versions of rows of which none is known.

        For each row, `numbers` has the position in `fingerprints`.
        """
        if not self.lack_versions:
            return self
        known = dict.fromkeys(self.versions)
        places = {text: number for number, text in enumerate(known)}
        of_all = _numbers(places, fingerprints)[numbers]
        own = self.columns["version"]
        columns = {**self.columns, "version": np.where(own == 0, of_all, own)}
        return Costs(columns, self.hosts, tuple(places))

    def metadata(self) -> Metadata:
        """Return them as they are kept."""
        arrays = {f"cost_{name}": column for name, column in self.columns.items()}
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
        shape = (len(arrays[ARRAYS[0]]),)
        columns = {}
        has_seeds = ARRAYS[-1] in arrays
        for name in (*_NAMES, SEED) if has_seeds else _NAMES:
            array = arrays[f"cost_{name}"]
            if array.shape != shape:
                raise ValueError(name)
            dtype = _SEED_TYPE if name == SEED else RECORD[name]
            columns[name] = array.astype(dtype, copy=False)
        for name, texts in (("host", hosts), ("version", versions)):
            if columns[name].max(initial=0) >= len(texts):
                raise ValueError(name)
        return cls(columns, hosts, versions)


def _renumbered(
    columns: Mapping[str, NDArray[Any]], **places: NDArray[np.uint16]
) -> Mapping[str, NDArray[Any]]:
    """Return columns with other positions in some of them; as they are if equal."""
    is_other = {
        name: not np.array_equal(numbers, np.arange(len(numbers)))
        for name, numbers in places.items()
    }
    new = {
        name: numbers[columns[name]]
        for name, numbers in places.items()
        if is_other[name]
    }
    return {**columns, **new}


def _seeds(columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    return columns.get(SEED, np.zeros(len(columns["start"]), _SEED_TYPE))


def _concatenated(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _numbers(known: dict[str, int], texts: Sequence[str]) -> NDArray[np.uint16]:
    """Return the positions of texts among those that are known, which get more."""
    for text in texts:
        if text not in known and len(known) <= _MOST:
            known[text] = len(known)
    return np.array([known.get(text, 0) for text in texts], np.uint16)
