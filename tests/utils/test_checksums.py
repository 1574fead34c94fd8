"""Checksums of files, and seals of records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from psyrun.errors import DamagedFileError, StoreError
from psyrun.utils.checksums import Checksum, free_name, keep_beside, verify
from psyrun.utils.files import file_beside, read_json, write_json

CONTENT = bytes(range(256)) * 9000
VALUES = {
    "numbers": {"a": 1, "b": 1.5e300, "c": float("inf"), "d": None, "e": True},
    "text": {"ä": "\ud800 \x1b \u2028", "": []},
    "list": [3, "4", [5.0]],
    "numbered": {1: {"x": 2}, 10: {"x": 3}},
    "word": "int64",
    "nothing": {},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.pkl"
    path.write_bytes(CONTENT)
    return path


def flipped(content: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: b"",
        *(
            lambda content, at=at: flipped(content, at, at % 8)
            for at in range(0, len(CONTENT), 230_001)
        ),
    ],
)
def test_a_changed_file_is_refused(path: Path, change: Any) -> None:
    checksum = Checksum.of(path)
    verify(path, checksum)
    path.write_bytes(change(CONTENT))
    with pytest.raises(DamagedFileError, match=r"^\S*data\.pkl: .*restore a copy"):
        verify(path, checksum)
    path.unlink()
    with pytest.raises(DamagedFileError, match="is gone"):
        verify(path, checksum)


def test_what_has_no_checksum_is_not_judged(path: Path) -> None:
    verify(path, None)


def test_names_of_what_is_set_aside_are_free(path: Path) -> None:
    path.with_name("data.changed.pkl").touch()
    assert free_name(path.with_name("new.pkl")).name == "new.pkl"
    assert keep_beside(path).name == "data.changed-2.pkl"
    assert not path.exists()


def test_what_is_known_of_a_file_goes_along(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    file_beside(path).write_text("known")
    link = tmp_path / "folder" / "link.pkl"
    link.parent.mkdir()
    link.symlink_to(path)
    keep_beside(link, "kept")
    kept = path.with_name("data.kept.pkl")
    assert kept.read_bytes() == content
    assert kept.with_name("data.kept.pkl.psyrun").read_text() == "known"
    assert not file_beside(path).exists()
    # Another one has its own.
    path.write_text("other")
    assert keep_beside(path, "kept").name == "data.kept-2.pkl"
    assert file_beside(kept).read_text() == "known"


def test_of_a_link_the_file_is_set_aside(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "folder" / "link.pkl"
    link.parent.mkdir()
    link.symlink_to(path)
    assert keep_beside(link) == path.with_name("data.changed.pkl")
    assert link.is_symlink()


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_records_are_read_as_written(tmp_path: Path, value: object) -> None:
    path = tmp_path / "record.json"
    write_json(path, value)
    # Names are text in JSON.
    assert read_json(path) == json.loads(json.dumps(value))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_flipped_bit_of_a_record_never_gives_another_value(
    tmp_path: Path, value: object
) -> None:
    path = tmp_path / "record.json"
    write_json(path, value)
    content, right = path.read_bytes(), read_json(path)
    for position in range(len(content)):
        for bit in range(8):
            path.write_bytes(flipped(content, position, bit))
            try:
                found = read_json(path)
            except StoreError as error:
                assert "\n" not in str(error)
            else:
                assert found == right


def test_records_of_former_versions_have_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{"a": 1}')
    assert read_json(path) == {"a": 1}
    write_json(path, {"a": 1}, sealed=False)
    assert json.loads(path.read_text()) == {"a": 1}
