"""Predictions are kept as they were when a run began."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from psyrun import Param
from psyrun.estimate import Estimate, Evaluated, estimate
from psyrun.utils.files import write_json
from psyrun.utils.ranges import Range
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.prediction import PredictionRecord

RECORD = PredictionRecord(
    made=1.0e9,
    n_assignments=100,
    n_known=8,
    total_seconds=Range(50.0, 40.0, 65.0),
    largest_seconds=Range(2.0, 1.5),
    largest_parameters={"x": "3", "solver": "'rk4'"},
    peak_bytes=Range(2.0e9, 1.0e9, 3.0e9),
    fits=True,
    reason="",
    fingerprint="0123",
)


@pytest.fixture
def layout(tmp_path: Path) -> TaskLayout:
    return TaskLayout.of(tmp_path, "square")


@pytest.mark.parametrize("record", [RECORD, replace(RECORD, peak_bytes=None)])
def test_what_was_saved_is_loaded(layout: TaskLayout, record: PredictionRecord) -> None:
    record.save(layout)
    assert PredictionRecord.load(layout) == record


def test_the_last_one_of_a_task_is_kept(layout: TaskLayout) -> None:
    RECORD.save(layout)
    later = replace(RECORD, made=2.0e9, n_known=50)
    later.save(layout)
    assert PredictionRecord.load(layout) == later


def test_the_one_from_before_a_run_is_not_replaced(layout: TaskLayout) -> None:
    round_ = layout.round(1)
    RECORD.save_as_first(round_)
    replace(RECORD, made=2.0e9).save_as_first(round_)
    assert PredictionRecord.first(round_) == RECORD


def test_the_last_one_is_kept_for_a_round_of_its_version(layout: TaskLayout) -> None:
    first, second, third = (layout.round(number) for number in (1, 2, 3))
    PredictionRecord.keep_for(layout, first, ["0123"])
    assert PredictionRecord.first(first) is None
    RECORD.save(layout)
    PredictionRecord.keep_for(layout, first, ["0123", "4567"])
    PredictionRecord.keep_for(layout, second, ["4567"])
    assert PredictionRecord.first(first) == RECORD
    assert PredictionRecord.first(second) is None
    replace(RECORD, made=2.0e9).save(layout)
    PredictionRecord.keep_for(layout, first, ["0123"])
    assert PredictionRecord.first(first) == RECORD
    replace(RECORD, fingerprint="").save(layout)
    PredictionRecord.keep_for(layout, third, ["4567"])
    assert PredictionRecord.first(third) == replace(RECORD, fingerprint="")


def test_a_damaged_one_from_before_a_run_is_replaced(layout: TaskLayout) -> None:
    round_ = layout.round(1)
    round_.folder.mkdir(parents=True)
    round_.prediction.write_bytes(b"\0\0\0")
    RECORD.save_as_first(round_)
    assert PredictionRecord.first(round_) == RECORD


def test_where_nothing_was_predicted_nothing_is_known(layout: TaskLayout) -> None:
    assert PredictionRecord.load(layout) is None
    assert PredictionRecord.first(layout.round(1)) is None


def test_the_file_has_the_entries_that_it_always_had(layout: TaskLayout) -> None:
    record = {
        "made": 1.0e9,
        "n_assignments": 100,
        "n_known": 8,
        "total_seconds": {"value": 50.0, "low": 40.0, "high": 65.0},
        "largest_seconds": {"value": 2.0, "low": 1.5},
        "largest_parameters": {"x": "3", "solver": "'rk4'"},
        "peak_bytes": {"value": 2.0e9, "low": 1.0e9, "high": 3.0e9},
        "fits": True,
        "reason": "",
        "fingerprint": "0123",
    }
    write_json(layout.prediction, record)
    assert PredictionRecord.load(layout) == RECORD
    RECORD.save(layout)
    assert json.loads(layout.prediction.read_text()).items() >= record.items()


def test_an_end_that_is_infinite_is_valid_json(layout: TaskLayout) -> None:
    RECORD.save(layout)
    text = layout.prediction.read_text()
    assert "high" not in json.loads(text)["largest_seconds"]
    assert "Infinity" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"n_known": 101},
        {"n_known": -1},
        {"total_seconds": {"value": 1.0, "low": 2.0, "high": 1.0}},
        {"total_seconds": {"value": 1.0, "low": -2.0}},
        {"total_seconds": 3.0},
        {"peak_bytes": {"value": math.nan, "low": 0.0}},
        {"largest_parameters": {"x": 3}},
        {"fits": "yes"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_is_none(
    layout: TaskLayout, changes: dict[str, Any]
) -> None:
    RECORD.save(layout)
    record = json.loads(layout.prediction.read_text())
    del record["#crc32"]
    write_json(layout.prediction, record)
    assert PredictionRecord.load(layout) == RECORD
    write_json(layout.prediction, record | changes)
    assert PredictionRecord.load(layout) is None


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"made": 1}', "\x00"])
def test_a_damaged_file_is_none(layout: TaskLayout, text: str) -> None:
    layout.folder.mkdir()
    layout.prediction.write_text(text)
    assert PredictionRecord.load(layout) is None


def test_a_folder_in_its_place_is_no_reason_to_stop(layout: TaskLayout) -> None:
    layout.prediction.mkdir(parents=True)
    RECORD.save(layout)
    assert PredictionRecord.load(layout) is None


def test_an_estimate_is_recorded_as_it_is(layout: TaskLayout) -> None:
    space = Param(n=range(1, 101)) * Param(text=["a" * 500])
    seconds = [0.1 * n for n in range(1, 101)]
    rows = range(0, 100, 9)
    memory = [1e6] * len(rows)
    found = estimate(space, Evaluated.of(rows, [seconds[r] for r in rows], memory))
    assert isinstance(found, Estimate)
    record = PredictionRecord.of(found, "0123", made=5.0)
    record.save(layout)
    assert PredictionRecord.load(layout) == record
    total = found.time.total
    assert record.total_seconds == Range(total.value, total.low, total.high)
    assert (record.n_assignments, record.n_known) == (100, len(rows))
    assert record.largest_parameters["n"] == "100"
    assert len(record.largest_parameters["text"]) == 60
    assert record.peak_bytes is not None
    assert record.peak_bytes.value == pytest.approx(1e6, rel=0.1)


def test_few_pilots_leave_the_end_open(layout: TaskLayout) -> None:
    found = estimate(Param(n=range(100)), Evaluated.of([3, 50], [1.0, 1.5]))
    assert isinstance(found, Estimate)
    record = PredictionRecord.of(found, "")
    record.save(layout)
    kept = PredictionRecord.load(layout)
    assert kept == record
    assert kept is not None
    assert math.isinf(kept.total_seconds.high)
    assert kept.peak_bytes is None
    assert not kept.fits
    assert "too few" in kept.reason
