"""What is said of the costs of a space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from psyrun.estimate.columns import Floats
from psyrun.pspace.columns import Indices
from psyrun.utils.ranges import Range


@dataclass(frozen=True)
class Extreme:
    """The assignment that costs most.

    Attributes
    ----------
    index : int
        Its place in the space.
    parameters : dict of str to object
        Its parameters.
    cost : Range
        What the most expensive one costs, in seconds or bytes, its noise included.
    """

    index: int
    parameters: Mapping[str, Any]
    cost: Range


@dataclass(frozen=True)
class Failure:
    """A pilot that did not succeed.

    Attributes
    ----------
    index : int
        Its place in the space.
    parameters : dict of str to object
        Its parameters.
    seconds : float
        How long it took.
    timed_out : bool
        Whether it was ended after that time.
    """

    index: int
    parameters: Mapping[str, Any]
    seconds: float
    timed_out: bool


@dataclass(frozen=True)
class Prediction:
    """What one kind of cost is predicted to be, in seconds or bytes.

    Attributes
    ----------
    fits : bool
        Whether the model describes the pilots. If not, these numbers are those of the
        pilots themselves, each standing for the part of the space that is nearest.
    reason : str
        Why the model does not fit; empty if it does.
    error : float
        Factor within which the model predicts pilots from the others, as root mean
        square of logarithms; nan if there are too few to tell.
    total : Range
        Sum over all assignments; those that are known count as they are.
    largest : Extreme
        The most expensive assignment.
    smallest : float
        What the cheapest assignment costs; of memory this is the base that all need.
    quantiles : dict of float to float
        Costs below which some part of the assignments are.
    smearing : float
        Factor from the median of the cost of an assignment to its mean.
    """

    fits: bool
    reason: str
    error: float
    total: Range
    largest: Extreme
    smallest: float
    quantiles: Mapping[float, float]
    smearing: float
    _medians: Callable[[Indices], Floats] = field(repr=False, compare=False)

    def medians(self, rows: Indices) -> Floats:
        """Return the middles of what assignments cost.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Indices in the space, none of them negative.
        """
        return self._medians(rows)

    def means(self, rows: Indices) -> Floats:
        """Return what assignments cost on average, which adds up to the total."""
        return self._medians(rows) * self.smearing


@dataclass(frozen=True)
class Estimate:
    """What the assignments of a space are predicted to cost.

    Attributes
    ----------
    n_assignments, n_pilots : int
        Number of points of the space, and of those that were evaluated with success.
    failures : tuple of Failure
        Pilots that failed.
    time : Prediction
        Seconds on one core.
    memory : Prediction or None
        Bytes; its `largest` is the peak. None if no pilot has told its memory.
    unseen : dict of str to int
        For each parameter without numbers how many of its values no successful pilot
        has, if there are such. Nothing but the spread of the others is known of them.
    """

    n_assignments: int
    n_pilots: int
    failures: tuple[Failure, ...]
    time: Prediction
    memory: Prediction | None
    unseen: Mapping[str, int]


@dataclass(frozen=True)
class NoEstimate:
    """Nothing can be said, since no pilot succeeded.

    Attributes
    ----------
    n_assignments : int
        Number of points of the space.
    failures : tuple of Failure
        Pilots that failed.
    """

    n_assignments: int
    failures: tuple[Failure, ...]
