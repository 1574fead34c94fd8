"""Which objects of a file each of its statements may change.

Functions of other modules, and builtins, are taken not to change what they are
given, or else hardly any statement could be told apart from the rest.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from psyrun.fingerprint.names import Change, Names, root_name

_CHANGING_BUILTINS = frozenset({"setattr", "delattr"})
_COLLECTIONS = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.IfExp, ast.BoolOp)
_PLAIN_VALUES = (ast.Constant, ast.JoinedStr, ast.UnaryOp)


class Part(NamedTuple):
    """A statement and the names that it deals with.

    Attributes
    ----------
    node : ast.stmt
        The statement.
    names : Names
        Its names.
    """

    node: ast.stmt
    names: Names


def own_names(names: Iterable[Names]) -> set[str]:
    """Return the names that a file binds otherwise than by imports.

    Parameters
    ----------
    names : iterable of Names
        Those of its statements.

    Returns
    -------
    set of str
        The names.
    """
    return {n for each in names for n in (each.bound - each.imported) | each.declared}


def changed_names(parts: list[Part]) -> list[set[str]]:
    """Return which objects of the file each statement may change.

    Parameters
    ----------
    parts : list of Part
        All statements of the file.

    Returns
    -------
    list of set of str
        For each statement the names of objects that it may change itself, by
        a function that it calls, or under another name of theirs.
    """
    own = own_names(part.names for part in parts)
    deferred = _deferred(parts)
    aliases = _aliases(parts, own)
    return [_changed(part, own, deferred, aliases) for part in parts]


def _changed(
    part: Part,
    own: set[str],
    deferred: Mapping[str, set[Change]],
    aliases: Mapping[str, set[str]],
) -> set[str]:
    changes = set(part.names.changed)
    if not isinstance(part.node, ast.FunctionDef | ast.AsyncFunctionDef):
        changes |= part.names.deferred
    for name in part.names.used:
        changes |= deferred.get(name, set())
    return _reached(
        {name for name, by in changes if _is_change(name, by, own)}, aliases
    )


def _is_change(name: str, by: str | None, own: set[str]) -> bool:
    return name in own and (by is None or by in own or by in _CHANGING_BUILTINS)


def _deferred(parts: list[Part]) -> dict[str, set[Change]]:
    """Return for each name what a call of it may change, also indirectly."""
    changes: dict[str, set[Change]] = {}
    calls: dict[str, set[str]] = {}
    for part in parts:
        for name in part.names.bound:
            changes.setdefault(name, set()).update(part.names.deferred)
            calls.setdefault(name, set()).update(part.names.used)
    return {
        name: {
            c for reached in _reached({name}, calls) for c in changes.get(reached, ())
        }
        for name in changes
    }


def _reached(start: set[str], edges: Mapping[str, set[str]]) -> set[str]:
    """Return the nodes of a graph that can be reached."""
    seen: set[str] = set()
    todo = list(start)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(edges.get(name, ()))
    return seen


def _aliases(parts: list[Part], own: set[str]) -> dict[str, set[str]]:
    """Return for each name those whose objects it may hold."""
    pairs = [pair for part in parts for pair in _assignments(part.node)]
    constant = own - {
        name
        for target, value in pairs
        if not isinstance(value, _PLAIN_VALUES)
        for name in _targets(target)
    }
    aliases: dict[str, set[str]] = {}
    for target, value in pairs:
        held = set(_held(value, own)) & own - constant
        for name in _targets(target):
            aliases.setdefault(name, set()).update(held)
    return aliases


def _assignments(node: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    for child in ast.walk(node):
        match child:
            case ast.Assign(targets=targets, value=value):
                yield from ((target, value) for target in targets)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield target, value
            case ast.NamedExpr(target=target, value=value):
                yield target, value
            case ast.For(target=target, iter=value):
                yield target, value
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                yield target, value


def _targets(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _targets(element)
    elif name := root_name(target):
        yield name


def _held(value: ast.expr, own: set[str]) -> Iterator[str]:
    """Yield the names whose objects are part of a value, as far as is known."""
    if isinstance(value, _COLLECTIONS):
        children = list(ast.iter_child_nodes(value))
    elif isinstance(value, ast.NamedExpr):
        children = [value.value]
    elif isinstance(value, ast.Call) and root_name(value.func) in own:
        children = [*value.args, *(keyword.value for keyword in value.keywords)]
        children.append(value.func)
    else:
        children = []
        if name := root_name(value):
            yield name
    for child in children:
        if isinstance(child, ast.expr):
            yield from _held(child, own)
