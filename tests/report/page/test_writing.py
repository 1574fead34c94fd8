"""The page is one file without anything from elsewhere, written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from psyrun.errors import PsyrunError
from psyrun.report.page.writing import page_of, write_page

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=alert(1)>@SCRIPT@ <!-- ]]> \u2028 '\""


class Reader(HTMLParser):
    """The elements of a page, and the texts of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag in ("script", "style"):
            self.texts.append(data)


def test_texts_of_the_user_are_data_and_no_markup() -> None:
    page = Reader(page_of([{"name": HOSTILE}], HOSTILE, NOW))
    assert "img" not in [tag for tag, _ in page.tags]
    (data,) = (text for text in page.texts if text.startswith("{"))
    assert json.loads(data)["tasks"] == [{"name": HOSTILE}]
    assert json.loads(data)["written"] == "2026-01-02T03:04:05+00:00"


def test_the_policy_allows_its_own_script_and_style_only() -> None:
    page = Reader(page_of([], "a", NOW))
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a
    )
    assert policy is not None
    style, _, script = (text for text in page.texts if text.strip())
    for name, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_nothing_of_it_is_elsewhere() -> None:
    text = page_of([], "a", NOW)
    page = Reader(text)
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "action")
    ]
    assert set(addresses) == {"data:,", "#results-heading"}
    assert set(re.findall(r"https?://[^'\"\s)]*", text)) == {
        "http://www.w3.org/2000/svg"
    }
    assert "innerHTML" not in text


def test_without_data_it_is_small() -> None:
    assert len(page_of([], "a", NOW).encode()) < 150_000


def test_a_page_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    write_page(path, "é")
    assert path.read_bytes() == "é".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_where_no_file_can_be_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(PsyrunError, match=r"is a folder\. Name a file, such as"):
        write_page(tmp_path, "a")
    with pytest.raises(PsyrunError, match=r"there is no folder .*Make it, or choose"):
        write_page(tmp_path / "none" / "report.html", "a")


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_page(path, "\ud800")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
