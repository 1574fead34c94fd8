"""The tables that source reads points of a space from, with `psyrun.Param.read`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping


def tables_read(nodes: Iterable[ast.AST]) -> list[str]:
    """Return the names of tables in source.

    They stand in the call itself, or in a variable that is set to a text. What is
    computed, such as a path that is joined, is not known without running it.
    """
    nodes = list(nodes)
    texts = dict(_texts(nodes))
    return sorted({name for call in _calls(nodes) for name in _names(call, texts)})


def _texts(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Yield the variables that are set to texts."""
    for node in nodes:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))
            ):
                yield name, text


def _calls(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    for node in nodes:
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="Param") | ast.Attribute(attr="Param"),
                    attr="read",
                )
            ):
                yield node


def _names(call: ast.Call, texts: Mapping[str, str]) -> Iterator[str]:
    named = [each.value for each in call.keywords if each.arg == "filename"]
    for argument in (*call.args[:1], *named):
        match argument:
            case ast.Constant(value=str(text)):
                pass
            case ast.Name(id=name) if name in texts:
                text = texts[name]
            case _:
                continue
        if "\0" not in text:
            yield text
