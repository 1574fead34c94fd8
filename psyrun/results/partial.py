"""What there is of a task so far, in a file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from psyrun.errors import PsyrunError
from psyrun.results.load import RecordedTask, Stores
from psyrun.store.costs import Costs
from psyrun.store.metadata import save_with
from psyrun.store.rows import Columns, count_rows
from psyrun.workdir.costs import costs_of
from psyrun.workdir.row_sources import ordered
from psyrun.workdir.rows import RoundData


def with_costs(task: RecordedTask, target: Path) -> int:
    """Write all rows of a task to a file, with what they have cost.

    Returns the number of rows. If there are none, the file is left as it was, and
    `PsyrunError` is raised.
    """
    costs = Costs.unknown(0)

    def pieces(data: RoundData) -> Iterator[dict[str, Any]]:
        nonlocal costs
        sources = data.sources()
        costs = costs_of(data, sources)
        yield from data.in_order(ordered(sources))
        yield from data.former_pieces()

    def use(rows: Iterator[Columns], stores: Stores, ext: str) -> int:
        nonlocal costs
        costs, store = Costs.unknown(0), stores(target.suffix)

        def save(name: str) -> int:
            with store.writer(name) as writer:
                return _written(rows, writer.append, target)

        return save_with(store, target, save, lambda: costs.metadata())

    return task.with_pieces(use, pieces)


def _written(rows: Iterator[Columns], append: Any, target: Path) -> int:
    n_rows = 0
    for columns in rows:
        append(columns)
        n_rows += count_rows(columns)
    if not n_rows:
        raise PsyrunError(
            f"{target}: is not written, as no assignment is finished yet. Try again "
            "later."
        )
    return n_rows
