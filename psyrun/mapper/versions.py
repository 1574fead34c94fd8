"""Which version of a function the rows of a data file come from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import StoreError
from psyrun.tasks.fingerprint.functions import is_other_version
from psyrun.utils.files import Filename, write_json
from psyrun.utils.records import RecordedTypeError, read_record

UNKNOWN = ""
_SEEDED = "+"


def with_seeding(version: str, seeding: str) -> str:
    """Return the version of rows of replicates, whose seeding counts, too."""
    return f"{version}{_SEEDED}{seeding.replace(' ', '')}" if seeding else version


@dataclass(frozen=True)
class _Record:
    """What stands beside a data file.

    Attributes
    ----------
    size : int
        Bytes of the data file as it was then. Another size means that others have
        written to it, or that a call was interrupted.
    counts : list of int
        Numbers of rows that follow one another in the file.
    versions : list of str
        The version that each of these comes from.
    writing : str
        The version of what is appended from then on.
    """

    size: int = -1
    counts: list[int] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    writing: str = UNKNOWN


def _is_other(known: str, version: str) -> bool:
    return known != UNKNOWN and is_other_version(known, version)


def _code(version: str) -> str:
    return version.partition(_SEEDED)[0]


class RowVersions:
    """The versions of the rows of a data file, recorded beside it.

    Parameters
    ----------
    filename : path-like
        The data file, which need not exist.
    n_rows : int
        How many rows it has.
    """

    def __init__(self, filename: Filename, n_rows: int) -> None:
        self._file = Path(filename)
        self._record = self._file.with_name(f".{self._file.name}.versions.json")
        self._versions = self._recorded(n_rows)

    def _recorded(self, n_rows: int) -> list[str]:
        record = None
        # It only tells what was changed.
        with suppress(StoreError, RecordedTypeError, OSError):
            record = read_record(self._record, _Record)
        found: list[str] = []
        if record is not None:
            for count, version in zip(record.counts, record.versions, strict=False):
                found += [version] * count
            if record.size != self._size():
                appended = [record.writing] * (n_rows - len(found))
                found = found + appended if record.writing else []
        if len(found) > n_rows:
            found = []
        return found + [UNKNOWN] * (n_rows - len(found))

    def _size(self) -> int:
        with suppress(OSError):
            return self._file.stat().st_size
        return -1

    def others(
        self, version: str, are_replicates: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return of each row whether it comes from another version.

        The seeding only counts for rows that are replicates.
        """
        is_other = {
            known: (_is_other(known, version), _is_other(*map(_code, (known, version))))
            for known in set(self._versions)
        }
        found = np.array([is_other[each] for each in self._versions], dtype=bool)
        both = found.reshape(-1, 2)
        return np.where(are_replicates, both[:, 0], both[:, 1])

    def begin(self, version: str) -> None:
        """Record that rows of a version are appended from now on."""
        self._save(self._size(), version)

    def give_up(self) -> None:
        """Remove the record of a file that did not come to be."""
        if not self._file.exists():
            with suppress(OSError):
                self._record.unlink(missing_ok=True)

    def forget(self) -> None:
        """Record that nothing is known, while rows change their places."""
        self._versions = []
        self._save(-1, UNKNOWN)

    def end(self, versions: Sequence[str]) -> None:
        """Record the versions of all rows."""
        self._versions = list(versions)
        self._save(self._size(), UNKNOWN)

    @property
    def all(self) -> list[str]:
        """The version of each row, `UNKNOWN` where that is not known."""
        return list(self._versions)

    def _save(self, size: int, writing: str) -> None:
        runs = [(key, len(list(group))) for key, group in groupby(self._versions)]
        record = {
            "size": size,
            "counts": [count for _, count in runs],
            "versions": [version for version, _ in runs],
            "writing": writing,
        }
        # Rows are kept whether that can be recorded or not.
        with suppress(StoreError, OSError):
            write_json(self._record, record)
