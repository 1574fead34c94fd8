"""Jobs that are to be submitted, sorted by the arrays that they fit into."""

from __future__ import annotations

import json
from collections.abc import Iterable

from psyrun.queue.item import Item


class WaitingRoom:
    """Jobs that are to be submitted, the first ones first.

    Those that are alike stand together, however many kinds there are.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[object, ...], list[Item]] = {}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    @property
    def first(self) -> Item:
        """One of the jobs whose turn it is."""
        return next(iter(self._kinds.values()))[0]

    def add(self, item: Item) -> None:
        """Add a job."""
        self._kinds.setdefault(_kind(item), []).append(item)

    def put_back(self, items: Iterable[Item]) -> None:
        """Add jobs that were taken out and could not be submitted."""
        for item in items:
            self.add(item)

    def take(self, limit: int | None) -> list[Item]:
        """Take jobs out that can be in one array.

        Parameters
        ----------
        limit : int or None
            How many at most.

        Returns
        -------
        list of Item
            Those with the lowest numbers of blocks, in order.
        """
        kind, items = next(iter(self._kinds.items()))
        # Snakemake hands jobs over in no order; people look at the first ones.
        items.sort(key=lambda item: int(item.step.block or 0))
        taken = items[:limit]
        del items[: len(taken)]
        if not items:
            del self._kinds[kind]
        return taken

    def clear(self) -> None:
        """Remove all jobs."""
        self._kinds.clear()


def _kind(item: Item) -> tuple[object, ...]:
    """Return what jobs have in common that can be in one array."""
    values = json.dumps(item.values, sort_keys=True, default=repr)
    return (item.task, item.array_name, values, item.attempt)
