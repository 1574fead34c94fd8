"""Which names a piece of source binds, reads and changes at module level.

The analysis never misses a name that Python's scoping rules
(https://docs.python.org/3/reference/executionmodel.html) make visible, but it
may report more than there are, for example a name that only a class body uses.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
DYNAMIC = "globals"
"""Stands for every way to reach module-level names without naming them."""


class Change(NamedTuple):
    """An object that may be changed in place.

    `by` is the function that it is handed to; None for a change on the spot.
    """

    name: str
    by: str | None


@dataclass
class NameUse:
    """Module-level names that a piece of source deals with.

    Attributes
    ----------
    bound : set of str
        Names that it binds or deletes.
    imported : set of str
        Those of `bound` that an import binds.
    declared : set of str
        Names that one of its functions binds after ``global``.
    used : set of str
        Names that it reads, now or when a function of it is called.
    changed : set of Change
        Objects that it may change: by a method, an item, an attribute, or by
        handing them to a function.
    deferred : set of Change
        Objects that a call of one of its functions may change or bind.
    """

    bound: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    changed: set[Change] = field(default_factory=set)
    deferred: set[Change] = field(default_factory=set)


def names_of(nodes: ast.AST | Iterable[ast.AST]) -> NameUse:
    """Return the module-level names, builtins included, that source deals with."""
    scope = _Scope(is_function=False)
    for node in [nodes] if isinstance(nodes, ast.AST) else nodes:
        scope.visit(node)
    scope.names.bound |= scope.walrus
    return scope.names


def root_name(node: ast.AST) -> str | None:
    """Return the name at the root of ``a.b[0]``, ``'a'``; None if it is no name."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


class _Scope(ast.NodeVisitor):
    """Collects the names of one scope; inner scopes report what is free."""

    def __init__(self, is_function: bool) -> None:
        self.names = NameUse()
        self.is_function = is_function
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.walrus: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.names.used.add(node.id)
        else:
            self.names.bound.add(node.id)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Leave it alone, sooner than by default."""

    def visit_BinOp(self, node: ast.BinOp) -> None:
        # A loop, as a long sum is nested too deeply for recursion.
        operand: ast.expr = node
        while isinstance(operand, ast.BinOp):
            self.visit(operand.right)
            operand = operand.left
        self.visit(operand)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        # In a comprehension it binds a name of the scope around.
        self.walrus.add(node.target.id)
        self.visit(node.value)

    def visit_Import(self, node: ast.Import) -> None:
        self._import(alias.asname or alias.name.split(".")[0] for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._import(alias.asname or alias.name for alias in node.names)

    def _import(self, names: Iterable[str]) -> None:
        imported = set(names)
        self.names.bound |= imported
        self.names.imported |= imported

    def visit_Global(self, node: ast.Global) -> None:
        self.globals.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.nonlocals.update(node.names)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        # sys.modules[__name__] is the module itself.
        if isinstance(node.slice, ast.Name) and node.slice.id == "__name__":
            self.names.used.add(DYNAMIC)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._change(node.target)
        if name := root_name(node.target):
            self.names.used.add(name)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = root_name(node.func)
        if isinstance(node.func, ast.Attribute):
            self._change(node.func)
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            self._change(argument, function)
        if self._is_dynamic(function):
            self.names.used.add(DYNAMIC)
        self.generic_visit(node)

    def _is_dynamic(self, function: str | None) -> bool:
        if function in {"locals", "vars"}:
            return not self.is_function
        return function in {"eval", "exec"}

    def _change(self, node: ast.AST, by: str | None = None) -> None:
        if name := root_name(node):
            self.names.changed.add(Change(name, by))

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._capture(node, node.name)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._capture(node, node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._capture(node, node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self._capture(node, node.rest)

    def _capture(self, node: ast.AST, name: str | None) -> None:
        if name is not None:
            self.names.bound.add(name)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._define(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._define(node)

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.names.bound.add(node.name)
        self._visit_all(node.decorator_list)
        self._visit_all([] if node.returns is None else [node.returns])
        self._function(node.args, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node.args, [node.body])

    def _function(self, args: ast.arguments, body: Iterable[ast.AST]) -> None:
        # Defaults and annotations are evaluated in the scope around.
        self.generic_visit(args)
        inner = _Scope(is_function=True)
        inner._visit_all(body)
        own = {arg.arg for arg in _parameters(args)} | inner.names.bound | inner.walrus
        own -= inner.globals | inner.nonlocals
        self.names.used |= inner.names.used - own
        self.names.deferred |= _free(inner.names.changed | inner.names.deferred, own)
        declared = (inner.names.bound | inner.walrus) & inner.globals
        self.names.deferred |= {Change(name, None) for name in declared}
        self.names.declared |= declared | inner.names.declared

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names.bound.add(node.name)
        self._visit_all((*node.decorator_list, *node.bases, *node.keywords))
        inner = _Scope(is_function=False)
        inner._visit_all(node.body)
        # A class body reads names of the module until it binds them itself.
        self.names.used |= inner.names.used
        self.names.changed |= inner.names.changed
        self.names.deferred |= inner.names.deferred
        self.names.bound |= inner.names.bound & inner.globals
        self.names.declared |= inner.names.declared

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehend(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehend(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehend(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehend(node)

    def _comprehend(self, node: _Comprehension) -> None:
        # The first iterable is evaluated in the scope around.
        self.visit(node.generators[0].iter)
        inner = _Scope(self.is_function)
        inner.generic_visit(node)
        own = inner.names.bound
        self.walrus |= inner.walrus
        self.names.used |= inner.names.used - own
        self.names.declared |= inner.names.declared
        self.names.changed |= _free(inner.names.changed, own)
        self.names.deferred |= _free(inner.names.deferred, own)

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)


def _parameters(args: ast.arguments) -> list[ast.arg]:
    single = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *single]


def _free(changes: set[Change], own: set[str]) -> set[Change]:
    """Return the changes of outer objects; a local function may do anything."""
    return {
        Change(name, None if by in own else by)
        for name, by in changes
        if name not in own
    }
