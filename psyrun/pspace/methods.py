"""What is done with a space by calling its methods: choose, pair, derive, repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from psyrun.pspace.space import ParameterSpace


class SpaceMethods:
    """Methods that return new spaces. Each of them leaves its own space as it is."""

    def zip(self, other: ParameterSpace) -> ParameterSpace:
        """Pair each point with the point of another space at the same place.

        Parameters
        ----------
        other : ParameterSpace
            A space with other parameters that is as long; or one of the two has one
            point, which is paired with each of the other.

        Returns
        -------
        ParameterSpace
            The `i`-th point is ``{**self[i], **other[i]}``. It has one axis.

        Raises
        ------
        UnequalLengthsError
            If the lengths differ.
        PsyrunError
            If `other` is no space.
        AmbiguousOperationError
            If a parameter is in both spaces.

        Examples
        --------
        >>> from psyrun import Param
        >>> Param(a=[1, 2]).zip(Param(b=[3, 4])).build()
        {'a': [1, 2], 'b': [3, 4]}
        """
        from psyrun.pspace.derived import zipped

        return zipped(self._space_itself, other)

    def where(self, condition: Callable[..., Any]) -> ParameterSpace:
        """Keep the points for which a function is true, in their order.

        The function is called here, and not kept. Only the factors of a product that
        have its parameters are looked at, so that the size of the others does not
        matter. What is kept is a range, a list of numbers, or one bit per point.

        Parameters
        ----------
        condition : callable
            Takes parameters by their names and returns a bool, as in
            ``lambda n, m: n > m``. Where a point lacks a parameter it is nan. If all
            values are numbers it is called with arrays first, which hold the values of
            single points as objects. Some points are called one by one, too, and all
            of them if these give something else.

        Returns
        -------
        ParameterSpace
            The points that are left. If there are none, that is warned of.

        Raises
        ------
        PsyrunError
            If the function takes other parameters, raises, or does not return a bool;
            or if more than 10⁸ points had to be looked at.

        Examples
        --------
        >>> from psyrun import Param
        >>> space = Param(n=[1, 2, 3]) * Param(m=[1, 2])
        >>> space.where(lambda n, m: n > m).build()
        {'n': [2, 3, 3], 'm': [1, 1, 2]}
        """
        from psyrun.pspace.choosing import filtered

        return filtered(self._space_itself, condition)

    def derive(self, /, **functions: Callable[..., Any]) -> ParameterSpace:
        """Add parameters that are computed from others.

        Parameters
        ----------
        **functions : callable
            For each new parameter a function that takes parameters by their names,
            also new ones that stand before it. It is called with one point at a time,
            when the value is asked for, and for no point that is not in the space.
            What is pickled are the values of the points.

        Returns
        -------
        ParameterSpace
            The same points, each with the new parameters. These stand after the
            parameters of the factors that they are computed from. A parameter that
            depends on one axis is a coordinate of that axis.

        Raises
        ------
        PsyrunError
            If a function takes other parameters, and when it raises.
        AmbiguousOperationError
            If the space has a parameter of that name.

        Examples
        --------
        >>> from psyrun import Param
        >>> Param(n=[2, 3]).derive(k=lambda n: n**2, kk=lambda k: -k).build()
        {'n': [2, 3], 'k': [4, 9], 'kk': [-4, -9]}
        """
        from psyrun.pspace.derived import derived

        return derived(self._space_itself, functions)

    def sample(self, n: int, *, seed: int = 0) -> ParameterSpace:
        """Draw different points at random.

        These are the first `n` of `shuffle` with the same seed: a sample of more
        points begins with those of a smaller one. It takes the same time and memory
        from 10 points as from 10¹².

        Parameters
        ----------
        n : int
            Number of points, at most ``len(self)``.
        seed : int, default 0
            Another seed gives other points. The same seed gives the same ones on each
            machine, and with each version of Python and NumPy.

        Returns
        -------
        ParameterSpace
            Points in random order. Equal points of the space may all be drawn.

        Raises
        ------
        PsyrunError
            If there are fewer points, or `n` or `seed` is no whole number.

        Examples
        --------
        >>> from psyrun import Param
        >>> huge = Param(a=range(10**6)) * Param(b=range(10**6))
        >>> huge.sample(2, seed=1)[0] == huge.sample(1000, seed=1)[0]
        True
        """
        from psyrun.pspace.choosing import sampled

        return sampled(self._space_itself, n, seed)

    def shuffle(self, *, seed: int = 0) -> ParameterSpace:
        """Put the points in a random order, which is computed place by place.

        Parameters
        ----------
        seed : int, default 0
            Another seed gives another order; the names of the parameters and the
            number of points count, too. See `sample`.

        Returns
        -------
        ParameterSpace
            All points. Its axes are those of this space.

        Raises
        ------
        PsyrunError
            If the seed is no whole number.

        Notes
        -----
        :mod:`psyrun.pspace.permutation` has the formula and its sources.

        Examples
        --------
        >>> from psyrun import Param
        >>> sorted(Param(a=range(5)).shuffle(seed=3).build()["a"])
        [0, 1, 2, 3, 4]
        """
        from psyrun.pspace.choosing import shuffled

        return shuffled(self._space_itself, seed)

    def repeat(self, n: int) -> ParameterSpace:
        """Repeat each point, one repeat after the other.

        Parameters
        ----------
        n : int
            How often each point occurs, 1 or more.

        Returns
        -------
        ParameterSpace
            The `i`-th point is ``self[i // n]``. Equal points are separate
            assignments. Multiply by `replicates` where the function is to have random
            numbers of its own for each of them, or to know which it is.

        Raises
        ------
        PsyrunError
            If `n` is no whole number, or less than 1.

        Examples
        --------
        >>> from psyrun import Param
        >>> Param(a=[1, 2]).repeat(2).build()
        {'a': [1, 1, 2, 2]}
        """
        from psyrun.pspace.choosing import repeated

        return repeated(self._space_itself, n)

    @property
    def _space_itself(self) -> ParameterSpace:
        return cast("ParameterSpace", self)
