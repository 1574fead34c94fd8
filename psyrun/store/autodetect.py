"""The store that goes by the file name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from psyrun.store.base import Store, Writer
from psyrun.store.registry import store_for
from psyrun.store.rows import Columns
from psyrun.utils.files import Filename
from psyrun.utils.former import warn_former
from psyrun.utils.typing import override

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from psyrun.store.arrays import Indices


class AutodetectStore(Store):
    """Read and write each file with the store of its extension.

    All methods raise `StoreError` if no store has the extension.
    """

    ext: ClassVar[str] = ""

    @classmethod
    def get_concrete_store(cls, filename: Filename) -> Store:
        """Return the store of a file name, as psyrun 0.8 let one do."""
        warn_former("AutodetectStore.get_concrete_store", "AutodetectStore itself")
        return store_for(filename)

    @override
    def save(self, filename: Filename, data: Columns) -> None:
        store_for(filename).save(filename, data)

    @override
    def load(
        self, filename: Filename, row: int | slice | None = None
    ) -> dict[str, Any]:
        return store_for(filename).load(filename, row)

    @override
    def append(self, filename: Filename, data: Columns) -> None:
        store_for(filename).append(filename, data)

    @override
    def pieces(self, filename: Filename) -> Iterator[Columns]:
        return store_for(filename).pieces(filename)

    @override
    def merge(self, filename: Filename, sources: Sequence[Filename]) -> None:
        """Write the rows of some files into one, with what they have cost."""
        from psyrun.store.merging import merge

        merge(sources, filename)

    @override
    def count(self, filename: Filename) -> int:
        return store_for(filename).count(filename)

    @override
    def keys(self, filename: Filename) -> list[str]:
        return store_for(filename).keys(filename)

    @override
    def pick(
        self,
        filename: Filename,
        keys: Sequence[str] | None = None,
        rows: Indices | None = None,
    ) -> dict[str, Any]:
        return store_for(filename).pick(filename, keys, rows)

    @override
    def write_metadata(
        self, filename: Filename, metadata: Mapping[str, NDArray[Any]]
    ) -> None:
        store_for(filename).write_metadata(filename, metadata)

    @override
    def read_metadata(
        self, filename: Filename, names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        return store_for(filename).read_metadata(filename, names)

    @override
    def writer(self, filename: Filename) -> AbstractContextManager[Writer]:
        return store_for(filename).writer(filename)
