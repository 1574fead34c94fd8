"""Texts that name points by their numbers."""

import pytest

from psyrun.utils.numbers import numbers_in, text_of_numbers


def test_numbers_come_back_ascending_and_once() -> None:
    text = text_of_numbers([17, 3, 10**12, 3])
    assert text == "assignments 3,17,1000000000000"
    assert numbers_in([text]) == [3, 17, 10**12]
    assert numbers_in([text_of_numbers([])]) == []


@pytest.mark.parametrize(
    "texts", [[], ["assignments=3,17"], ["n=1", "assignments 3"], ["assignment 3"]]
)
def test_conditions_on_parameters_name_no_numbers(texts: list[str]) -> None:
    assert numbers_in(texts) is None
