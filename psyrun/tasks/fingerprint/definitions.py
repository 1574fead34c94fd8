"""The definitions that some source consists of, each with what it says and its line."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from psyrun.tasks.fingerprint.canonical import canonical, is_noise
from psyrun.tasks.fingerprint.names import names_of, root_name

Definitions: TypeAlias = dict[str, list[tuple[str, int]]]
"""For each name the digests of what defines or changes it, and in which line it is."""

WHOLE = ""
"""Stands for all of a file in the place of a name."""
_LENGTH = 16  # hexadecimal digits


def definitions_of(
    statements: Iterable[ast.stmt], forms: Iterable[bytes]
) -> Definitions:
    """Return the definitions of a file that count, and what stands for all of it.

    `forms` are those of its statements, or of all of it if it is no valid source.
    Statements that define nothing go by the name of what they call.
    """
    parts = list(forms)
    found: Definitions = {WHOLE: [(_digest(b"".join(parts)), 0)]}
    for statement, whole in zip(statements, parts, strict=False):
        for node, form in _simple(statement, whole):
            entry = _digest(form), getattr(node, "lineno", 0)
            for name in _names(node):
                found.setdefault(name, []).append(entry)
    return found


def joined(parts: Iterable[tuple[str, Definitions]]) -> dict[str, Definitions]:
    """Return the definitions of files; one that is imported twice has those of both."""
    found: dict[str, Definitions] = {}
    for file, definitions in parts:
        if file not in found:
            found[file] = definitions
        elif found[file] != definitions:
            found[file] = {name: [*there] for name, there in found[file].items()}
            for name, entries in definitions.items():
                there = found[file].setdefault(name, [])
                there += [entry for entry in entries if entry not in there]
    return found


def _digest(form: bytes) -> str:
    return hashlib.sha256(form).hexdigest()[:_LENGTH]


def _simple(node: ast.stmt, form: bytes) -> Iterator[tuple[ast.stmt, bytes]]:
    """Yield a statement, or those of its branches, with what they say.

    Of a branch that is on which condition they are.
    """
    if not isinstance(node, ast.If):
        if not is_noise(node):
            yield node, form
        return
    test = canonical([ast.Expr(node.test)])
    for branch, statements in ((b"then", node.body), (b"else", node.orelse)):
        for statement in statements:
            for inner, says in _simple(statement, canonical([statement])):
                yield inner, test + branch + says


def _names(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Import():
            return [alias.asname or alias.name for alias in node.names]
        case ast.ImportFrom():
            module = "." * node.level + (node.module or "")
            names = [alias.asname or alias.name for alias in node.names]
            return [module if name == "*" else name for name in names]
        case ast.Assign(targets=targets):
            return sorted({name for each in targets for name in _targets(each)})
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return list(_targets(target))
        case ast.Expr(value=ast.Call(func=function)):
            return [ast.unparse(function).partition("\n")[0]]
    return sorted(names_of(node).bound) or [type(node).__name__.lower()]


def _targets(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _targets(element)
    elif name := root_name(target):
        yield name
