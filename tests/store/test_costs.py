"""Costs of rows, with seeds where there are random numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psyrun.errors import StoreError
from psyrun.results.costs import cost_columns
from psyrun.store.costs import ARRAYS, RECORD, Costs
from psyrun.store.metadata import Metadata, metadata_of, save_with
from psyrun.store.registry import store_for

SEEDS = np.array([2**64 - 1, 0, 2**53 + 1], np.uint64)


def costs(seeds: Any = SEEDS, n_rows: int = 3) -> Costs:
    records = np.zeros(n_rows, RECORD)
    records["start"] = records["duration"] = 1.5
    return Costs.of_records(records, seeds=seeds)


def seeds_of(found: Costs) -> list[str]:
    return list(cost_columns(found)["cost_seed"].tolist())


def test_seeds_are_shown_with_all_their_digits() -> None:
    assert seeds_of(costs()) == ["18446744073709551615", "", "9007199254740993"]


def test_without_replicates_there_is_no_column() -> None:
    found = costs(None)
    assert "cost_seed" not in cost_columns(found)
    assert "cost_seed" not in found.metadata().arrays
    assert "cost_seed" not in cost_columns(Costs.unknown(2))


def test_rows_without_a_seed_go_with_others() -> None:
    joined = Costs.joined([costs(None), costs(), Costs.unknown(1)])
    assert joined.columns["seed"].dtype == np.uint64
    assert seeds_of(joined) == ["", "", "", *seeds_of(costs()), ""]
    assert seeds_of(joined.take(np.array([5, 0]))) == ["9007199254740993", ""]


@pytest.mark.parametrize("ext", [".pkl", ".npz", ".h5"])
def test_files_keep_seeds(tmp_path: Path, ext: str) -> None:
    path = tmp_path / f"rows{ext}"
    store = store_for(path)

    def save(name: str) -> int:
        store.save(name, {"x": [1, 2, 3]})
        return 3

    for each in (costs(), costs(None)):
        save_with(store, path, save, each.metadata())
        found = Costs.of(metadata_of(store, path, ARRAYS), 3, path)
        assert found.columns.keys() == each.columns.keys()
        for name, column in each.columns.items():
            assert np.array_equal(found.columns[name], column)
    more = Costs.of(costs().metadata(), 4, path)
    assert seeds_of(more) == [*seeds_of(costs()), ""]


def test_seeds_of_other_rows_are_refused() -> None:
    metadata = costs().metadata()
    arrays = {**metadata.arrays, "cost_seed": SEEDS[:2]}
    with pytest.raises(StoreError, match="has costs that cannot be"):
        Costs.of(Metadata(metadata.about, arrays), 3, "rows.npz")
