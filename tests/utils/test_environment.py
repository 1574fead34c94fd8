"""What the environment says of the job that this process belongs to."""

from __future__ import annotations

import pytest

from psyrun.utils.environment import AT_ONCE_VARIABLE, cores_at_once


@pytest.mark.parametrize(("text", "known"), [("8", 8), ("", 0), ("many", 0), ("-2", 0)])
def test_the_cores_of_all_jobs_are_known_or_not(
    monkeypatch: pytest.MonkeyPatch, text: str, known: int
) -> None:
    monkeypatch.setenv(AT_ONCE_VARIABLE, text)
    assert cores_at_once() == known


def test_in_a_queue_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(AT_ONCE_VARIABLE, raising=False)
    assert cores_at_once() == 0
