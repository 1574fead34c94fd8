"""The tables that source reads points of a space from, with `psyrun.Param.read`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator


def tables_read(nodes: Iterable[ast.AST]) -> list[str]:
    """Return the names of tables in source, where they stand in the call itself.

    What is computed, such as a path that is joined, is not known without running it.
    """
    return sorted(set(_names(nodes)))


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="Param") | ast.Attribute(attr="Param"),
                    attr="read",
                ),
                args=[ast.Constant(value=str(name)), *_],
            ) if "\0" not in name:
                yield name
