"""Points of one space, found in another by how the two are made.

What is found for a point is the first equal point of the other space. A product is
searched factor by factor: each value of a factor is looked up once, and arithmetic
gives the rows. A sum is searched term by term, and a slice or difference in the space
that it is a part of. Only what has no structure is compared row by row.

Keys that a space lacks are nan there. Values are equal as in
`psyrun.pspace.equality`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from psyrun.pspace.columns import RangeColumn
from psyrun.pspace.equality import equal_rows
from psyrun.pspace.finders import (
    AmongCombinations,
    AmongSelected,
    AmongSteps,
    AmongTerms,
    Finder,
    Keys,
    OfSelection,
    OfTerms,
    Part,
    Reversed,
    RowByRow,
    Same,
    count_distinct,
    strides_of,
)
from psyrun.pspace.rows import are_all_different, listed_rows
from psyrun.pspace.space import (
    ParameterSpace,
    Product,
    Selection,
    Sum,
    Table,
    is_a,
)

_FEW = 256  # points of a term that are no matter
_MOST_TERMS = 64  # beyond, pairs of terms take longer than comparing rows


def finder(new: ParameterSpace, old: ParameterSpace, keys: Sequence[str]) -> Finder:
    """Return what finds the points of one space in another by some keys.

    Parameters
    ----------
    new : ParameterSpace
        The space whose points are to be found.
    old : ParameterSpace
        The space in which they are.
    keys : sequence of str
        The parameters that are compared; one that a space lacks is nan there. Without
        keys all points are equal.

    Returns
    -------
    Finder
        What finds them.

    Raises
    ------
    PsyrunError
        If values cannot be compared. It is raised when they are compared, which may be
        here or in a method of the finder.
    """
    if not (len(new) and len(old) and keys):
        return Same(len(new), 0 if len(old) else -1)
    return _finder(new, old, tuple(keys))


def _finder(new: ParameterSpace, old: ParameterSpace, keys: Keys) -> Finder:
    if not (len(new) and len(old)):
        return Same(len(new), -1)
    if (terms := _terms(new)) is not None:
        return OfTerms([_finder(term, old, keys) for term in terms])
    if is_a(new, Selection) and is_structured(new):
        whole, rows = new.selected()
        return OfSelection(_finder(whole, old, keys), rows)
    if (terms := _terms(old)) is not None:
        return _among_terms(new, terms, keys)
    if is_a(old, Selection) and is_structured(old):
        return _among_selected(new, old, keys)
    if is_a(old, Product):
        return _among_combinations(_factors(new), old.operands, keys)
    if is_a(new, Product):
        first = first_equals(new, keys)
        return Reversed(len(new), _finder(old, new, keys).all(), first)
    if len(keys) == 1 and (steps := _steps(old, keys[0])) is not None:
        return AmongSteps(new, old, keys[0], steps)
    return RowByRow(new, old, keys)


def _among_terms(
    new: ParameterSpace, terms: Sequence[ParameterSpace], keys: Keys
) -> Finder:
    sizes = [len(term) for term in terms]
    return AmongTerms(len(new), sizes, lambda i: _finder(new, terms[i], keys))


def _among_selected(new: ParameterSpace, old: ParameterSpace, keys: Keys) -> Finder:
    whole, rows = old.selected()
    found = _finder(new, whole, keys)
    return AmongSelected(found, rows, len(whole), first_equals(whole, keys))


def _among_combinations(
    new: Sequence[ParameterSpace], old: Sequence[ParameterSpace], keys: Keys
) -> Finder:
    """Return what finds combinations of some factors among those of others."""
    parts = []
    strides = strides_of([len(factor) for factor in old])
    for factor, stride in zip(old, strides, strict=True):
        if wanted := tuple(key for key in keys if key in factor._keys):
            parts.append(_part(new, factor, wanted, stride))
    known = {key for factor in old for key in factor._keys}
    if lacking := tuple(key for key in keys if key not in known):
        parts.append(_part(new, Table({}, 1), lacking, 1))
    return AmongCombinations([len(factor) for factor in new], parts)


def _part(
    new: Sequence[ParameterSpace], factor: ParameterSpace, keys: Keys, stride: int
) -> Part:
    own = tuple(i for i, f in enumerate(new) if set(keys) & {*f._keys})
    return Part(own, stride, _finder(_product([new[i] for i in own]), factor, keys))


def is_structured(space: ParameterSpace) -> bool:
    """Whether anything can be found faster than by comparing rows."""
    if is_a(space, Selection):
        return is_structured(space.selected()[0])
    return is_a(space, Product) or _terms(space) is not None


def are_different(space: ParameterSpace, keys: Sequence[str]) -> bool:
    """Whether no two points of a space are equal in some keys."""
    own = tuple(key for key in keys if key in space._keys)
    if len(space) <= 1 or not own:
        return len(space) <= 1
    if is_a(space, Product):
        return all(are_different(factor, own) for factor in space.operands)
    if is_a(space, Selection) and is_structured(space):
        return _are_selected_different(space, own)
    if (terms := _terms(space)) is not None:
        return _are_terms_different(terms, own)
    if any(_steps(space, key) is not None for key in own):
        return True
    return count_distinct(equal_rows([space], own)[0]) == len(space)


def _are_selected_different(space: ParameterSpace, keys: Keys) -> bool:
    whole, rows = space.selected()
    if are_all_different(rows) and are_different(whole, keys):
        return True
    rows = listed_rows(rows)
    first = first_equals(whole, keys)
    classes = rows if first is None else first.many(rows)
    return count_distinct(classes) == len(rows)


def _are_terms_different(terms: Sequence[ParameterSpace], keys: Keys) -> bool:
    if not all(are_different(term, keys) for term in terms):
        return False
    by_size = sorted(terms, key=len)
    return not any(
        _finder(one, other, keys).count()
        for i, one in enumerate(by_size)
        for other in by_size[i + 1 :]
    )


def count_different(space: ParameterSpace, keys: Keys) -> int:
    """Return how many points differ from each other in some keys.

    A product is not listed for that.
    """
    own = tuple(key for key in keys if key in space._keys)
    if not own:
        return min(len(space), 1)
    if is_a(space, Product):
        return math.prod(count_different(factor, own) for factor in space.operands)
    first = first_equals(space, own)
    return len(space) if first is None else count_distinct(first.all())


def first_equals(space: ParameterSpace, keys: Keys) -> Finder | None:
    """Return what finds the first equal point of the same space.

    None if no two are equal.
    """
    return None if are_different(space, keys) else _finder(space, space, keys)


def _terms(space: ParameterSpace) -> list[ParameterSpace] | None:
    """Return the terms of a sum, of which small ones that are neighbours are one.

    None if the space is no sum, or it is not worth the effort.
    """
    if not is_a(space, Sum):
        return None
    found: list[ParameterSpace] = []
    for is_small, terms in groupby(space.operands, _is_small):
        neighbours = list(terms)
        found += [Sum(*neighbours)] if is_small else neighbours
    return found if 1 < len(found) <= _MOST_TERMS else None


def _is_small(term: ParameterSpace) -> bool:
    return len(term) <= _FEW or not is_structured(term)


def _factors(space: ParameterSpace) -> tuple[ParameterSpace, ...]:
    return space.operands if is_a(space, Product) else (space,)


def _product(factors: Sequence[ParameterSpace]) -> ParameterSpace:
    if not factors:
        return Table({}, 1)
    return factors[0] if len(factors) == 1 else Product(*factors)


def _steps(space: ParameterSpace, key: str) -> range | None:
    """Return the values of a key if they are a range."""
    column = space._columns.get(key) if is_a(space, Table) else None
    return column.steps if isinstance(column, RangeColumn) else None
