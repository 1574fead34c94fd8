"""Python source in a form that ignores how it is written down.

Two pieces of source have the same canonical form if they parse to the same
tree: comments, formatting, docstrings and ``pass`` do not count. The form
is built from the node and field names of the grammar in the documentation of
`ast`, and leaves out what a tree does not use, so that every Python version
that can parse the source gives the same form.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

_IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_END = b")"


@dataclass(frozen=True)
class _Mark:
    """A piece of output among nodes that are still to be written."""

    text: bytes


def canonical(statements: Iterable[ast.stmt]) -> bytes:
    """Return a form that is equal for statements that mean the same to the parser."""
    # A stack instead of recursion: a long sum is a deep tree.
    stack: list[Any] = [_Mark(b"")]
    stack.extend(reversed(list(_meaningful(statements))))
    pieces = []
    while stack:
        item = stack.pop()
        if isinstance(item, _Mark):
            pieces.append(item.text)
        else:
            stack.extend(reversed(list(_open(item))))
    return b"".join(pieces)


def is_noise(statement: ast.stmt) -> bool:
    """Whether a statement does nothing: ``pass``, docstrings, lone constants."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _meaningful(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    return (statement for statement in statements if not is_noise(statement))


def _open(item: Any) -> Iterator[Any]:
    """Yield the marks, and the parts still to be written, of one item."""
    if isinstance(item, ast.Constant):
        yield _Mark(_scalar(item.value))
    elif isinstance(item, ast.AST):
        yield _Mark(b"(" + type(item).__name__.encode())
        yield from _fields(item)
        yield _Mark(_END)
    elif isinstance(item, list):
        yield _Mark(b"[")
        yield from item
        yield _Mark(b"]")
    elif item is None:
        # Absent among others, as the key of {**mapping}: not the constant.
        yield _Mark(b"-")
    else:
        yield _Mark(_scalar(item))


def _fields(node: ast.AST) -> Iterator[Any]:
    for name in sorted(set(node._fields) - _IGNORED_FIELDS):
        value = getattr(node, name, None)
        if isinstance(value, list) and isinstance(node, ast.JoinedStr):
            value = _merged(value)
        elif isinstance(value, list):
            value = [item for item in value if not _is_noise(item)]
        # What a tree does not use may be unknown to an older Python.
        if value is not None and value != []:
            yield _Mark(b" " + name.encode() + b"=")
            yield value


def _is_noise(item: Any) -> bool:
    return isinstance(item, ast.stmt) and is_noise(item)


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
