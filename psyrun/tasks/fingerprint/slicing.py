"""The part of a task file on which its results depend.

A statement belongs to that part if

- it binds or may change a name that the results depend on, or
- it may have an effect of its own, such as seeding random numbers, unless all
  it does is to prepare a variable that only says how to run the task.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from functools import cached_property

from psyrun.tasks.config import FORMER_SPELLING, SPECIAL
from psyrun.tasks.fingerprint.canonical import canonical, is_noise
from psyrun.tasks.fingerprint.effects import (
    Inert,
    NamedStatement,
    changed_names,
    has_own_effect,
    only_checks,
    own_names,
)
from psyrun.tasks.fingerprint.harmless import Harmless
from psyrun.tasks.fingerprint.names import DYNAMIC, NameUse, names_of

DECISIVE = frozenset(n for n, special in SPECIAL.items() if special.makes_rows)
"""Special variables that results depend on."""
SPACE = frozenset({"pspace"})
"""Those that say which assignments there are."""
CODE = DECISIVE - SPACE
"""Those that say what the result of an assignment is."""
INCIDENTAL = frozenset(SPECIAL) - DECISIVE | {FORMER_SPELLING}
"""Special variables that say how to run a task; `file_dep` counts by content."""

_MAIN_TESTS = frozenset(
    canonical(ast.parse(test).body)
    for test in ("__name__ == '__main__'", "'__main__' == __name__")
)


@dataclass(eq=False)
class _Leaf:
    """A statement that is kept or left out as a whole."""

    node: ast.stmt
    names: NameUse
    inert: bool
    targets: set[str] = field(default_factory=set)


@dataclass(eq=False)
class _Branch:
    """An if statement, whose parts are kept or left out one by one."""

    node: ast.If
    body: list[_Leaf | _Branch]
    orelse: list[_Leaf | _Branch]


@dataclass(frozen=True)
class _Incidental:
    """Names that do not matter, and whether checks of what is made of them do."""

    names: Set[str]
    checks_count: bool


class Sliceable:
    """Statements of a file, of which those are taken that some names depend on."""

    def __init__(
        self, statements: Iterable[ast.stmt], is_own: Callable[[ast.stmt], bool]
    ) -> None:
        found = list(statements)
        inert = Inert(is_own, Harmless(found, is_own))
        self._tree = _grow(found, NameUse(), inert)
        self._leaves = list(_leaves(self._tree))
        self._is_own = is_own

    def slice(
        self,
        needed: Iterable[str],
        incidental: Set[str] = frozenset(),
        *,
        checks: bool = False,
    ) -> list[ast.stmt]:
        """Return the statements on which names depend, and those with an effect.

        What only prepares names that are `incidental` is taken to have none, and unless
        `checks` count, neither has what only checks or prints what is made of these.
        """
        names = _Incidental(incidental, checks)
        targets = self._targets if checks or not incidental else self._all_targets
        for leaf, found in zip(self._leaves, targets, strict=True):
            leaf.targets = found
        kept = _kept(self._leaves, set(needed), names)
        return _prune(self._tree, kept)

    @cached_property
    def _targets(self) -> list[set[str]]:
        return self._find_targets(frozenset())

    @cached_property
    def _all_targets(self) -> list[set[str]]:
        """The same, if functions of own modules may change what they are given."""
        functions = {
            name
            for leaf in self._leaves
            if leaf.names.imported and self._is_own(leaf.node)
            for name in leaf.names.imported
        }
        return self._find_targets(functions) if functions else self._targets

    def _find_targets(self, functions: Set[str]) -> list[set[str]]:
        """Return for each leaf the names that it binds, or whose objects it changes."""
        parts = [NamedStatement(leaf.node, leaf.names) for leaf in self._leaves]
        changed = changed_names(parts, functions)
        return [part.names.bound | c for part, c in zip(parts, changed, strict=True)]

    def slice_special(self, names: Set[str]) -> list[ast.stmt]:
        """Return the statements of a task file that some special variables depend on.

        They keep their order, except that neighbouring imports are sorted. Imports are
        reduced to the names that count, if statements to their statements that count.
        """
        # Rows of earlier versions of psyrun are known by what counted for these.
        checks = names == DECISIVE
        return self.slice(names, (DECISIVE | INCIDENTAL) - names, checks=checks)


def without_main_block(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module that run when it is imported."""
    for statement in statements:
        if isinstance(statement, ast.If) and _is_main(statement.test):
            yield from without_main_block(statement.orelse)
        else:
            yield statement


def _is_main(test: ast.expr) -> bool:
    return canonical([ast.Expr(test)]) in _MAIN_TESTS


def _grow(
    statements: Iterable[ast.stmt], guard: NameUse, inert: Inert
) -> list[_Leaf | _Branch]:
    tree: list[_Leaf | _Branch] = []
    for statement in without_main_block(statements):
        if isinstance(statement, ast.If) and inert.harmless.is_type_checking(
            statement.test
        ):
            tree += _grow(statement.orelse, guard, inert)
        elif isinstance(statement, ast.If) and not _binds(statement.test):
            inner = names_of(statement.test)
            inner.used |= guard.used
            body = _grow(statement.body, inner, inert)
            orelse = _grow(statement.orelse, inner, inert)
            tree.append(_Branch(statement, body, orelse))
        elif not is_noise(statement):
            tree += [_leaf(node, guard, inert) for node in _split_import(statement)]
    return tree


def _binds(expression: ast.expr) -> bool:
    return any(isinstance(node, ast.NamedExpr) for node in ast.walk(expression))


def _split_import(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield one statement for every name that an import binds."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield ast.copy_location(ast.Import(names=[alias]), node)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            single = ast.ImportFrom(node.module, [alias], node.level)
            yield ast.copy_location(single, node)
    else:
        yield node


def _leaf(node: ast.stmt, guard: NameUse, inert: Inert) -> _Leaf:
    names = names_of(node)
    names.used |= guard.used
    names.changed |= guard.changed
    return _Leaf(node, names, inert.has(node))


def _leaves(tree: Iterable[_Leaf | _Branch]) -> Iterator[_Leaf]:
    for item in tree:
        if isinstance(item, _Leaf):
            yield item
        else:
            yield from _leaves(item.body)
            yield from _leaves(item.orelse)


def _kept(leaves: list[_Leaf], needed: set[str], incidental: _Incidental) -> set[_Leaf]:
    kept: set[_Leaf] = set()
    while True:
        new = {leaf for leaf in leaves if leaf not in kept and leaf.targets & needed}
        if not new:
            rest = [leaf for leaf in leaves if leaf not in kept]
            new = _with_effect(rest, leaves, incidental)
        if not new:
            return kept
        kept |= new
        needed = needed.union(*(leaf.names.used for leaf in new))
        if DYNAMIC in needed:
            return set(leaves)


def _with_effect(
    rest: list[_Leaf], leaves: list[_Leaf], incidental: _Incidental
) -> set[_Leaf]:
    """Return those of the `rest` that do more than to prepare incidental names."""
    active = {leaf for leaf in rest if not leaf.inert}
    if not active or not incidental.names:
        return active
    return active - _without_effect(rest, leaves, incidental)


def _without_effect(
    rest: list[_Leaf], leaves: list[_Leaf], incidental: _Incidental
) -> set[_Leaf]:
    """Return those of the `rest` that only prepare incidental names."""
    names = incidental.names
    readers = _readers(rest, leaves, names)
    own = own_names([leaf.names for leaf in leaves])
    found = {leaf for leaf in rest if not has_own_effect(leaf.node, own)}
    checks: set[_Leaf] = set()
    if not incidental.checks_count:
        checks = _checks(rest, found, names, own)
    while lost := {
        leaf
        for leaf in found
        if not _only_prepares(leaf, found | checks, readers, names)
    }:
        found -= lost
    return found | checks


def _checks(
    rest: list[_Leaf], quiet: set[_Leaf], names: Set[str], own: Set[str]
) -> set[_Leaf]:
    """Return those of the `rest` that check or print what is made of some names."""
    made = set(names)
    while new := {
        name for leaf in quiet if leaf.names.used & made for name in leaf.targets - made
    }:
        made |= new
    return {
        leaf
        for leaf in rest
        if leaf.names.used & made and only_checks(leaf.node, made, own)
    }


def _readers(
    rest: list[_Leaf], leaves: list[_Leaf], names: Set[str]
) -> dict[str, set[_Leaf]]:
    """Return who reads each name, without definitions that nobody uses."""
    idle = {leaf for leaf in rest if leaf.inert and not leaf.targets & names}
    while True:
        readers: dict[str, set[_Leaf]] = {}
        for leaf in leaves:
            for name in leaf.names.used if leaf not in idle else ():
                readers.setdefault(name, set()).add(leaf)
        used = {leaf for leaf in idle if leaf.targets & readers.keys()}
        if not used:
            return readers
        idle -= used


def _only_prepares(
    leaf: _Leaf,
    incidental: set[_Leaf],
    readers: dict[str, set[_Leaf]],
    names: Set[str],
) -> bool:
    """Tell whether all that a leaf makes is incidental, or read by such leaves."""
    others = {name: readers.get(name, set()) - {leaf} for name in leaf.targets}
    read = {name: others[name] for name in others if others[name] or name in names}
    return bool(read) and all(
        name in names or by <= incidental for name, by in read.items()
    )


def _prune(tree: Iterable[_Leaf | _Branch], kept: set[_Leaf]) -> list[ast.stmt]:
    statements: list[ast.stmt] = []
    for item in tree:
        if isinstance(item, _Branch):
            body, orelse = _prune(item.body, kept), _prune(item.orelse, kept)
            if body or orelse:
                statements.append(ast.If(item.node.test, body, orelse))
        elif item in kept:
            statements.append(item.node)
    return _with_sorted_imports(statements)


def _with_sorted_imports(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Sort neighbouring imports, which is formatting unless a name occurs twice."""
    result: list[ast.stmt] = []
    block: list[ast.stmt] = []
    for statement in [*statements, ast.Pass()]:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            block.append(statement)
        else:
            result += _sorted_imports(block)
            result.append(statement)
            block = []
    return result[:-1]


def _sorted_imports(block: list[ast.stmt]) -> list[ast.stmt]:
    bound = [name for node in block for name in sorted(names_of(node).bound)]
    if len(set(bound)) < len(bound) or "*" in bound:
        return block
    return sorted(block, key=lambda node: canonical([node]))
