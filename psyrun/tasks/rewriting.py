"""New values for variables of a task file, all else of which stays as it is.

Only what stands plainly in the file is changed: the value of ``max_jobs = 100``, or an
entry of ``scheduler_args = {"timelimit": "1h"}``. What is not there is added. After
each change the file is read as Python again and compared with what it was, so that
nothing else has changed, whatever its formatting.
"""

from __future__ import annotations

import ast
import errno
import io
import os
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from psyrun.errors import TaskError
from psyrun.tasks.config import FORMER_SPELLING
from psyrun.tasks.fingerprint.names import names_of
from psyrun.tasks.fingerprint.slicing import INCIDENTAL
from psyrun.tasks.module import check_syntax
from psyrun.tasks.written_dicts import (
    UNPACKED,
    Entries,
    Tail,
    add_entry,
    entries,
    entry_text,
    has_entries,
    last_key,
    literal_text,
)
from psyrun.utils.files import explained, read_bytes, replacing

_ARGUMENTS = "scheduler_args"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


class Change(NamedTuple):
    """A new value for a variable of a task file.

    Attributes
    ----------
    name : str
        The special variable.
    key : str or None
        The entry of it, if it is a dictionary and only that is to change.
    now : object
        The value that it has now, None if it has none.
    value : int or str or None
        The new one.
    """

    name: str
    key: str | None
    now: Any
    value: int | str | None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.name if self.key is None else f"{self.name}[{self.key!r}]"


@dataclass(frozen=True)
class TaskSource:
    """A task file as it was read.

    Attributes
    ----------
    path : Path
        The file.
    content : bytes
        What was in it.
    """

    path: Path
    content: bytes

    @classmethod
    def read(cls, path: Path) -> TaskSource:
        """Read a task file, before it is loaded. Raises `TaskError` if it is no Python.

        Raises `StoreError` if it cannot be read.
        """
        with explained(path):
            content = read_bytes(path)
        check_syntax(path)
        return cls(path, content)

    def changed(self, changes: Sequence[Change]) -> bytes:
        """Return the content with new values.

        Raises
        ------
        TaskError
            If one of them is computed, set several times, or read by something else.
        """
        text, encoding = _decoded(self)
        source = _Source(str(self.path), text)
        for change in changes:
            source = source.changed(change)
        return source.text.encode(encoding)

    def write(self, changes: Sequence[Change]) -> None:
        """Put new values into the file, all of them or none.

        Its permissions stay. Whoever reads it meanwhile sees it as it was or as it is.

        Raises
        ------
        TaskError
            If it was changed since it was read, or `changed` raises it.
        StoreError
            If it cannot be written.
        """
        content = self.changed(changes)
        with explained(self.path):
            self._check_unchanged()
            if not os.access(self.path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            with replacing(self.path) as temporary:
                temporary.write_bytes(content)
                self._check_unchanged()

    def _check_unchanged(self) -> None:
        if read_bytes(self.path) != self.content:
            raise TaskError(
                f"{self.path}: was changed meanwhile, so that nothing is written. Plan "
                "again."
            )


def _decoded(source: TaskSource) -> tuple[str, str]:
    encoding = "unknown"
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source.content).readline)
        text = source.content.decode(encoding)
        is_whole = text.encode(encoding) == source.content
    except (UnicodeError, SyntaxError):
        is_whole = False
    if not is_whole:
        raise TaskError(
            f"{source.path}: its encoding is {encoding}, which cannot be written as it "
            "was read. Save it in UTF-8."
        )
    return text, encoding


@dataclass(frozen=True)
class _Source:
    """The text of a file, and where it is from."""

    where: str
    text: str

    def changed(self, change: Change) -> _Source:
        """Return the text with a new value."""
        tree = ast.parse(self.text)
        statement = self._binding(tree, change)
        if statement is None:
            return self._with_statement(tree, change)
        value = statement.value
        assert value is not None
        if change.key is None:
            self._check_value(value, change)
            statement.value = ast.Constant(change.value)
            return self._checked(self._with_value(value, change), tree, change, value)
        if not has_entries(value):
            raise self._refused(change, value, "is computed")
        text = self._with_entry(value, change)
        return self._checked(text, tree, change, value)

    def _binding(
        self, tree: ast.Module, change: Change
    ) -> ast.Assign | ast.AnnAssign | None:
        """Return the plain assignment of a variable, None if nothing sets it."""
        names = _names_of_variable(change)
        binders, readers = [], []
        for statement in tree.body:
            use = names_of(statement)
            # Numbers and texts cannot be changed in place.
            altered = {c.name for c in use.changed | use.deferred if change.key}
            if names & (use.bound | use.declared | altered):
                binders.append(statement)
            elif names & use.used and not (use.bound and use.bound <= INCIDENTAL):
                readers.append(statement)
        if len(binders) > 1:
            raise self._refused(
                change, binders[1], "is set or changed in more than one place"
            )
        if not binders:
            return None
        if not isinstance(binders[0], ast.Assign | ast.AnnAssign):
            raise self._refused(change, binders[0], "is not set by a plain assignment")
        if readers:
            raise self._refused(change, readers[0], "is read by something else")
        if not _is_plain(binders[0], names):
            raise self._refused(
                change, binders[0], "is set together with something else"
            )
        return binders[0]

    def _check_value(self, value: ast.expr, change: Change) -> None:
        """Refuse what is no literal, and what is another value in the end."""
        try:
            found = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise self._refused(change, value, "is computed") from None
        if type(found) not in (int, str, float, bool, type(None)):
            raise self._refused(change, value, "is computed")
        if found != change.now:
            raise self._refused(
                change, value, f"is {change.now!r} once the file has run"
            )

    def _with_value(self, value: ast.expr, change: Change) -> str:
        start, end = self._span(value)
        style = self.text[start:end] if _is_text(value) else self.text
        return self.text[:start] + literal_text(change.value, style) + self.text[end:]

    def _with_entry(self, value: Entries, change: Change) -> str:
        """Return the text with an entry; the node gets it, too."""
        keys, values = entries(value)
        places = [place for place, key in enumerate(keys) if key == change.key]
        if len(places) > 1:
            raise self._refused(change, values[places[1]], "is set more than once")
        if not places:
            text = self._with_new_entry(value, values, change)
            assert change.key is not None
            add_entry(value, change.key, change.value)
            return text
        place = places[0]
        if UNPACKED in keys[place:]:
            raise self._refused(
                change, values[place], "may be set by what is unpacked there"
            )
        self._check_value(values[place], change)
        new = ast.Constant(change.value)
        if isinstance(value, ast.Dict):
            value.values[place] = new
        else:
            value.keywords[place].value = new
        return self._with_value(values[place], change)

    def _with_new_entry(
        self, value: Entries, values: Sequence[ast.expr], change: Change
    ) -> str:
        """Return the text with one more entry behind the others."""
        assert change.key is not None
        entry = entry_text(value, change.key, change.value, self.text)
        end = self._span(value)[1] - 1
        if not values:
            return self._inserted(end, entry)
        tail = Tail.of(self.text, self._span(values[-1])[1], end)
        if tail.line_end is None:
            return self._inserted(tail.after_value, f", {entry}")
        indent = self._indent_of(last_key(value))
        line = f"{indent}{entry},{self._line_break(tail.line_end)}"
        text = self._inserted(tail.line_end, line)
        if not tail.has_comma:
            text = f"{text[: tail.after_value]},{text[tail.after_value :]}"
        return text

    def _with_statement(self, tree: ast.Module, change: Change) -> _Source:
        """Return the text with an assignment, behind those of other settings."""
        value = literal_text(change.value, self.text)
        if change.key is not None:
            value = f"{{{literal_text(change.key, self.text)}: {value}}}"
        line = f"{change.name} = {value}"
        for number in self._lines_to_add_at(tree):
            end = self._starts[number]
            text = self._inserted(end, f"{line}{self._line_break(end)}")
            if end and self.text[end - 1] not in "\r\n":
                text = self._inserted(end, f"{self._line_break(end)}{line}")
            body = list(tree.body)
            place = sum(_first_line(each) <= number for each in body)
            body[place:place] = ast.parse(line).body
            if _is_same(text, ast.Module(body, tree.type_ignores)):
                return _Source(self.where, text)
        raise self._refused(change, None, "has no place where it can be added")

    def _lines_to_add_at(self, tree: ast.Module) -> Iterator[int]:
        """Yield numbers of lines behind which a statement may be added."""
        bound = [names_of(each).bound for each in tree.body]
        last = len(self._starts) - 1
        if not any("*" in names for names in bound):
            for wanted in (INCIDENTAL, {"pspace"}):
                lines = [
                    each.end_lineno or 0
                    for each, names in zip(tree.body, bound, strict=True)
                    if names & wanted and isinstance(each, ast.Assign | ast.AnnAssign)
                ]
                if lines:
                    # Others may follow on its last line, and on more.
                    yield from range(lines[-1], min(lines[-1] + 5, last))
                    break
        yield last

    def _checked(
        self, text: str, tree: ast.Module, change: Change, place: ast.expr
    ) -> _Source:
        """Return a text if it is what a tree says."""
        if not _is_same(text, tree):
            raise self._refused(
                change, place, "is written in a way that is not understood"
            )
        return _Source(self.where, text)

    @cached_property
    def _starts(self) -> list[int]:
        """Where each line begins, and the end of the text, as Python counts them."""
        lengths = [len(line) for line in _LINE.findall(self.text)]
        return [0, *accumulate(lengths)]

    def _place(self, line: int, column: int) -> int:
        """Return the place in the text of one that Python counts in bytes."""
        start = self._starts[line - 1]
        before = self.text[start : self._starts[line]].encode()[:column]
        return start + len(before.decode(errors="ignore"))

    def _span(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._place(node.lineno, node.col_offset)
        return start, self._place(node.end_lineno, node.end_col_offset)

    def _inserted(self, place: int, text: str) -> str:
        return self.text[:place] + text + self.text[place:]

    def _indent_of(self, node: ast.expr) -> str:
        """Return the space in front of a node, as if it began its line."""
        start = self._starts[node.lineno - 1]
        before = self.text[start : self._span(node)[0]]
        blank = before[: len(before) - len(before.lstrip(" \t"))]
        is_first = before.strip(" \t*") == ""
        return blank if is_first else " " * len(before)

    def _line_break(self, place: int) -> str:
        """Return how the line before a place ends, or the first one."""
        found = re.search(r"(\r\n|\r|\n)$", self.text[max(0, place - 2) : place])
        found = found or re.search(r"\r\n|\r|\n", self.text)
        return found[0] if found else "\n"

    def _refused(
        self, change: Change, place: ast.stmt | ast.expr | None, why: str
    ) -> TaskError:
        line = "" if place is None else f":{place.lineno}"
        return TaskError(
            f"{self.where}{line}: {change.label} {why}. Nothing is written; set it to "
            f"{literal_text(change.value, '')} yourself."
        )


def _names_of_variable(change: Change) -> set[str]:
    return {change.name} | ({FORMER_SPELLING} if change.name == _ARGUMENTS else set())


def _is_plain(statement: ast.Assign | ast.AnnAssign, names: set[str]) -> bool:
    """Whether that binds one name, one of some."""
    if isinstance(statement, ast.AnnAssign):
        targets: list[ast.expr] = [statement.target] if statement.value else []
    else:
        targets = statement.targets
    found = [each.id if isinstance(each, ast.Name) else None for each in targets]
    return len(found) == 1 and found[0] in names


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def _is_same(text: str, tree: ast.Module) -> bool:
    """Whether a text is what a tree says, wherever it says it."""
    try:
        return ast.dump(ast.parse(text)) == ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
