"""Dictionaries as they are written in source: ``{"a": 1}`` and ``dict(a=1)``."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple, TypeAlias, TypeGuard, cast

UNPACKED = object()
"""Stands for keys that are not known before the file is run."""
Entries: TypeAlias = ast.Dict | ast.Call


class Tail(NamedTuple):
    """What stands behind the last entry of a dictionary.

    Attributes
    ----------
    after_value : int
        Place behind the value, and behind brackets around it.
    has_comma : bool
        Whether a comma follows.
    line_end : int or None
        Place of the next line; None if the dictionary ends on the same one.
    """

    after_value: int
    has_comma: bool
    line_end: int | None

    @classmethod
    def of(cls, text: str, start: int, end: int) -> Tail:
        """Return what stands between the last value and the closing bracket."""
        after_value, comma = start, None
        for match in re.finditer(r"#[^\r\n]*|[),]", text[start:end]):
            if match[0] == ")":
                after_value = start + match.end()
            elif match[0] == ",":
                comma = start + match.end()
        behind = after_value if comma is None else comma
        newline = re.search(r"\r\n|\r|\n", text[behind:end])
        line_end = None if newline is None else behind + newline.end()
        return cls(after_value, comma is not None, line_end)


def has_entries(value: ast.expr) -> TypeGuard[Entries]:
    """Whether that is ``{...}``, or ``dict(...)`` with keywords only."""
    if isinstance(value, ast.Call):
        is_dict = isinstance(value.func, ast.Name) and value.func.id == "dict"
        return is_dict and not value.args
    return isinstance(value, ast.Dict)


def entries(value: Entries) -> tuple[list[object], list[ast.expr]]:
    """Return keys, as far as they are literals, and values of a dictionary."""
    if isinstance(value, ast.Call):
        keys = [UNPACKED if k.arg is None else k.arg for k in value.keywords]
        return keys, [keyword.value for keyword in value.keywords]
    return [_key(key) for key in value.keys], list(value.values)


def _key(key: ast.expr | None) -> object:
    # What is computed may be any key, as what is unpacked has any.
    return key.value if isinstance(key, ast.Constant) else UNPACKED


def last_key(value: Entries) -> ast.expr:
    """Return the node where the last entry begins."""
    if isinstance(value, ast.Call):
        last = value.keywords[-1]
        # Its place is that of the name, as it is for keys.
        return cast(ast.expr, last) if last.arg is not None else last.value
    return value.keys[-1] or value.values[-1]


def entry_text(value: Entries, key: str, new: int | str | None, style: str) -> str:
    """Return an entry as it is written in such a dictionary."""
    literal = literal_text(new, style)
    if isinstance(value, ast.Call):
        return f"{key}={literal}"
    return f"{literal_text(key, style)}: {literal}"


def add_entry(value: Entries, key: str, new: int | str | None) -> None:
    """Give a node one more entry."""
    if isinstance(value, ast.Dict):
        value.keys.append(ast.Constant(key))
        value.values.append(ast.Constant(new))
    else:
        value.keywords.append(ast.keyword(key, ast.Constant(new)))


def literal_text(value: int | str | None, style: str) -> str:
    """Return a literal; texts have the quotes that are more common in some source."""
    if not isinstance(value, str):
        return repr(value)
    quote = "'" if style.count("'") > style.count('"') else '"'
    return f"{quote}{value}{quote}"
