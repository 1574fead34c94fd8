"""The nodes of source that has been parsed, in the order of `ast.walk`, but sooner."""

from __future__ import annotations

import ast
from collections.abc import Iterable

# A context is of no use, and there is one for each name.
_SKIPPED = frozenset({"ctx"})


def nodes_of(statements: Iterable[ast.AST]) -> list[ast.AST]:
    """Return all nodes of some statements, one statement after the other."""
    found: list[ast.AST] = []
    for statement in statements:
        found += _nodes(statement)
    return found


def _nodes(root: ast.AST) -> list[ast.AST]:
    found = [root]
    for node in found:
        for name in _FIELDS[type(node)]:
            value = getattr(node, name, None)
            if type(value) is list:
                found += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


class _Fields(dict[type[ast.AST], tuple[str, ...]]):
    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        self[kind] = tuple(name for name in kind._fields if name not in _SKIPPED)
        return self[kind]


_FIELDS = _Fields()
