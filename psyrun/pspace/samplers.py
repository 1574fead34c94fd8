"""Designs: spaces whose points are spread over ranges of parameters."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, SpaceWarning
from psyrun.pspace.choosing import whole_number
from psyrun.pspace.columns import Column, Indices, as_numbers, as_objects
from psyrun.pspace.derived import Derived, Zip
from psyrun.pspace.design import Design, changed, ranges_of
from psyrun.pspace.param import Param
from psyrun.pspace.permutation import keys_of, mixed
from psyrun.pspace.ranges import Choices, Range, Unit
from psyrun.pspace.space import (
    ParameterSpace,
    Product,
    Selection,
    Sum,
    is_a,
)
from psyrun.utils.extras import imported
from psyrun.utils.typing import override

_MOST_SOBOL = 2**30
_OPTIMIZATIONS = (None, "random-cd", "lloyd")


class Sequence(Design):
    """The first points of a low-discrepancy sequence of SciPy, scrambled or not."""

    def __init__(
        self,
        n: int,
        ranges: Mapping[str, Any] | None = None,
        /,
        *,
        seed: int = 0,
        scramble: bool = True,
        **params: Any,
    ) -> None:
        self._seed = whole_number(type(self).__name__, "the seed", seed, least=0)
        self._scramble = bool(scramble)
        super().__init__(n, ranges, params)

    @override
    def _unit_points(self, n: int, n_dimensions: int) -> Unit:
        options = {"scramble": self._scramble}
        return _points(_engine(self._title, n_dimensions, self._seed, **options), n)

    @override
    def _options(self) -> Mapping[str, Any]:
        return changed(seed=(self._seed, 0), scramble=(self._scramble, True))


class Sobol(Sequence):
    """The first points of a Sobol' sequence, scrambled.

    They fill the space evenly, in each of its projections. The first points of a
    larger design are those of a smaller one with the same seed, so that making it
    larger evaluates only what is new.

    Parameters
    ----------
    n : int
        Number of points, at most 2³⁰. Balanced are powers of two; others are warned of.
    ranges : mapping, optional
        Ranges of parameters, for names that are also those of other arguments.
    seed : int, default 0
        Another seed scrambles in another way; it is 0 or more.
    scramble : bool, default True
        Whether to scramble. If not, the first point has the lower ends of all ranges;
        of `normal` that is 8.3 standard deviations below the mean.
    **params
        For each parameter a range (`uniform`, `log`, `integers`, `normal`), an iterable
        of values, each equally likely, or a single value.

    Raises
    ------
    PsyrunError
        If an argument is not as described, there are more parameters than SciPy has
        dimensions (21201), or it is not installed.

    Warns
    -----
    SpaceWarning
        If the number of points is no power of two.

    Notes
    -----
    Direction numbers of S. Joe and F. Y. Kuo (SIAM J. Sci. Comput. 30, 2008), with a
    left linear matrix scramble and a digital random shift (J. Matousek, J. Complexity
    14, 1998), as computed by `scipy.stats.qmc.Sobol`.

    Examples
    --------
    >>> from psyrun.pspace import uniform, log
    >>> design = Sobol(8, dose=uniform(0, 1), rate=log(1e-5, 1e-1))
    >>> list(Sobol(16, dose=uniform(0, 1), rate=log(1e-5, 1e-1)))[:8] == list(design)
    True
    """

    @override
    def _unit_points(self, n: int, n_dimensions: int) -> Unit:
        if n > _MOST_SOBOL:
            raise PsyrunError(f"Sobol: {n} points; there are 2**30 at most.")
        if n & (n - 1):
            warnings.warn(
                f"Sobol: {n} points are less balanced than a power of two, such as "
                f"{2 ** (n.bit_length() - 1)} or {2 ** n.bit_length()}.",
                SpaceWarning,
                stacklevel=5,
            )
        return super()._unit_points(n, n_dimensions)


class Halton(Sequence):
    """The first points of a Halton sequence, scrambled.

    As `Sobol`, for any number of points; less even where there are many parameters. The
    first points of a larger design are those of a smaller one with the same seed.

    Parameters
    ----------
    n : int
        Number of points.
    ranges, seed, scramble, **params
        As for `Sobol`.

    Raises
    ------
    PsyrunError
        If an argument is not as described, or SciPy is not installed.

    Notes
    -----
    J. H. Halton (Numer. Math. 2, 1960) with random permutations of the digits (A. B.
    Owen, A randomized Halton algorithm in R, 2017), as computed by
    `scipy.stats.qmc.Halton`.
    """


class LatinHypercube(Design):
    """Points of which each `n`-th part of each range has exactly one.

    A larger design has other points: nothing of a smaller one is kept. Use `Sobol` or
    `Halton` for a design that you may want to make larger.

    Parameters
    ----------
    n : int
        Number of points. With strength 2 the square of a prime number.
    ranges : mapping, optional
        As for `Sobol`.
    strength : {1, 2}, default 1
        With 2, pairs of parameters are spread evenly, too: in a grid of √n times √n
        cells over any two of them, each cell has one point.
    optimization : {None, "random-cd", "lloyd"}, optional
        Whether to make the points more even, by exchanging coordinates so that the
        centered discrepancy gets smaller, or by moving them apart with Lloyd's
        algorithm, which gives up the exact Latin hypercube. The latter needs two or
        more parameters, and more points than parameters.
    seed : int, default 0
        Another seed gives another design; it is 0 or more.
    **params
        As for `Sobol`.

    Raises
    ------
    PsyrunError
        If an argument is not as described, or SciPy is not installed. If there is no
        design of strength 2 of this size, the next size that has one is named.

    Notes
    -----
    M. D. McKay, R. J. Beckman and W. J. Conover (Technometrics 21, 1979); of strength 2
    by orthogonal arrays (B. Tang, J. Am. Stat. Assoc. 88, 1993), as computed by
    `scipy.stats.qmc.LatinHypercube`.
    """

    def __init__(
        self,
        n: int,
        ranges: Mapping[str, Any] | None = None,
        /,
        *,
        strength: int = 1,
        optimization: str | None = None,
        seed: int = 0,
        **params: Any,
    ) -> None:
        if strength not in (1, 2):
            raise PsyrunError(f"LatinHypercube: strength is {strength!r}; give 1 or 2.")
        if optimization not in _OPTIMIZATIONS:
            known = ", ".join(map(repr, _OPTIMIZATIONS))
            raise PsyrunError(
                f"LatinHypercube: optimization is {optimization!r}; give one of "
                f"{known}."
            )
        self._seed = whole_number("LatinHypercube", "the seed", seed, least=0)
        self._strength, self._optimization = int(strength), optimization
        super().__init__(n, ranges, params)

    @override
    def _unit_points(self, n: int, n_dimensions: int) -> Unit:
        if self._strength == 2:
            _check_strength_2(n, n_dimensions)
        if self._optimization == "lloyd":
            _check_lloyd(n, n_dimensions)
        how = {"strength": self._strength, "optimization": self._optimization}
        return _points(_engine("LatinHypercube", n_dimensions, self._seed, **how), n)

    @override
    def _options(self) -> Mapping[str, Any]:
        how = (self._optimization, None)
        return changed(
            strength=(self._strength, 1), optimization=how, seed=(self._seed, 0)
        )


def resized_hypercube(
    space: ParameterSpace, former: Iterable[ParameterSpace]
) -> tuple[int, int] | None:
    """Return the sizes of a Latin hypercube in former spaces and in a space.

    None if there is none, or it has the same size. Those of other sizes share no point.
    """
    before = {len(each) for other in former for each in _hypercubes(other)}
    for each in _hypercubes(space):
        if before and len(each) not in before:
            return max(before), len(each)
    return None


def _hypercubes(space: ParameterSpace) -> Iterator[LatinHypercube]:
    if isinstance(space, LatinHypercube):
        yield space
    elif is_a(space, Product) or is_a(space, Sum) or is_a(space, Zip):
        for operand in space.operands:
            yield from _hypercubes(operand)
    elif is_a(space, Selection) or is_a(space, Derived):
        yield from _hypercubes(space._space)


class Random(Design):
    """Points that are drawn independently of each other.

    They are computed when they are asked for, however many there are. The first points
    of a larger design are those of a smaller one with the same seed, and a parameter
    has the same values whatever other parameters there are.

    Parameters
    ----------
    n : int
        Number of points.
    ranges : mapping, optional
        As for `Sobol`.
    seed : int, default 0
        Another seed gives other points; it may be negative.
    **params
        As for `Sobol`.

    Raises
    ------
    PsyrunError
        If an argument is not as described.

    Notes
    -----
    The values of a parameter are those of a SplitMix64 generator (Steele, Lea and
    Flood, OOPSLA 2014), whose key is the BLAKE2b digest of the seed and the name.
    """

    def __init__(
        self,
        n: int,
        ranges: Mapping[str, Any] | None = None,
        /,
        *,
        seed: int = 0,
        **params: Any,
    ) -> None:
        self._seed = whole_number("Random", "the seed", seed)
        super().__init__(n, ranges, params)

    @override
    def _drawn(self, n: int, ranges: Mapping[str, Range]) -> Mapping[str, Column]:
        return {
            key: DrawnColumn(each, f"{self._seed} {key}", n)
            for key, each in ranges.items()
        }

    @override
    def _options(self) -> Mapping[str, Any]:
        return changed(seed=(self._seed, 0))


class DrawnColumn(Column):
    """Independent random values of a range, computed rather than held."""

    def __init__(self, values: Range, text: str, n: int) -> None:
        self._range, self._key, self.n_places = values, keys_of(text, 1)[0], n

    def __getitem__(self, row: int) -> Any:
        return self._values(np.array([row]))[0]

    @override
    def take(self, rows: Indices) -> NDArray[np.object_]:
        return as_objects(self._values(rows.reshape(-1))).reshape(rows.shape)

    @override
    def numbers(self, rows: Indices) -> NDArray[Any] | None:
        return as_numbers(self.take(rows.reshape(-1)))

    @override
    def held(self) -> NDArray[Any] | None:
        """Return values of all types that there are."""
        if isinstance(self._range, Choices):
            return self._range.column.held()
        return np.array(self._range.values(np.array([0.0, 0.5, 1 - 2.0**-53])))

    @override
    def literal(self) -> str | None:
        return None

    def __repr__(self) -> str:
        return repr(self._range)

    def _values(self, rows: Indices) -> Any:
        bits = mixed(rows.astype(np.uint64), self._key)
        return self._range.values((bits >> np.uint64(11)) * 2.0**-53)


class Grid(Product):
    """Every combination of values that are evenly spaced in their ranges.

    Parameters
    ----------
    n : int
        Number of values of each range. Of `integers` there are fewer if the range has
        not as many; of a list there are all values.
    ranges : mapping, optional
        As for `Sobol`.
    **params
        As for `Sobol`. Both ends of `uniform` and `log` are among the values; of
        `normal` they are the quantiles of (i + ½) / n.

    Raises
    ------
    PsyrunError
        If an argument is not as described.

    Examples
    --------
    >>> from psyrun.pspace import uniform, log
    >>> Grid(3, x=uniform(0, 1), rate=log(1e-5, 1e-1))
    Param(x=[0.0, 0.5, 1.0]) * Param(rate=[1e-05, 0.001, 0.1])
    """

    def __init__(
        self, n: int, ranges: Mapping[str, Any] | None = None, /, **params: Any
    ) -> None:
        n = whole_number("Grid", "the number of values", n, least=1)
        factors = (
            _axis(key, each, n)
            for key, each in ranges_of("Grid", ranges, params).items()
        )
        super().__init__(*factors)


def _axis(key: str, each: Range | Column, n: int) -> ParameterSpace:
    return Param(**{key: each.levels(n) if isinstance(each, Range) else each[0]})


def _engine(name: str, n_dimensions: int, seed: int, **options: Any) -> Any:
    kind = getattr(imported("scipy.stats.qmc", "designs", name), name)
    # Earlier versions of SciPy call it otherwise.
    key = "rng" if "rng" in inspect.signature(kind).parameters else "seed"
    try:
        return kind(n_dimensions, **{key: np.random.default_rng(seed)}, **options)
    except ValueError as error:
        raise PsyrunError(
            f"{name}: {n_dimensions} parameters: {error} Use Random."
        ) from error


def _points(engine: Any, n: int) -> Unit:
    with warnings.catch_warnings():
        # Of the number of points, which was told of.
        warnings.simplefilter("ignore", UserWarning)
        points: Unit = np.asarray(engine.random(n), dtype=np.float64)
    return points


def _check_strength_2(n: int, n_dimensions: int) -> None:
    root = math.isqrt(n)
    if root * root == n and _is_prime(root) and n_dimensions <= root + 1:
        return
    while not (root * root >= n and _is_prime(root) and n_dimensions <= root + 1):
        root += 1
    raise PsyrunError(
        f"LatinHypercube: there is no design of strength 2 with {n} points for "
        f"{n_dimensions} parameters; take {root * root} ({root}²), the next square "
        "of a prime number that has one."
    )


def _check_lloyd(n: int, n_dimensions: int) -> None:
    """Raise an error if there are too few points or dimensions for Voronoi cells."""
    if n_dimensions == 1:
        raise PsyrunError(
            "LatinHypercube: optimization 'lloyd' moves points in two or more "
            "dimensions; give another parameter a range, or leave it out."
        )
    if n <= n_dimensions:
        raise PsyrunError(
            f"LatinHypercube: {n} points are too few for optimization 'lloyd' with "
            f"{n_dimensions} parameters; take {n_dimensions + 1} or more, or leave it "
            "out."
        )


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % i for i in range(2, math.isqrt(number) + 1))
