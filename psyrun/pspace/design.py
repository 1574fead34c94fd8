"""What all designs share, which `psyrun.pspace.samplers` are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psyrun.errors import PsyrunError
from psyrun.pspace.choosing import whole_number
from psyrun.pspace.columns import Column, listed
from psyrun.pspace.param import arguments
from psyrun.pspace.ranges import Choices, Range, Unit, as_range
from psyrun.pspace.space import Table
from psyrun.utils.typing import override

_MOST_SHOWN = 6  # parameters
# Parameters of these names cannot be keyword arguments of a design.
_OPTIONS = frozenset({"seed", "scramble", "strength", "optimization"})


class Design(Table):
    """Points that are spread over ranges; a subclass says how."""

    def __init__(
        self, n: int, ranges: Mapping[str, Any] | None, params: Mapping[str, Any]
    ) -> None:
        self._title = type(self).__name__
        n = whole_number(self._title, "the number of points", n, least=1)
        self._ranges = ranges_of(self._title, ranges, params)
        varied = {k: r for k, r in self._ranges.items() if isinstance(r, Range)}
        columns = {k: c for k, c in self._ranges.items() if isinstance(c, Column)}
        columns |= self._drawn(n, varied)
        super().__init__({key: columns[key] for key in self._ranges}, n)

    def _drawn(self, n: int, ranges: Mapping[str, Range]) -> Mapping[str, Column]:
        unit = self._unit_points(n, len(ranges))
        return {
            key: listed(each.values(unit[:, i]))
            for i, (key, each) in enumerate(ranges.items())
        }

    def _unit_points(self, n: int, n_dimensions: int) -> Unit:
        """Return points of the unit cube, shape (n, n_dimensions)."""
        raise NotImplementedError

    def _options(self) -> Mapping[str, Any]:
        """Return the arguments by name that are not what they are by default."""
        return {}

    @override
    def literal(self) -> str | None:
        texts = {key: _literal(each) for key, each in self._ranges.items()}
        if None in texts.values() or not _OPTIONS.isdisjoint(texts):
            return None
        options = {key: repr(value) for key, value in self._options().items()}
        return f"{self._title}({len(self)}, {arguments({**texts, **options})})"

    @override
    def _summary(self) -> str:
        shown = [f"{key}={each!r}" for key, each in self._ranges.items()]
        more = ["..."] if len(shown) > _MOST_SHOWN else []
        described = ", ".join([*shown[:_MOST_SHOWN], *more])
        return f"<{self._title}{self._sized()}: {described}>"


def ranges_of(
    title: str, ranges: Mapping[str, Any] | None, params: Mapping[str, Any]
) -> dict[str, Range | Column]:
    """Return what each parameter may be: a range, or the column of a single value.

    Raises `PsyrunError`, which calls the design by `title`, if a parameter is given
    twice, its values are no range, or none of them is one.
    """
    given = dict(ranges or {})
    if twice := given.keys() & params.keys():
        raise PsyrunError(
            f"{title}: {', '.join(map(repr, sorted(twice)))} is given twice; give each "
            "parameter one range."
        )
    found = {key: as_range(title, key, v) for key, v in (given | {**params}).items()}
    if not any(isinstance(each, Range) for each in found.values()):
        raise PsyrunError(
            f"{title}: no parameter has a range; give one such as "
            "x=uniform(0, 1), or a list of values."
        )
    return found


def _literal(each: Range | Column) -> str | None:
    if isinstance(each, Choices):
        return each.column.literal()
    return each.literal() if isinstance(each, Column) else repr(each)


def changed(**options: tuple[Any, Any]) -> dict[str, Any]:
    """Return the options that are not as usual; each is a value and the usual one."""
    return {key: value for key, (value, usual) in options.items() if value != usual}
