"""Tracebacks as users see them."""

from __future__ import annotations

import pytest

from psyrun.errors import StoreError
from psyrun.store.pickle import check_picklable
from psyrun.utils.tracebacks import user_traceback


class Fragile:
    def __getstate__(self) -> object:
        raise KeyError("state")


def told_of(value: object) -> str:
    with pytest.raises(StoreError) as caught:
        check_picklable("y", value)
    error: BaseException = caught.value
    # As where psyrun calls this by itself.
    assert error.__traceback__
    return user_traceback(error.with_traceback(error.__traceback__.tb_next))


def test_what_only_psyrun_raised_has_no_traceback() -> None:
    assert told_of(lambda: 0).startswith("psyrun.errors.StoreError: key 'y' holds")


def test_code_of_the_user_that_psyrun_calls_is_shown() -> None:
    told = told_of(Fragile())
    assert "in __getstate__" in told
    assert "psyrun/store" not in told


def test_an_exception_that_was_never_raised_stays_the_cause() -> None:
    def fail() -> None:
        raise RuntimeError("outer") from ValueError("inner")

    with pytest.raises(RuntimeError) as caught:
        fail()
    assert "ValueError: inner" in user_traceback(caught.value)
