"""Task files to take the fingerprint of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fingerprints import of_project

Fingerprint = Callable[..., str]


@pytest.fixture
def of(tmp_path) -> Fingerprint:
    """Return the fingerprint of a task file, with more files beside it."""

    def fingerprint_of(task: str, **files: str) -> str:
        return of_project(tmp_path / "p", {"psy-tasks/task_a.py": task, **files})

    return fingerprint_of
