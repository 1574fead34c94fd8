"""Conditions on parameters, and how they are worded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import visible
from psyrun.results.rules.counts import Box
from psyrun.results.rules.levels import Variable
from psyrun.utils.text import shortened, text_of, value_text

_LONGEST = 40  # characters of a value
_LONG_NUMBER = 6  # characters, from which on a threshold is rounded
_MOST_DIGITS = 17
_MEANT_DIGITS = 12
_WORD = re.compile(r"[^\W\d][\w./:+-]*")
_OTHER_VALUES = {"None", "True", "False", "nan", "inf", "given"}


@dataclass(frozen=True)
class Condition:
    """The levels of a parameter from `first` to `last`, as numbered by `Variable`."""

    variable: Variable
    first: int
    last: int

    def at_places(self) -> NDArray[np.bool_]:
        """Return at which places along the axis of its parameter it is true."""
        levels = self.variable.of_place
        return (levels >= self.first) & (levels <= self.last)

    @property
    def rank(self) -> tuple[int, int, int]:
        """What tells conditions of a grid apart."""
        return id(self.variable), self.first, self.last

    @property
    def text(self) -> str:
        """The condition in words, such as ``n ≥ 512`` or ``solver = rk4``."""
        of, first, last = self.variable, self.first, self.last
        if first == last and not of.is_coarse:
            if first == of.not_given:
                return f"{of.key} not given"
            return f"{of.key} = {shown(of.values[first])}"
        if (first, last) == (0, of.n_levels - 2) and of.not_given > last:
            return f"{of.key} given"
        highest = of.values if of.highest is None else of.highest
        if first == 0:
            above = of.values[last + 1] if last + 1 < of.n_ordered else math.inf
            limit = _between(highest[last], above, is_upper=True)
            return f"{of.key} ≤ {limit}"
        limit = _between(highest[first - 1], of.values[first], is_upper=False)
        return f"{of.key} ≥ {limit}"


def box_of(conditions: Iterable[Condition]) -> Box:
    """Return the places along axes at which all conditions are true."""
    box: dict[int, NDArray[np.bool_]] = {}
    for condition in conditions:
        axis, is_in = condition.variable.axis, condition.at_places()
        box[axis] = box[axis] & is_in if axis in box else is_in
    return box


def shown(value: Any) -> str:
    """Return a value in a few characters; text without quotes where it is a word."""
    if isinstance(value, str):
        is_plain = _WORD.fullmatch(value) and value not in _OTHER_VALUES
        text = str(value) if is_plain else text_of(value)
    elif isinstance(value, float):
        # Those such as 0.1 + 0.2 are meant to be shorter.
        text = text_of(float(f"{value:.{_MEANT_DIGITS}g}"))
    else:
        text = value_text(value)
    return shortened(" ".join(visible(text).split()), _LONGEST)


def _between(below: Any, above: Any, *, is_upper: bool) -> str:
    """Return the shortest number that is as good a limit as one of two levels.

    It is at least `below` and less than `above` if it is an upper limit, else more than
    `below` and at most `above`.
    """
    own = below if is_upper else above
    text = shown(own)
    if not isinstance(own, float | np.floating) or len(text) <= _LONG_NUMBER:
        return text
    low, high = float(below), float(above)
    if not math.isfinite(low) or high == low:
        return text
    for digits in range(1, _MOST_DIGITS):
        number = float(f"{float(own):.{digits}g}")
        if (low <= number < high) if is_upper else (low < number <= high):
            return text_of(number)
    return text
