"""Forms of the model of costs, and how well they predict pilots that are left out.

The logarithm of a cost, less an offset, is a sum of effects with normal priors: of each
axis, of its curvature and of products of two axes, and of levels, alone, in pairs and
as slopes along axes. With given spreads of these effects that is ridge regression, and
it is solved in its dual form, by the covariances of the pilots [1]_. Which axes are
logarithms, the offset and the spreads are chosen by leave-one-out; several choices
count, each with a weight [2]_.

.. [1] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning",
   MIT Press (2006), sections 2.1, 2.7 and 5.4.2.
.. [2] S. Geisser, W. F. Eddy, "A predictive approach to model selection", Journal of
   the American Statistical Association 74 (1979), 153-160.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from psyrun.estimate.columns import Columns, Floats, Points
from psyrun.estimate.effects import Form, coded_points, covariances

_CURVATURES = (0.0, 0.15, 0.5, 1.5)
_LEVELS = (0.1, 0.3, 0.8, 2.0)
_OFFSETS = {0.0: 0.0, 0.5: -0.5, 0.8: -1.0, 0.95: -1.5}  # with logarithms of weights
_N_NOISES = 14
_LARGEST_NOISE = 2.0
_LARGEST_LOG = 300.0  # the squares of such costs are still numbers
_NOISE_SPREAD = 0.7  # of the logarithm of the noise around what is usual
_LEAST = 0.3  # predictions of sums are at least this part of the lowest cost
_LIGHTEST = 0.01  # weight relative to the heaviest below which a choice is dropped
_CAUTION = 8  # pilots with which weights are half as different as the scores say


@dataclass(frozen=True)
class Fitted:
    """A form of the model with what leave-one-out says of each spread of the noise.

    Attributes
    ----------
    form : Form
        The form.
    base : float
        Part of all costs that depends on nothing.
    middle : float
        What effects are added to.
    scale, least : float
        Of a sum: the unit of effects, and the least that is predicted.
    weights : ndarray of float64, shape (pilots,)
        What residuals are relative to.
    y : ndarray of float64, shape (pilots,)
        What effects add up to at the pilots, relative to the weights.
    values, vectors : ndarray of float64
        Eigenvalues and eigenvectors of the covariances of the pilots.
    scores : ndarray of float64, shape (noises,)
        How well pilots are predicted, for each spread of the noise.
    """

    form: Form
    base: float
    middle: float
    scale: float
    least: float
    weights: Floats
    y: Floats
    values: Floats
    vectors: Floats
    scores: Floats

    def solved(self, right: Floats, noise: float) -> Floats:
        """Return ``(K + noise²)⁻¹ right``, K being the covariances of the pilots."""
        spread = self.values + noise**2
        return self.vectors @ ((self.vectors.T @ right).T / spread).T

    def left_out(self, noise: float) -> tuple[Floats, Floats]:
        """Return means and variances of pilots as predicted from the others."""
        diagonal = (self.vectors**2 / (self.values + noise**2)).sum(axis=1)
        return self.y - self.solved(self.y, noise) / diagonal, 1 / diagonal

    def logs(self, effects: Floats, noise: float = 0.0) -> Floats:
        """Return logarithms of costs above the base for sums of effects.

        They are medians; sums of effects on the cost itself are its means.
        """
        found = effects + self.middle
        if self.form.is_sum:
            found = np.log(np.maximum(self.scale * found, self.least)) - noise**2 / 2
        return np.asarray(np.clip(found, -_LARGEST_LOG, _LARGEST_LOG))


class Search:
    """Looks for forms that predict pilots well when these are left out.

    Parameters
    ----------
    columns : Columns
        Of the space.
    pilots : Points
        At which costs are known.
    costs : ndarray of float64, shape (pilots,)
        These costs, all positive.
    usual_noise : float
        Standard deviation of the logarithm of costs that would surprise nobody.
    """

    def __init__(
        self, columns: Columns, pilots: Points, costs: Floats, usual_noise: float
    ) -> None:
        self._columns, self._pilots, self._costs = columns, pilots, costs
        self._found: dict[Form, Fitted] = {}
        self._noises = np.geomspace(usual_noise / 4, _LARGEST_NOISE, _N_NOISES)
        self._smooth = costs
        away = np.log(self._noises / usual_noise) / _NOISE_SPREAD
        self._of_noise = -0.5 * away**2

    def weighted(self) -> list[tuple[Fitted, float, float]]:
        """Return models with spreads of noise and weights, the heaviest first."""
        self._look()
        scores = np.array([fitted.scores for fitted in self._found.values()])
        n = len(self._costs)
        weights = np.exp((scores - scores.max()) * n / (n + _CAUTION))
        weights[weights < _LIGHTEST] = 0
        weights /= weights.sum()
        forms = list(self._found.values())
        order = np.argsort(-weights, axis=None)[: np.count_nonzero(weights)]
        return [
            (forms[i], float(self._noises[j]), float(weights[i, j]))
            for i, j in zip(*np.unravel_index(order, weights.shape), strict=True)
        ]

    def _look(self) -> None:
        """Change one part of the best form after the other."""
        axes = self._columns.axes
        logs = tuple(axis.shift is not None for axis in axes)
        self._improve(Form(logs), 2)
        self._smooth = self._smoothed()
        self._improve(Form((False,) * len(axes), is_sum=True, curvature=0.5), 1)

    def _smoothed(self) -> Floats:
        """Return costs of the pilots without noise, by the best form."""
        fitted = self._fitted(self._best(list(self._found)))
        noise = float(self._noises[np.argmax(fitted.scores)])
        effects = fitted.y - noise**2 * fitted.solved(fitted.y, noise)
        smooth: Floats = fitted.base + np.exp(fitted.logs(effects) + noise**2 / 2)
        return smooth

    def _improve(self, best: Form, n: int) -> None:
        for _ in range(n):
            for axis in range(len(best.is_log)):
                best = self._best(self._scales(best, axis))
            best = self._best(self._spreads(best))
            best = self._best(self._offsets(best))

    def _best(self, forms: list[Form]) -> Form:
        return max(forms, key=self._score)

    def _score(self, form: Form) -> float:
        return float(self._fitted(form).scores.max())

    def _scales(self, form: Form, axis: int) -> list[Form]:
        if self._columns.axes[axis].shift is None:
            return [form]
        before, after = form.is_log[:axis], form.is_log[axis + 1 :]
        return [
            replace(form, is_log=(*before, is_log, *after)) for is_log in (True, False)
        ]

    def _spreads(self, form: Form) -> list[Form]:
        levels = _LEVELS if self._columns.n_levels else (form.levels,)
        return [
            replace(form, curvature=curvature, levels=spread)
            for curvature in _CURVATURES
            for spread in levels
        ]

    def _offsets(self, form: Form) -> list[Form]:
        if form.is_sum:
            return [form]
        return [replace(form, offset=offset) for offset in _OFFSETS]

    def _fitted(self, form: Form) -> Fitted:
        if form not in self._found:
            pilots = self._columns, self._pilots, self._costs, self._smooth
            found = _fitted(*pilots, form, self._noises)
            scores = found.scores + self._of_noise + _OFFSETS[form.offset]
            self._found[form] = replace(found, scores=scores)
        return self._found[form]


def _fitted(
    columns: Columns,
    pilots: Points,
    costs: Floats,
    smooth: Floats,
    form: Form,
    noises: Floats,
) -> Fitted:
    coded = coded_points(columns.axes, pilots, form)
    of_pilots = covariances(columns, form, coded, pilots)
    base, scale, weights = form.offset * float(costs.min()), 1.0, np.ones(len(costs))
    if form.is_sum:
        # Errors are relative: large costs count less.
        scale, middle = float(costs.mean()), 1.0
        weights = smooth / scale
        y = (costs / scale - middle) / weights
        of_pilots /= weights * weights[:, None]
    else:
        logs = np.log(costs - base)
        middle = float(logs.mean())
        y = logs - middle
    # Densities are those of the logarithms of whole costs, whatever the form.
    jacobian = float(np.log(costs / (smooth if form.is_sum else costs - base)).sum())
    values, vectors = np.linalg.eigh(of_pilots)
    values, least = np.maximum(values, 0), _LEAST * float(costs.min())
    fitted = Fitted(
        form, base, middle, scale, least, weights, y, values, vectors, np.empty(0)
    )
    return replace(fitted, scores=_scores(fitted, noises) + jacobian)


def _scores(fitted: Fitted, noises: Floats) -> Floats:
    """Return a score for each spread of the noise.

    It is the mean of two logarithms of densities of the pilots: of each when it is left
    out, which is right about forms, and of all at once, which is more careful where
    there are few.
    """
    spread = fitted.values[:, None] + noises**2
    turned = fitted.vectors.T @ fitted.y
    inverse = fitted.vectors**2 @ (1 / spread)
    away = (fitted.vectors @ (turned[:, None] / spread)) ** 2 / inverse
    left_out = -0.5 * (np.log(2 * np.pi / inverse) + away).sum(axis=0)
    at_once = -0.5 * (np.log(2 * np.pi * spread) + turned[:, None] ** 2 / spread)
    found: Floats = (left_out + at_once.sum(axis=0)) / 2
    return found
