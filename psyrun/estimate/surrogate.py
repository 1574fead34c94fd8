"""The model of costs that is fitted to pilots, and samples of what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from psyrun.estimate.columns import Columns, Floats, Points
from psyrun.estimate.effects import Effects, coded_points
from psyrun.estimate.forms import Fitted, Search

_ELSEWHERE = 0.1  # spread of what costs change beyond the pilots, relative
_DIFFERENT = 1.5  # spread of effects of levels, relative to that of errors


@dataclass(frozen=True)
class Surrogate:
    """Fitted models, each with its weight.

    Attributes
    ----------
    columns : Columns
        Of the space.
    pilots : Points
        At which costs are known.
    costs : ndarray of float64, shape (pilots,)
        These costs, all positive.
    members : list of (Fitted, float, float)
        Models, with the spread of the noise and the weight, the heaviest first.
    """

    columns: Columns
    pilots: Points
    costs: Floats
    members: list[tuple[Fitted, float, float]] = field(repr=False)

    @classmethod
    def fit(
        cls, columns: Columns, pilots: Points, costs: Floats, usual_noise: float
    ) -> Surrogate:
        """Fit the model to some pilots.

        Parameters
        ----------
        columns : Columns
            Of the space.
        pilots : Points
            Those that were evaluated, at least one.
        costs : ndarray of float64, shape (pilots,)
            What they have cost; above zero.
        usual_noise : float
            Standard deviation of the logarithm of costs that would surprise nobody.
        """
        search = Search(columns, pilots, costs, usual_noise)
        return cls(columns, pilots, costs, search.weighted())

    @property
    def best(self) -> tuple[Fitted, float]:
        """The heaviest model, and its spread of the noise."""
        fitted, noise, _ = self.members[0]
        return fitted, noise

    def left_out(self) -> tuple[Floats, Floats]:
        """Return logarithms of the pilots' costs as the others predict them.

        Returns
        -------
        means, deviations : ndarray of float64, shape (pilots,)
            Of all models, by weight; of the logarithms.
        """
        means, squares = np.zeros(len(self.costs)), np.zeros(len(self.costs))
        for fitted, noise, weight in self.members:
            mean, variance = fitted.left_out(noise)
            logs = fitted.logs(mean * fitted.weights, noise)
            moved = np.log(fitted.base + np.exp(logs))
            means += weight * moved
            squares += weight * (moved**2 + variance)
        return means, np.sqrt(np.maximum(squares - means**2, 0))

    def predicted(self, points: Points) -> Floats:
        """Return medians of the costs of points by the heaviest model."""
        fitted, noise = self.best
        weights = fitted.solved(fitted.y, noise) / fitted.weights
        effects = Effects.of(self.columns, fitted.form, self.pilots, weights)
        mean = effects.at(coded_points(self.columns.axes, points, fitted.form), points)
        return np.asarray(fitted.base + np.exp(fitted.logs(mean[:, 0], noise)))

    def is_blind(self) -> bool:
        """Whether most levels of an axis have no pilot, while those with one differ.

        What the most expensive of such levels costs is unknown.
        """
        fitted, noise = self.best
        weights = fitted.solved(fitted.y, noise) / fitted.weights
        effects = Effects.of(self.columns, fitted.form, self.pilots, weights)
        axes = zip(
            self.columns.n_levels, self.pilots.codes.T, effects.levels, strict=True
        )
        for n_levels, codes, levels in axes:
            seen = np.unique(codes)
            differ = float(levels[seen].std()) > _DIFFERENT * noise
            if 2 * len(seen) < n_levels - 1 and differ:
                return True
        return False

    def draws(self, points: Points, n: int, rng: np.random.Generator) -> Draws:
        """Return samples of what the costs of points may be.

        Parameters
        ----------
        points : Points
            Some points.
        n : int
            Number of samples.
        rng : Generator
            Source of random numbers.
        """
        weights = np.array([weight for *_, weight in self.members])
        counts = rng.multinomial(n, weights)
        medians, noises, bases = [], [], []
        for (fitted, noise, _), count in zip(self.members, counts, strict=True):
            if count:
                medians.append(self._drawn(fitted, noise, points, int(count), rng))
                noises += [noise] * int(count)
                bases += [fitted.base] * int(count)
        return Draws(np.concatenate(medians, axis=1), np.array(noises), np.array(bases))

    def _drawn(
        self,
        fitted: Fitted,
        noise: float,
        points: Points,
        n: int,
        rng: np.random.Generator,
    ) -> Floats:
        """Return logarithms of costs above the base, shape (points, n).

        Effects are drawn from their prior, and pilots with noise from these; what the
        fit makes of the difference to the real pilots is added. These are samples of
        the posterior [1]_.

        .. [1] J. T. Wilson et al., "Efficiently sampling functions from Gaussian
           process posteriors", ICML (2020), equation 10 (Matheron's rule).
        """
        form, axes = fitted.form, self.columns.axes
        prior = Effects.drawn(self.columns, form, n, rng)
        scales = fitted.weights[:, None]
        there = prior.at(coded_points(axes, self.pilots, form), self.pilots) / scales
        there += noise * rng.standard_normal(there.shape)
        right = fitted.solved(fitted.y[:, None] - there, noise) / scales
        effects = Effects.of(self.columns, form, self.pilots, right)

        def logs(points: Points) -> Floats:
            coded = coded_points(axes, points, form)
            found = prior.at(coded, points)
            found += effects.at(coded, points)
            return fitted.logs(found, noise)

        return self._continued(points, logs, n, rng)

    def _continued(
        self,
        points: Points,
        logs: Callable[[Points], Floats],
        n: int,
        rng: np.random.Generator,
    ) -> Floats:
        """Return logarithms of costs, less sure where they are beyond the pilots.

        How much they change from the nearest end of the axes that pilots have is told
        by the form alone, which may be another one there.
        """
        found = logs(points)
        inside = points.within(self.pilots)
        is_outside = (points.numbers != inside.numbers) & ~np.isnan(points.numbers)
        rows = np.flatnonzero(is_outside.any(axis=1))
        if len(rows):
            change = found[rows] - logs(inside.take(rows))
            found[rows] += _ELSEWHERE * rng.standard_normal(n) * change
        return found


@dataclass(frozen=True)
class Draws:
    """Samples of the costs of some points.

    Attributes
    ----------
    logs : ndarray of float64, shape (points, n)
        Logarithms of the part of costs above the base, without noise.
    noises : ndarray of float64, shape (n,)
        Standard deviations of the noise of these logarithms. That is added to a
        median, so that the mean is larger (smearing).
    bases : ndarray of float64, shape (n,)
        What all points cost at least.
    """

    logs: Floats
    noises: Floats
    bases: Floats

    def means(self) -> Floats:
        """Return the means of costs with noise, shape (points, n)."""
        return np.asarray(self.bases + np.exp(self.logs + self.noises**2 / 2))

    def noisy(self, rng: np.random.Generator) -> Floats:
        """Return costs with noise, shape (points, n)."""
        noise = self.noises * rng.standard_normal(self.logs.shape)
        return np.asarray(self.bases + np.exp(self.logs + noise))
