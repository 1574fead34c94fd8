"""Chunks of a grid follow one another, and fill it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from psyrun.results.export.grids import box, chunk_of


@pytest.mark.parametrize(
    "shape", [(), (1,), (7,), (3, 4), (2, 1, 5), (3, 2, 4, 5), (1, 1), (5, 1)]
)
@pytest.mark.parametrize("most", [1, 2, 5, 7, 20, 1000])
def test_chunks_fill_a_grid_in_order(shape, most):
    chunk = chunk_of(shape, most)
    assert math.prod(chunk) <= most
    numbers = np.arange(math.prod(shape)).reshape(shape)
    place = 0
    while place < numbers.size:
        index, end = box(shape, chunk, place)
        assert 0 < end - place <= math.prod(chunk)
        assert np.ravel(numbers[index]).tolist() == list(range(place, end))
        place = end
    assert place == numbers.size
