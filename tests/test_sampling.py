"""Of each large matrix of tests, CI runs a part that differs between commits."""

from __future__ import annotations

from sampling import sampled

CASES = [(f"test_{size}", (size, i)) for size in (1, 3, 4, 50) for i in range(size)]


def test_of_each_group_there_is_a_part() -> None:
    found = sampled(CASES, 3, "abc")
    sizes = [size for size, _ in found]
    assert [sizes.count(size) for size in (1, 3)] == [1, 1]
    assert 1 <= sizes.count(4) <= 2
    assert 16 <= sizes.count(50) <= 17
    assert found == sorted(found)
    assert found == sampled(CASES, 3, "abc")


def test_all_cases_have_their_turn() -> None:
    found = {case for key in "abcdefghijklmnopqrst" for case in sampled(CASES, 3, key)}
    assert found == {case for _, case in CASES}


def test_one_in_one_is_all() -> None:
    assert sampled(CASES, 1, "abc") == [case for _, case in CASES]
