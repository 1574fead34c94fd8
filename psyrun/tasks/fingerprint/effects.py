"""Which objects of a file each of its statements may change.

Functions of other modules, and builtins, are taken not to change what they are
given, or else hardly any statement could be told apart from the rest. Those of the
project's own modules may change objects of the file, but none that are imported.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple

from psyrun.tasks.fingerprint.canonical import is_noise
from psyrun.tasks.fingerprint.harmless import Harmless, is_accessor
from psyrun.tasks.fingerprint.names import Change, NameUse, root_name
from psyrun.tasks.fingerprint.nodes import nodes_of

_CHANGING_BUILTINS = frozenset({"setattr", "delattr"})
_COLLECTIONS = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.IfExp, ast.BoolOp)
_PLAIN_VALUES = (ast.Constant, ast.JoinedStr, ast.UnaryOp)
_ACTIVE = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_BINDING = (
    ast.Import,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Global,
)
# What may be called to look at something.
_LOOKING = frozenset(
    {"abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "isinstance"}
    | {"len", "list", "max", "min", "print", "range", "repr", "round", "set", "sorted"}
    | {"str", "sum", "tuple", "type", "zip"}
    | {
        name
        for name, kind in vars(builtins).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
)
_HARMLESS = sys.stdlib_module_names | {"psyrun"}


class NamedStatement(NamedTuple):
    """A statement and the names that it deals with."""

    node: ast.stmt
    names: NameUse


def own_names(names: Iterable[NameUse]) -> set[str]:
    """Return the names that a file binds otherwise than by imports."""
    return {n for each in names for n in (each.bound - each.imported) | each.declared}


def changed_names(
    parts: list[NamedStatement], functions: Set[str] = frozenset()
) -> list[set[str]]:
    """Return for each statement of a file the names of objects that it may change.

    It may do so itself, by a function that it calls, or under another name of
    theirs. Of what is imported, only `functions` may change what they are given.
    """
    own = own_names(part.names for part in parts)
    deferred = _deferred(parts)
    aliases = _aliases(parts, own, functions)
    changing = _Changing(own, functions, _plain_names(parts) if functions else set())
    return [_changed(part, changing, deferred, aliases) for part in parts]


class _Changing(NamedTuple):
    """Who may change objects that have `own` names; no others change `plain` ones."""

    own: set[str]
    functions: Set[str]
    plain: set[str]

    def may(self, name: str, by: str | None) -> bool:
        if name not in self.own:
            return False
        if by is None or by in self.own or by in _CHANGING_BUILTINS:
            return True
        return by in self.functions and name not in self.plain


def _changed(
    part: NamedStatement,
    changing: _Changing,
    deferred: Mapping[str, set[Change]],
    aliases: Mapping[str, set[str]],
) -> set[str]:
    changes = set(part.names.changed)
    if not isinstance(part.node, ast.FunctionDef | ast.AsyncFunctionDef):
        changes |= part.names.deferred
    for name in part.names.used:
        changes |= deferred.get(name, set())
    return _reached({name for name, by in changes if changing.may(name, by)}, aliases)


def _plain_names(parts: list[NamedStatement]) -> set[str]:
    """Return the names of numbers and texts, which nobody can change in place."""
    pairs = [pair for part in parts for pair in _assignments(part.node)]
    plain, others = set[str](), set[str]()
    for target, value in pairs:
        found = plain if isinstance(value, _PLAIN_VALUES) else others
        found.update(_targets(target))
    return plain - others


def _deferred(parts: list[NamedStatement]) -> dict[str, set[Change]]:
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


def _aliases(
    parts: list[NamedStatement], own: set[str], functions: Set[str]
) -> dict[str, set[str]]:
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
        held = set(_held(value, own | functions)) & own - constant
        for name in _targets(target):
            aliases.setdefault(name, set()).update(held)
    return aliases


def _assignments(node: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    for child in nodes_of([node]):
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


@dataclass(frozen=True)
class Inert:
    """Which statements only bind names, without running any code that matters.

    So do definitions, constants, and imports of psyrun or the standard library; an
    import binds a single name, and `is_own` tells whether it is the project's. None
    that is in doubt is among them. `body` is that of the class around, if any.
    """

    is_own: Callable[[ast.stmt], bool]
    harmless: Harmless
    body: Sequence[ast.stmt] = ()

    def has(self, node: ast.stmt) -> bool:
        """Whether a statement, at module level or in a class, is one of them."""
        passive = self._is_passive
        match node:
            case ast.Import() | ast.ImportFrom():
                return _is_harmless_import(node) and not self.is_own(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                defaults = [*node.args.defaults, *node.args.kw_defaults]
                return self._are_decorators(node) and all(map(passive, defaults))
            case ast.ClassDef():
                return self._is_class(node)
            case ast.Assign():
                return passive(node.value) and all(map(_is_plain, node.targets))
            case ast.AnnAssign():
                return passive(node.value) and _is_plain(node.target)
            case ast.Delete():
                return all(map(_is_plain, node.targets))
            case ast.Try():
                handled = [child for handler in node.handlers for child in handler.body]
                inner = [*node.body, *handled, *node.orelse, *node.finalbody]
                return self._has_all(inner)
            case ast.Expr():
                return _is_idle(node.value)
        return isinstance(node, ast.Global) or _is_type_alias(node)

    def _is_class(self, node: ast.ClassDef) -> bool:
        is_inert = (
            self._are_decorators(node)
            and self.harmless.bases(node)
            and replace(self, body=node.body)._has_all(node.body)
        )
        if is_inert:
            self.harmless.add_class(node)
        return is_inert

    def _has_all(self, nodes: Iterable[ast.stmt]) -> bool:
        return all(is_noise(node) or self.has(node) for node in nodes)

    def _are_decorators(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    ) -> bool:
        return all(
            is_accessor(each, self.body)
            or (self.harmless.decorator(each) and self._has_passive_arguments(each))
            for each in node.decorator_list
        )

    def _has_passive_arguments(self, node: ast.expr) -> bool:
        return not isinstance(node, ast.Call) or _are_passive(
            [*node.args, *(keyword.value for keyword in node.keywords)],
            self.harmless.call,
        )

    def _is_passive(self, node: ast.expr | None) -> bool:
        return node is None or _are_passive([node], self.harmless.call)


def has_own_effect(node: ast.stmt, own: set[str]) -> bool:
    """Whether a statement at module level may do more than change names of the file.

    It does not if it binds names, or calls methods of objects of the file's `own`.
    True where this is in doubt.
    """
    return any(_acts(child, own) for child in _simple_statements(node))


def only_checks(node: ast.stmt, names: Set[str], own: Set[str]) -> bool:
    """Whether a statement only checks or prints something, or raises an exception.

    It may call methods of objects that have some `names`, and builtins that the file
    has no `own` objects in the place of.
    """
    looking = _LOOKING - own
    match node:
        case ast.Assert(test=test, msg=message):
            return _only_look([test, message], names, looking)
        case ast.Raise(exc=error, cause=cause):
            return _only_look([error, cause], names, looking)
        case ast.Expr(value=ast.Call(func=ast.Name(id="print")) as call):
            return _only_look([call], names, looking)
    return False


def _only_look(
    nodes: Iterable[ast.AST | None], objects: Set[str], functions: Set[str]
) -> bool:
    todo = [node for node in nodes if node is not None]
    while todo:
        current = todo.pop()
        if isinstance(current, ast.Call):
            function = current.func
            is_method = isinstance(function, ast.Attribute)
            allowed = objects if is_method else functions
            if root_name(function) not in allowed:
                return False
        elif isinstance(current, _ACTIVE):
            return False
        todo += ast.iter_child_nodes(current)
    return True


def _acts(node: ast.stmt, own: set[str]) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.names[0].name == "*"
    if isinstance(node, ast.Expr):
        return not (_is_idle(node.value) or _is_method_of(node.value, own))
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Delete):
        return _changes_others(node, own)
    return not (isinstance(node, _BINDING) or is_noise(node) or _is_type_alias(node))


def _is_type_alias(node: ast.stmt) -> bool:
    # ast.TypeAlias is unknown to Python 3.11.
    return type(node).__name__ == "TypeAlias"


def _is_idle(node: ast.expr) -> bool:
    """Tell whether an expression on its own does nothing, or only prints."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        return node.func.id == "print" and all(map(_is_passive, parts))
    return _is_passive(node)


def _changes_others(node: ast.stmt, own: set[str]) -> bool:
    """Tell whether an item or attribute of another module's object is bound."""
    places = (ast.Attribute, ast.Subscript)
    return any(
        not isinstance(child.ctx, ast.Load) and root_name(child) not in own
        for child in ast.walk(node)
        if isinstance(child, places)
    )


def _is_method_of(node: ast.expr, own: set[str]) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and root_name(node.func) in own
    )


def _simple_statements(node: ast.stmt) -> Iterator[ast.stmt]:
    compound = ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match
    if not isinstance(node, compound):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from _simple_statements(child)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            for inner in child.body:
                yield from _simple_statements(inner)


def _is_harmless_import(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        modules, is_star = [node.module or ""], node.names[0].name == "*"
    else:
        modules, is_star = [alias.name for alias in node.names], False
    packages = {module.split(".")[0] for module in modules}
    return packages <= _HARMLESS and not is_star


def _is_plain(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_is_plain, target.elts))
    return isinstance(target, ast.Name)


def _is_passive(node: ast.expr) -> bool:
    return _are_passive([node])


def _are_passive(
    nodes: Iterable[ast.AST], is_harmless: Callable[[ast.Call], bool] | None = None
) -> bool:
    """Tell whether evaluating expressions runs no code of others that matters."""
    todo = list(nodes)
    while todo:
        current = todo.pop()
        if isinstance(current, ast.Call) and is_harmless and is_harmless(current):
            todo += [*current.args, *current.keywords]
        elif isinstance(current, _ACTIVE):
            return False
        elif isinstance(current, ast.Lambda):
            todo.extend(ast.iter_child_nodes(current.args))
        else:
            todo.extend(ast.iter_child_nodes(current))
    return True
