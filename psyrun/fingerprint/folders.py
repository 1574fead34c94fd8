"""Folders that a piece of source adds to ``sys.path``."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# Calls that give the path they are given.
_SAME = {"Path", "PurePath", "str", "fspath", "expanduser"}
_SAME |= {"abspath", "absolute", "realpath", "resolve"}
_INSTALLED = {"site-packages", "dist-packages"}


def added_folders(statements: Iterable[ast.stmt], file: Path, root: Path) -> list[Path]:
    """Return the folders that some source adds to ``sys.path``.

    Parameters
    ----------
    statements : iterable of ast.stmt
        The source.
    file : Path
        File that it is from, which ``__file__`` stands for.
    root : Path
        Folder that relative folders refer to.

    Returns
    -------
    list of Path
        Folders that are written as text, or by means of ``os.path``,
        ``pathlib`` and ``__file__``; others cannot be known without running
        the source.
    """
    nodes = [node for statement in statements for node in ast.walk(statement)]
    known = _Known(nodes, file)
    folders = [known.path(node) for added in map(_added, nodes) for node in added]
    absolute = [Path(os.path.normpath(root / path)) for path in folders if path]
    return [path for path in absolute if not _INSTALLED.intersection(path.parts)]


def _added(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the folders that a single node adds."""
    if isinstance(node, ast.AugAssign) and _is_sys_path(node.target):
        yield from getattr(node.value, "elts", [])
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        method, argument = node.func.attr, [*node.args[-1:]]
        if _is_sys_path(node.func.value) and method in {"append", "insert"}:
            yield from argument
        elif _is_sys_path(node.func.value) and method == "extend":
            yield from (each for arg in argument for each in getattr(arg, "elts", []))
        elif method == "addsitedir":
            yield from argument


def _is_sys_path(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "path"
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    )


class _Known:
    """Works out paths from what is known without running the source."""

    def __init__(self, nodes: Iterable[ast.AST], file: Path) -> None:
        self._file = file
        self._values = {
            target.id: node.value
            for node in nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def path(self, node: ast.expr) -> Path | None:
        """Return the path that an expression stands for, or None."""
        match node:
            case ast.Constant(value=str(text)):
                return Path(text)
            case ast.Name(id="__file__"):
                return self._file
            case ast.Name(id=name) if name in self._values:
                return self._defined(name)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._joined([left, right])
            case ast.Attribute(value=value, attr="parent"):
                return self._parent(value, 1)
            case ast.Subscript(
                value=ast.Attribute(value=value, attr="parents"),
                slice=ast.Constant(value=int(index)),
            ):
                return self._parent(value, index + 1)
            case ast.Call():
                return self._called(node)
        return None

    def _defined(self, name: str) -> Path | None:
        # Taken out meanwhile, so that a name defined by itself ends.
        value = self._values.pop(name)
        path = self.path(value)
        self._values[name] = value
        return path

    def _called(self, node: ast.Call) -> Path | None:
        function = node.func
        name = getattr(function, "attr", None) or getattr(function, "id", None)
        if name == "join":
            return self._joined(node.args)
        if name == "joinpath" and isinstance(function, ast.Attribute):
            return self._joined([function.value, *node.args])
        if name == "dirname" and node.args:
            return self._parent(node.args[0], 1)
        if name in _SAME:
            return self._same(node)
        return None

    def _same(self, node: ast.Call) -> Path | None:
        if len(node.args) > 1:
            return self._joined(node.args)
        if node.args:
            return self.path(node.args[0])
        function = node.func
        return (
            self.path(function.value) if isinstance(function, ast.Attribute) else None
        )

    def _joined(self, parts: Iterable[ast.expr]) -> Path | None:
        paths = [self.path(part) for part in parts]
        known = [path for path in paths if path is not None]
        return Path(*known) if known and len(known) == len(paths) else None

    def _parent(self, node: ast.expr, levels: int) -> Path | None:
        path = self.path(node)
        for _ in range(levels):
            path = None if path is None else path.parent
        return path
