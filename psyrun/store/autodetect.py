"""The store that goes by the file name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from psyrun.store.base import Store, Writer
from psyrun.store.registry import store_for
from psyrun.store.rows import Columns
from psyrun.utils.files import Filename


class AutodetectStore(Store):
    """Read and write each file with the store of its extension.

    All methods raise `StoreError` if no store has the extension.
    """

    ext: ClassVar[str] = ""

    def save(self, filename: Filename, data: Columns) -> None:
        """Create or replace a file; see `Store.save`.

        Parameters
        ----------
        filename : path-like
            The file.
        data : mapping of str to sequence
            The rows.
        """
        store_for(filename).save(filename, data)

    def load(
        self, filename: Filename, row: int | slice | None = None
    ) -> dict[str, Any]:
        """Read all or some rows; see `Store.load`.

        Parameters
        ----------
        filename : path-like
            The file.
        row : int or slice, optional
            The row or rows to read.

        Returns
        -------
        dict of str to sequence
            The rows.
        """
        return store_for(filename).load(filename, row)

    def append(self, filename: Filename, data: Columns) -> None:
        """Add rows to a file; see `Store.append`.

        Parameters
        ----------
        filename : path-like
            The file.
        data : mapping of str to sequence
            The rows.
        """
        store_for(filename).append(filename, data)

    def pieces(self, filename: Filename) -> Iterator[Columns]:
        """Read all rows in pieces; see `Store.pieces`.

        Parameters
        ----------
        filename : path-like
            The file.

        Returns
        -------
        iterator of dict of str to sequence
            The rows.
        """
        return store_for(filename).pieces(filename)

    def count(self, filename: Filename) -> int:
        """Return the number of rows in a file; see `Store.count`.

        Parameters
        ----------
        filename : path-like
            The file.

        Returns
        -------
        int
            The number of rows.
        """
        return store_for(filename).count(filename)

    def keys(self, filename: Filename) -> list[str]:
        """Return the keys in a file; see `Store.keys`.

        Parameters
        ----------
        filename : path-like
            The file.

        Returns
        -------
        list of str
            The keys.
        """
        return store_for(filename).keys(filename)

    def writer(self, filename: Filename) -> AbstractContextManager[Writer]:
        """Write a file piece by piece; see `Store.writer`.

        Parameters
        ----------
        filename : path-like
            The file.

        Returns
        -------
        context manager
            Its value has a method ``append(columns)``.
        """
        return store_for(filename).writer(filename)
