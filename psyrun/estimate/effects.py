"""Effects of parameters on costs, with normal priors.

Costs, or their logarithms, are sums of effects: of each axis of numbers, of products of
two of them, of levels, of levels as slopes along axes, and of pairs of levels. What is
known of effects beforehand is their spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psyrun.estimate.columns import Columns, Floats, NumberAxis, Points

_EXPONENT = 1.5  # spread of exponents of power laws
_INTERCEPT = 3.0  # spread around the mean of the pilots


@dataclass(frozen=True)
class Form:
    """One choice of the form of a model.

    Attributes
    ----------
    is_log : tuple of bool
        For each axis of numbers whether its logarithm is taken.
    is_sum : bool
        Whether effects are added to the cost itself, rather than to its logarithm.
    offset : float
        Part of all costs that depends on nothing, relative to the lowest.
    curvature : float
        Spread of the effects of products of axes, and of levels in pairs.
    levels : float
        Spread of the effects of levels.
    """

    is_log: tuple[bool, ...]
    is_sum: bool = False
    offset: float = 0.0
    curvature: float = 0.15
    levels: float = 0.5


def coded_points(axes: Sequence[NumberAxis], points: Points, form: Form) -> Floats:
    """Return the places of points along axes from -1 to 1, shape (n, axes)."""
    found = np.empty_like(points.numbers)
    for i, (axis, is_log) in enumerate(zip(axes, form.is_log, strict=True)):
        found[:, i] = axis.scaled(points.numbers[:, i], is_log)
    return found


def spreads_of_slopes(axes: Sequence[NumberAxis], form: Form) -> Floats:
    """Return the spreads of the effects of axes."""
    widths = [a.width(is_log) for a, is_log in zip(axes, form.is_log, strict=True)]
    return _EXPONENT * np.maximum(np.array(widths, np.float64), 0.5)


def covariances(columns: Columns, form: Form, coded: Floats, points: Points) -> Floats:
    """Return the covariances of the sums of effects at some points."""
    variances = spreads_of_slopes(columns.axes, form) ** 2
    found = (coded * variances) @ coded.T + _INTERCEPT**2
    inner = coded @ coded.T
    found += form.curvature**2 * inner**2
    same = [codes[:, None] == codes for codes in points.codes.T]
    for each in same:
        found += each * (form.levels**2 + form.curvature**2 * inner)
    for i, j in columns.level_pairs:
        found += form.curvature**2 * (same[i] & same[j])
    return found


@dataclass(frozen=True)
class Effects:
    """Effects in the logarithm of costs, several of each along the last axis."""

    intercept: Floats
    slopes: Floats  # (axes, n)
    products: Floats  # (axes, axes, n)
    levels: list[Floats]  # (levels, n)
    level_slopes: list[Floats]  # (levels, axes, n)
    pairs: dict[tuple[int, int], Floats]  # (levels * levels, n)

    @classmethod
    def of(
        cls, columns: Columns, form: Form, pilots: Points, weights: Floats
    ) -> Effects:
        """Return the effects that weights of pilots mean, shape (pilots, n)."""
        weights = weights.reshape(len(weights), -1)  # of one or several
        z = coded_points(columns.axes, pilots, form)
        bent = form.curvature**2
        products = np.einsum("ia,ib,in->abn", z, z, weights) * bent
        codes = pilots.codes.T
        levels = [
            _summed(c, n, weights) * form.levels**2
            for c, n in zip(codes, columns.n_levels, strict=True)
        ]
        turned = z[:, :, None] * weights[:, None, :]
        level_slopes = [
            _summed(c, n, turned) * bent
            for c, n in zip(codes, columns.n_levels, strict=True)
        ]
        pairs = {
            (i, j): _summed(
                codes[i] * columns.n_levels[j] + codes[j],
                columns.n_levels[i] * columns.n_levels[j],
                weights,
            )
            * bent
            for i, j in columns.level_pairs
        }
        slopes = spreads_of_slopes(columns.axes, form)[:, None] ** 2 * (z.T @ weights)
        intercept = _INTERCEPT**2 * weights.sum(axis=0)
        return cls(intercept, slopes, products, levels, level_slopes, pairs)

    @classmethod
    def drawn(
        cls, columns: Columns, form: Form, n: int, rng: np.random.Generator
    ) -> Effects:
        """Return effects that are drawn from their priors."""
        k, sizes, bent = len(columns.axes), columns.n_levels, form.curvature
        normal = rng.standard_normal
        return cls(
            _INTERCEPT * normal(n),
            spreads_of_slopes(columns.axes, form)[:, None] * normal((k, n)),
            # The two halves of a product are the same effect.
            bent * normal((k, k, n)),
            [form.levels * normal((size, n)) for size in sizes],
            [bent * normal((size, k, n)) for size in sizes],
            {
                (i, j): bent * normal((sizes[i] * sizes[j], n))
                for i, j in columns.level_pairs
            },
        )

    def at(self, coded: Floats, points: Points) -> Floats:
        """Return the sums of effects at points, shape (points, n)."""
        found = coded @ self.slopes + self.intercept
        k = coded.shape[1]
        if self.products.any():
            pairs = (coded[:, :, None] * coded[:, None, :]).reshape(-1, k * k)
            found += pairs @ self.products.reshape(k * k, -1)
        for codes, levels, slopes in zip(
            points.codes.T, self.levels, self.level_slopes, strict=True
        ):
            found += levels[codes]
            if slopes.any():
                found += np.einsum("ia,ian->in", coded, slopes[codes])
        for (i, j), pair in self.pairs.items():
            n_levels = self.levels[j].shape[0]
            found += pair[points.codes[:, i] * n_levels + points.codes[:, j]]
        return found


def _summed(codes: NDArray[np.int64], n: int, values: Floats) -> Floats:
    found = np.zeros((n, *values.shape[1:]))
    np.add.at(found, codes, values)
    return found
