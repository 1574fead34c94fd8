"""Python source in a form that ignores how it is written down.

Two pieces of source have the same canonical form if they parse to the same
tree: comments, formatting, docstrings and ``pass`` do not count. The form
is built from the node and field names of the grammar in the documentation of
`ast`, and leaves out what a tree does not use, so that every Python version
that can parse the source gives the same form.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

_IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def canonical(statements: Iterable[ast.stmt]) -> bytes:
    """Return a form that is equal for statements that mean the same to the parser."""
    # A stack instead of recursion: a long sum is a deep tree. What is bytes on it is
    # a piece of the form already.
    stack: list[Any] = [s for s in statements if not is_noise(s)]
    stack.reverse()
    pieces = []
    while stack:
        item = stack.pop()
        if type(item) is bytes:
            pieces.append(item)
        elif isinstance(item, ast.Constant):
            pieces.append(_scalar(item.value))
        elif isinstance(item, ast.AST):
            pieces.append(_KINDS[type(item)].opening)
            stack.append(b")")
            _push_fields(item, stack)
        elif isinstance(item, list):
            stack.append(b"]")
            stack.extend(map(_plain, reversed(item)))
            pieces.append(b"[")
    return b"".join(pieces)


def forms_of(statements: Iterable[ast.stmt]) -> list[bytes]:
    """Return the form of each statement, which make up the form of all of them."""
    return [canonical([statement]) for statement in statements]


def is_noise(statement: ast.stmt) -> bool:
    """Whether a statement does nothing: ``pass``, docstrings, lone constants."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


class _Kind(NamedTuple):
    """How a kind of node begins, and its fields that count, the last one first."""

    opening: bytes
    fields: tuple[tuple[str, bytes], ...]


class _Kinds(dict[type[ast.AST], _Kind]):
    def __missing__(self, kind: type[ast.AST]) -> _Kind:
        names = sorted(set(kind._fields) - _IGNORED_FIELDS, reverse=True)
        fields = tuple((name, b" " + name.encode() + b"=") for name in names)
        self[kind] = _Kind(b"(" + kind.__name__.encode(), fields)
        return self[kind]


_KINDS = _Kinds()


def _push_fields(node: ast.AST, stack: list[Any]) -> None:
    for name, label in _KINDS[type(node)].fields:
        value = getattr(node, name, None)
        # What a tree does not use may be unknown to an older Python.
        if value is None:
            continue
        if type(value) is list:
            value = _items(node, value)
            if not value:
                continue
        elif not isinstance(value, ast.AST):
            stack.append(label + _scalar(value))
            continue
        stack += (value, label)


def _items(node: ast.AST, values: list[Any]) -> list[Any]:
    if isinstance(node, ast.JoinedStr):
        return _merged(values)
    if values and isinstance(values[0], ast.stmt):
        return [item for item in values if not is_noise(item)]
    return values


def _plain(item: Any) -> Any:
    """Return an item of a list as a node, or as a piece of the form."""
    if isinstance(item, ast.AST):
        return item
    # Absent among others, as the key of {**mapping}: not the constant.
    return b"-" if item is None else _scalar(item)


def _merged(values: list[ast.expr]) -> list[ast.expr]:
    """Join neighbouring texts of an f-string; Pythons cut them differently."""
    merged: list[ast.expr] = []
    for is_text, parts in groupby(values, lambda part: isinstance(part, ast.Constant)):
        if is_text:
            text = "".join(str(getattr(part, "value", "")) for part in parts)
            merged += [ast.Constant(text)] if text else []
        else:
            merged += parts
    return merged


def _scalar(value: Any) -> bytes:
    if isinstance(value, str):
        content = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes):
        content = value
    elif type(value) is int:
        # Decimal text is limited in length by the interpreter.
        content = hex(value).encode()
    else:
        content = repr(value).encode()
    return b"%s:%d:%s;" % (type(value).__name__.encode(), len(content), content)
