"""Which version of a function there is."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from psyrun.tasks.fingerprint.functions import function_version, is_other_version

WHOLE = """\
import functools
import math

from {name}_helper import helped

RATE = 2.5
SEEN = []
SIZES = (1, "two", None)


def reach(x):
    return x * RATE


class Model:
    gain = 3

    def __init__(self, x):
        self.x = x

    def value(self):
        return reach(self.x) + self.gain


def unused(x):
    return 0


def noted(fn):
    @functools.wraps(fn)
    def inner(**point):
        SEEN.append(point)
        return fn(**point)

    return inner


def fn(x):
    return {{"y": Model(x).value() + helped(x) + len(SIZES) + math.pi}}


@noted
def decorated(x):
    return {{"y": x + 1}}


def made(offset):
    def fn(x, scale=4):
        return {{"y": scale * x + offset}}

    return fn


class Callable:
    def __init__(self, factor):
        self.factor = factor
        self.calls = []

    def __call__(self, x):
        self.calls.append(x)
        return {{"y": self.factor * x}}

    def method(self, x):
        return self(x)


lone = lambda x: {{"y": x - 1}}
pair = [lambda x: {{"y": x - 2}}, lambda x: {{"y": x - 3}}]
"""
HELPER = """\
import statistics


def helped(x):
    return statistics.mean([x, other(x)])


def other(x):
    return 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Make modules, in which some text stands in the place of another."""
    monkeypatch.syspath_prepend(tmp_path)
    count = 0

    def make(old: str = "", new: str = "") -> ModuleType:
        nonlocal count
        # Of each file, Python keeps the source that it has read.
        count += 1
        folder = tmp_path / str(count)
        folder.mkdir()
        name = "functions_under_test"
        for text, file in ((WHOLE, name), (HELPER, f"{name}_helper")):
            content = text.replace("{name}", name).replace("{{", "{").replace("}}", "}")
            (folder / f"{file}.py").write_text(content.replace(old, new))
            sys.modules.pop(file, None)
        monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    return make


def version(fn: Any) -> str:
    return function_version(fn)


def test_a_function_has_one_version(module: Callable[..., Any]) -> None:
    assert version(module().fn) == version(module().fn)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return x * RATE", "    # as it was\n    return (x *\n        RATE)"),
        ("    return 0", "    return 1"),
        ("SEEN = []", "SEEN = [1]"),
    ],
)
def test_what_it_does_not_use_does_not_count(
    module: Callable[..., Any], old: str, new: str
) -> None:
    assert version(module().fn) == version(module(old, new).fn)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Model(x).value()", "Model(x).value() + 1"),
        ("RATE = 2.5", "RATE = 2.6"),
        ("SIZES = (1,", "SIZES = (2,"),
        ("x * RATE", "x / RATE"),
        ("gain = 3", "gain = 4"),
        ("self.x = x", "self.x = -x"),
        ("return 7", "return 8"),
        ("[x, other(x)]", "[other(x), x]"),
    ],
)
def test_what_it_reaches_counts(module: Callable[..., Any], old: str, new: str) -> None:
    assert is_other_version(version(module().fn), version(module(old, new).fn))


def test_the_function_below_a_decorator_counts(module: Callable[..., Any]) -> None:
    first = version(module().decorated)
    assert first == version(module().decorated)
    assert first != version(module("x + 1", "x + 2").decorated)
    assert first != version(module("SEEN.append(point)", "SEEN.clear()").decorated)


def test_what_a_function_was_made_with_counts(module: Callable[..., Any]) -> None:
    made = module().made
    assert version(made(1)) == version(made(1))
    assert version(made(1)) != version(made(2))
    assert version(made(1)) != version(module("scale=4", "scale=5").made(1))
    assert version(partial(made(1), scale=1)) == version(partial(made(1), scale=1))
    assert version(partial(made(1), scale=1)) != version(partial(made(1), scale=2))


def test_an_object_counts_with_its_class_and_its_numbers(
    module: Callable[..., Any],
) -> None:
    one = module().Callable(1)
    first = version(one)
    one(x=1)
    assert version(one) == first != version(module().Callable(2))
    changed = module("self.factor * x", "self.factor + x")
    assert version(changed.Callable(1)) != first
    assert version(one.method) == version(one.method)
    assert version(changed.Callable(1).method) != version(one.method)


def test_lambdas_are_told_apart(module: Callable[..., Any]) -> None:
    assert version(module().lone) == version(module().lone)
    assert version(module().lone) != version(module("x - 1", "x - 9").lone)
    first, second = module().pair
    assert is_other_version(version(first), version(second))


def test_versions_of_compiled_code_are_compared_within_one_python() -> None:
    namespace: dict[str, Any] = {}
    exec("def fn(x): return {'y': x}\ndef other(x): return {'y': -x}", namespace)
    fn, other = version(namespace["fn"]), version(namespace["other"])
    assert is_other_version(fn, other)
    assert not is_other_version(fn, "cpython-300 0123")
    assert not is_other_version(fn, "0123")


def test_functions_of_a_notebook_are_known_by_their_cells() -> None:
    def cell(number: int, text: str) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        file = f"<ipython-input-{number}>"
        lines = text.splitlines(keepends=True)
        linecache.cache[file] = (len(text), None, lines, file)
        exec(compile(text, file, "exec"), namespace)
        return namespace

    text = "offset = 1\ndef fn(x):\n    return {'y': x + offset}\n"
    first = version(cell(1, text)["fn"])
    assert first == version(cell(2, f"\n\n{text}# a comment\n")["fn"])
    assert is_other_version(first, version(cell(3, text.replace("1", "2"))["fn"]))
    assert is_other_version(first, version(cell(4, text.replace("+", "-"))["fn"]))


@pytest.mark.parametrize("fn", [print, dict, abs, "".join, sorted])
def test_functions_without_source_have_a_version(fn: Any) -> None:
    assert version(fn) == version(fn)


def test_functions_that_call_themselves_have_a_version() -> None:
    def odd(x: int) -> bool:
        return x != 0 and not odd(x - 1)

    assert version(odd) == version(odd)
