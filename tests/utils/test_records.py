from __future__ import annotations

import gc
import json
import weakref
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import pytest

from psyrun.errors import StoreError
from psyrun.utils.records import RecordedTypeError, is_name, of_record, read_record


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    size: int


@dataclass(frozen=True)
class Record:
    name: str
    number: int
    share: float
    is_new: bool
    colour: Colour
    mode: Literal["a", "b"]
    inner: Inner | None = None
    rounds: tuple[int, ...] = ()
    tasks: dict[str, str] | None = None


GOOD = {
    "name": "n",
    "number": 1,
    "share": 2,
    "is_new": True,
    "colour": "red",
    "mode": "b",
    "inner": {"size": 3},
    "rounds": [1, 2],
    "tasks": {"a": "b"},
}


def test_a_record_becomes_what_it_was():
    found = of_record(Record, GOOD)
    assert found == Record(
        "n", 1, 2, True, Colour.RED, "b", Inner(3), (1, 2), {"a": "b"}
    )
    few = {name: GOOD[name] for name in list(GOOD)[:6]}
    assert of_record(Record, few).rounds == ()


def test_nothing_is_held_by_what_was_tried_in_vain() -> None:
    class Large:
        pass

    def read() -> weakref.ref[Large]:
        large = Large()
        of_record(Record, GOOD | {"inner": None, "tasks": None})
        return weakref.ref(large)

    gc.disable()
    try:
        assert read()() is None
    finally:
        gc.enable()


ODD = [
    *({"name": value} for value in (1, None, [], {})),
    *({"number": value} for value in ("1", True, 1.0, 10**30, None)),
    *({"share": value} for value in ("1", float("nan"), float("inf"), True)),
    *({"is_new": value} for value in (1, "true", None)),
    *({"colour": value} for value in ("blue", 1, [])),
    *({"mode": value} for value in ("c", 1, [])),
    *({"inner": value} for value in (1, [], {}, {"size": "1"}, {"size": 1, "x": 2})),
    *({"rounds": value} for value in (1, "12", ["1"], [[1]], {"1": 1})),
    *({"tasks": value} for value in (1, [], {"a": 1})),
    {"unknown": 1},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_an_entry_of_another_type_is_refused(odd):
    with pytest.raises(RecordedTypeError, match=next(iter(odd))):
        of_record(Record, {**GOOD, **odd})


@pytest.mark.parametrize("record", [[], None, 1, "x", {}], ids=str)
def test_what_is_no_such_record_is_refused(record):
    with pytest.raises(RecordedTypeError):
        of_record(Record, record)


def test_a_damaged_file_is_named_in_one_line(tmp_path):
    path = tmp_path / "a.json"
    assert read_record(path, Record) is None
    path.write_text(json.dumps({**GOOD, "number": "1"}))
    with pytest.raises(StoreError, match=r"a\.json: has other entries .*number") as at:
        read_record(path, Record)
    assert "\n" not in str(at.value)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"9" * 5000, b""])
def test_what_is_no_json_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"a\.json: is not JSON"):
        read_record(path, Record)


def test_some_texts_are_no_names():
    assert is_name("ä \udcff") and not is_name("a\0b") and not is_name("\ud800")


@dataclass(frozen=True)
class Named:
    name: str


@pytest.mark.parametrize("text", ["[]", "5", '"name"', "{}", '{"name": 5}'])
def test_a_record_that_holds_something_else_is_damaged(tmp_path, text):
    path = tmp_path / "record.json"
    assert read_record(path, Named) is None
    path.write_text(text)
    with pytest.raises(StoreError, match=r"record\.json: has other entries"):
        read_record(path, Named)
    path.write_text('{"name": "a"}')
    assert read_record(path, Named) == Named("a")
