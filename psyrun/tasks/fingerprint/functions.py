"""Which version of a function there is, also of one that no file has.

The form of a task file is taken from source alone. That of a function in a notebook or
a script is found by what it would use if it were called now: its own source, and that
of the functions and classes which it reaches by the names it uses, except those of
libraries; and numbers and text that it finds by a name. What can be changed in place,
such as a list, does not count, as the function may have changed it itself.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import inspect
import sys
import sysconfig
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from psyrun.tasks.fingerprint.canonical import canonical

_FORMAT = b"psyrun function 1"
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_PACKAGE = str(Path(__file__).parents[2])


def function_version(function: Any) -> str:
    """Return a text that changes if what a function returns may change.

    It is the same for a function that only differs in comments and formatting. If some
    source is not known, as for a lambda among others in a line, the text begins with
    the name of the Python that compiled the function; see `is_other_version`.
    """
    found = _Reached()
    found.take("", function, is_asked_for=True)
    digest = hashlib.sha256(_FORMAT)
    for name, form in sorted(found.forms.items()):
        digest.update(b"%d:%s%d:%s" % (len(name), name.encode(), len(form), form))
    return f"{found.compiler}{digest.hexdigest()}"


def is_other_version(first: str, second: str) -> bool:
    """Whether two texts are of different functions; not if that cannot be known."""
    compilers = (first.rpartition(" ")[0], second.rpartition(" ")[0])
    return first != second and compilers[0] == compilers[1]


class _Reached:
    """What a function reaches, as bytes by name."""

    def __init__(self) -> None:
        self.forms: dict[str, bytes] = {}
        self.compiler = ""
        self._seen: dict[int, Any] = {}

    def take(
        self,
        name: str,
        value: Any,
        attributes: frozenset[str] = frozenset(),
        *,
        is_asked_for: bool = False,
    ) -> None:
        """Take a value that has a name, and what it reaches.

        `attributes` are those that the code takes of any module.
        """
        if _is_plain(value):
            self.forms[name] = repr(value).encode("utf-8", "backslashreplace")
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, ModuleType):
            self._take_all(name, vars(value), attributes, attributes)
        elif isinstance(value, partial):
            self.take(f"{name}.func", value.func, is_asked_for=is_asked_for)
            self._take_values(f"{name}.args", (value.args, value.keywords))
        elif isinstance(value, MethodType):
            self.take(name, value.__func__, is_asked_for=is_asked_for)
            self.take(f"{name}.self", value.__self__, is_asked_for=is_asked_for)
        elif isinstance(value, FunctionType):
            if is_asked_for or not _is_of_library(value.__code__.co_filename):
                self._take_function(name, value)
        elif isinstance(value, type):
            if is_asked_for or not _is_of_library(_file_of(value)):
                self._take_class(name, value)
        elif is_asked_for:
            self.take(f"{name}.class", type(value), is_asked_for=True)
            self._take_values(name, getattr(value, "__dict__", {}))

    def _take_function(self, name: str, function: FunctionType) -> None:
        code = function.__code__
        self.forms[f"{name}()"] = self._form(function, code)
        used = _global_names(code)
        attributes = frozenset(n for each in _codes(code) for n in each.co_names)
        self._take_all(name, function.__globals__, used, attributes)
        cells = function.__closure__ or ()
        for variable, cell in zip(code.co_freevars, cells, strict=True):
            # One that is not assigned yet is empty.
            value = getattr(cell, "cell_contents", None) if _is_full(cell) else None
            self.take(f"{name}.{variable}", value, attributes)
        self._take_values(f"{name}.defaults", function.__defaults__)
        self._take_values(f"{name}.defaults", function.__kwdefaults__)
        if (wrapped := getattr(function, "__wrapped__", None)) is not None:
            self.take(f"{name}.wrapped", wrapped, is_asked_for=True)

    def _take_class(self, name: str, kind: type) -> None:
        for base in kind.__bases__:
            self.take(f"{name}.{base.__name__}", base)
        for key, value in vars(kind).items():
            parts = (value, *(getattr(value, n, None) for n in ("__func__", "fget")))
            for part in parts:
                if isinstance(part, FunctionType):
                    self.take(f"{name}.{key}", part, is_asked_for=True)
            if _is_plain(value) and not key.startswith("__"):
                self.take(f"{name}.{key}", value)

    def _take_all(
        self,
        name: str,
        values: Mapping[str, Any],
        names: frozenset[str],
        attributes: frozenset[str],
    ) -> None:
        for key in sorted(names & values.keys()):
            self.take(f"{name}.{key}", values[key], attributes)

    def _take_values(self, name: str, values: Any) -> None:
        """Take values in a container, which was made for the function."""
        items = (
            values.items() if isinstance(values, Mapping) else enumerate(values or ())
        )
        for key, value in items:
            if isinstance(value, tuple | dict) and not _is_plain(value):
                self._take_values(f"{name}.{key}", value)
            else:
                self.take(f"{name}.{key}", value)

    def _form(self, function: FunctionType, code: CodeType) -> bytes:
        node = _source(function)
        if node is not None:
            return canonical([node])
        self.compiler = f"{sys.implementation.cache_tag} "
        return _compiled(code)


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return all(map(_is_plain, value))
    return type(value) in _PLAIN


def _source(function: FunctionType) -> ast.stmt | None:
    """Return the statement that defines a function; None if that is not known."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    nodes = list(ast.walk(tree))
    if function.__name__ == "<lambda>":
        found = [node for node in nodes if isinstance(node, ast.Lambda)]
        return ast.Expr(found[0]) if len(found) == 1 else None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    first = tree.body[0] if tree.body else None
    # The file may have been changed since it was loaded.
    is_it = isinstance(first, kinds) and first.name == function.__code__.co_name
    return first if is_it else None


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function, and of those that are defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _compiled(code: CodeType) -> bytes:
    """Return code as bytes, wherever it stands."""
    constants = [
        _compiled(each) if isinstance(each, CodeType) else repr(each).encode()
        for each in code.co_consts
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return repr((code.co_code, constants, names)).encode("utf-8", "backslashreplace")


def _global_names(code: CodeType) -> frozenset[str]:
    """Return the global names that code reads and does not set."""
    steps = [step for each in _codes(code) for step in dis.get_instructions(each)]
    read = {s.argval for s in steps if s.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return frozenset(read - {s.argval for s in steps if s.opname == "STORE_GLOBAL"})


def _file_of(kind: type) -> str:
    module = sys.modules.get(kind.__module__)
    # Those that are built in have none; the one of a notebook has none either.
    is_own = kind.__module__ == "__main__"
    return getattr(module, "__file__", None) or ("" if is_own else _PACKAGE)


@cache
def _libraries() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    return (_PACKAGE, "<frozen ", *(paths[kind] for kind in kinds))


def _is_of_library(file: str) -> bool:
    return file.startswith(_libraries())
