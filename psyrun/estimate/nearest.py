"""Which part of a space is nearest to each of some points."""

from __future__ import annotations

from typing import Literal

import numpy as np

from psyrun.estimate.columns import Columns, Floats
from psyrun.estimate.evaluated import spread_rows
from psyrun.pspace.columns import Indices

_N_SAMPLED = 2048
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def nearest_shares(columns: Columns, rows: Indices, seed: int = 0) -> Floats:
    """Return the part of a space that is nearest to each of some rows.

    So pilots that stand where they were expected to be expensive count for no more than
    what they stand for. Along axes of numbers it is their ranks that are compared; the
    ends are as far apart as different levels.

    Parameters
    ----------
    columns : Columns
        Of the space.
    rows : ndarray of int64, shape (n,)
        Indices of some points.
    seed : int
        Seed of the sample of the space that is looked at.

    Returns
    -------
    ndarray of float64, shape (n,)
        They add up to one; equally near points share.
    """
    sample = columns.points(spread_rows(len(columns.space), _N_SAMPLED, seed))
    some = columns.points(rows)
    distances = np.zeros((len(sample), len(some)))
    for values, of_some in zip(sample.numbers.T, some.numbers.T, strict=True):
        here, there = _ranks(values, values), _ranks(values, of_some)
        distances += (here[:, None] - there) ** 2
    for here, there in zip(sample.codes.T, some.codes.T, strict=True):
        distances += here[:, None] != there
    lowest = distances.min(axis=1, keepdims=True)
    is_nearest = distances <= lowest + 1e-12
    shares: Floats = (is_nearest / is_nearest.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def _ranks(values: Floats, some: Floats) -> Floats:
    """Return which part of values is below some, with ties in the middle."""
    ordered = np.sort(values[np.isfinite(values)])
    sides = [np.searchsorted(ordered, some, side) for side in _SIDES]
    ranks = (sides[0] + sides[1]) / (2 * max(1, len(ordered)))
    return np.where(np.isfinite(some), ranks, 0.5)
