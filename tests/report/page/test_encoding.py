"""Columns as text: what a browser reads is what was there, as exactly as is said."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from psyrun.report.page.encoding import (
    COARSEST,
    FINEST,
    encoded_codes,
    encoded_exactly,
    encoded_numbers,
    is_exact,
    script_text,
    size_of,
)


def codes_of(column: Mapping[str, Any]) -> NDArray[Any]:
    """Read a column as the page does."""
    planes = np.frombuffer(gzip.decompress(base64.b64decode(column["data"])), np.uint8)
    size = int(column["type"][1])
    together = np.ascontiguousarray(planes.reshape(size, -1).T)
    return together.reshape(-1).view(f"<{column['type']}")


def numbers_of(column: Mapping[str, Any]) -> NDArray[np.float64]:
    codes, scale = codes_of(column), column.get("scale")
    if scale is None:
        return codes
    largest = np.iinfo(codes.dtype).max
    of_code = np.full(int(largest) + 1, np.nan)
    if scale["kind"] == "list":
        values = codes_of(scale["values"])
        of_code[: len(values)] = values
    else:
        with np.errstate(over="ignore"):
            # The range may be too large for a number.
            halves = scale["low"] / 2 + np.arange(largest - 2) * (scale["step"] / 2)
            found = 2 * halves
            of_code[: largest - 2] = np.exp(found) if scale["kind"] == "log" else found
    of_code[largest - 2 : largest + 1] = [-np.inf, np.inf, np.nan]
    return of_code[codes]


SPECIAL = [np.nan, np.inf, -np.inf]
columns = st.lists(st.floats(width=64), max_size=40).map(np.array)


@given(columns)
def test_few_numbers_come_back_exactly(values: NDArray[np.float64]) -> None:
    values = values.astype(np.float64)
    column = encoded_numbers(values)
    assert is_exact(column)
    np.testing.assert_array_equal(numbers_of(column), values)
    np.testing.assert_array_equal(numbers_of(encoded_exactly(values)), values)


@pytest.mark.parametrize("n_steps", [COARSEST, 4096, FINEST])
@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=9000),
        np.random.default_rng(1).uniform(1e307, 1.7e308, 9000),
        2 * np.linspace(-0.8e308, 0.8e308, 9000),
        1e16 + 2 * np.arange(9000.0),
        np.arange(9000) * 5e-324,
    ],
    ids=["normal", "huge", "all", "close", "subnormal"],
)
def test_many_numbers_are_off_by_half_a_step(
    values: NDArray[np.float64], n_steps: int
) -> None:
    with_special = np.concatenate([SPECIAL, values])
    found = numbers_of(encoded_numbers(with_special, n_steps))
    np.testing.assert_array_equal(found[:3], SPECIAL)
    half = values.max() / (n_steps - 1) / 2 - values.min() / (n_steps - 1) / 2
    spacing = np.spacing(np.abs(values).max())
    if half > 100 * spacing:
        assert np.all(np.abs(found[3:] - values) <= half * 1.001)
    else:
        # As close together as numbers can lie.
        assert np.all(np.abs(found[3:] - values) <= 3 * half + 4 * spacing)


def test_positive_numbers_of_many_sizes_have_the_same_relative_precision() -> None:
    values = 10 ** np.random.default_rng(0).uniform(-8, 8, 9000)
    column = encoded_numbers(values)
    assert column["scale"]["kind"] == "log"
    assert np.abs(numbers_of(column) / values - 1).max() < 16 * np.log(10) / FINEST


def test_whole_numbers_within_reach_are_exact() -> None:
    values = np.random.default_rng(0).integers(-30_000, 30_000, 20_000).astype(float)
    column = encoded_numbers(values)
    assert is_exact(column)
    np.testing.assert_array_equal(numbers_of(column), values)
    assert not is_exact(encoded_numbers(values, 4096))


@pytest.mark.parametrize(
    ("n_levels", "kind"),
    [(1, "u1"), (256, "u1"), (257, "u2"), (2**16, "u2"), (2**16 + 1, "u4")],
)
def test_codes_take_as_many_bytes_as_they_need(n_levels: int, kind: str) -> None:
    codes = np.array([0, n_levels - 1, n_levels // 2])
    column = encoded_codes(codes, n_levels)
    assert column["type"] == kind
    np.testing.assert_array_equal(codes_of(column), codes)


def test_coarser_steps_make_a_column_smaller() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    sizes = [size_of(encoded_numbers(values, n)) for n in (FINEST, 2**12, COARSEST)]
    assert sizes[0] > 1.2 * sizes[1] > 1.2 * sizes[2]


def test_the_same_numbers_give_the_same_text() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    assert encoded_numbers(values) == encoded_numbers(values.copy())


@given(st.text() | st.sampled_from(["</script><img src=x>", "<!--", "\u2028&amp;"]))
def test_no_text_ends_the_script_or_is_changed(text: str) -> None:
    found = script_text({text: [text]})
    assert not set(found) & set("<>&\u2028\u2029")
    assert json.loads(found) == {text: [text]}
