"""The examples of the documentation that need a queue."""

from __future__ import annotations

from pathlib import Path

import pytest
from readers import QUEUES, ROOT, read

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("name", QUEUES)
def test_examples_do_what_the_document_says(
    name: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request.getfixturevalue(QUEUES[name])
    read(ROOT / name, tmp_path, monkeypatch)
