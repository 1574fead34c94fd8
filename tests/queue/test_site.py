"""What profiles say of schedulers."""

from __future__ import annotations

import pytest

from psyrun.errors import SchedulerError
from psyrun.queue.site import parse_arguments


def test_arguments_are_pairs() -> None:
    found = parse_arguments("account=lab comment='a b' hold=True")
    assert found == {"account": "lab", "comment": "a b", "hold": True}


@pytest.mark.parametrize("text", ["lab", "account=lab hold", "comment='a"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(SchedulerError, match=r"^psyrun-args: [^\n]*$"):
        parse_arguments(text)
