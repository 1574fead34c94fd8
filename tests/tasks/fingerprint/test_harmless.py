"""Unused definitions with decorators and bases, added to a module that is used."""

from __future__ import annotations

import pytest

TASK = "from help import f\ndef execute(x): return f(x)\n"
MODULE = """\
import abc, contextlib, dataclasses, enum, functools, logging, re, typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar
import numba
import numpy as np
from numba import njit

def f(x):
    return x
"""
HARMLESS = {
    "cache": "@functools.cache\ndef g(x): return 1",
    "cache of a size": "@functools.lru_cache(maxsize=9)\ndef g(x): return 1",
    "wrapper": "def d(h):\n    @functools.wraps(h)\n    def g(): h()\n    return g",
    "wrapper of the one in use": "@functools.wraps(f)\ndef g(x): return 1",
    "compiled": "@njit\ndef g(x): return 1",
    "compiled with options": "@numba.jit(nopython=True)\ndef g(x): return 1",
    "context manager": "@contextlib.contextmanager\ndef g(): yield",
    "data class": "@dataclass\nclass C:\n    a: int = 1",
    "data class with fields": "@dataclasses.dataclass(frozen=True)\nclass C:\n"
    "    a: list = field(default_factory=list)",
    "property": "class C:\n    @property\n    def a(self): return 1\n"
    "    @a.setter\n    def a(self, value): pass",
    "methods": "class C:\n    @staticmethod\n    def a(): pass\n"
    "    @classmethod\n    def b(cls): pass",
    "abstract class": "class C(abc.ABC):\n    @abc.abstractmethod\n    def a(self): 1",
    "exception": "class WrongError(ValueError): pass",
    "exceptions": "class WrongError(Exception): pass\nclass Worse(WrongError): pass",
    "kind of dict": "class C(dict):\n    def __missing__(self, key): return 0",
    "enumeration": "@enum.unique\nclass C(enum.Enum):\n    A = 1\n    B = enum.auto()",
    "named tuple": "class C(NamedTuple):\n    a: int",
    "generic": "T = TypeVar('T')\nclass C(Generic[T]):\n    a: T",
    "overloads": "@typing.overload\ndef g(x: int) -> int: ...\ndef g(x): return x",
    "logger": "logger = logging.getLogger(__name__)",
    "pattern": "PATTERN = re.compile('a+')",
    "array": "GRID = np.linspace(0, 1, 10) * 2",
    "imports for types": "if TYPE_CHECKING:\n    import torch",
}
IN_DOUBT = {
    "registry": "R = {}\ndef d(h):\n    R[1] = h\n    return h\n@d\ndef g(): pass",
    "decorator of the one in use": "@f\ndef g(): pass",
    "unknown decorator": "import plugins\n@plugins.register\ndef g(): pass",
    "decorator with another meaning": "cache = f\n@cache\ndef g(): pass",
    "name of the library taken": "functools = f\n@functools.cache\ndef g(): pass",
    "taken in a function": "def h():\n    global njit\n    njit = f\n@njit\ndef g(): 1",
    "name of a builtin": "def property(h): f.h = h\nclass C:\n    @property\n"
    "    def a(self): pass",
    "argument with an effect": "@functools.lru_cache(f(1))\ndef g(): pass",
    "default with an effect": "@functools.cache\ndef g(x=f(1)): pass",
    "field with an effect": "@dataclass\nclass C:\n    a: int = field(default=f(1))",
    "unknown base": "import plugins\nclass C(plugins.Base): pass",
    "base that notices": "class B:\n    def __init_subclass__(cls): f(cls)\n"
    "class C(B): pass",
    "base with a decorator": "import plugins\n@plugins.register\nclass B: pass\n"
    "class C(B): pass",
    "metaclass": "class C(metaclass=type(f)): pass",
    "all names unknown": "from plugins import *\n@functools.cache\ndef g(): pass",
    "condition with an effect": "if f(1):\n    import torch",
}


@pytest.mark.parametrize("added", HARMLESS.values(), ids=HARMLESS)
def test_what_is_harmless_and_not_used_does_not_count(of, added) -> None:
    plain = of(TASK, **{"help.py": MODULE})
    assert of(TASK, **{"help.py": f"{MODULE}\n{added}\n"}) == plain
    assert of(MODULE + TASK) == of(f"{MODULE}\n{added}\n{TASK}")


USED = {
    "g": "@functools.cache\ndef g(x): return $",
    "Conf": "@dataclass\nclass Conf:\n    a: int = field(default=$)",
    "Worse": "class WrongError(Exception):\n    n = $\nclass Worse(WrongError): pass",
    "Mode": "class Mode(enum.Enum):\n    A = $",
    "GRID": "GRID = np.linspace(0, $)",
}


@pytest.mark.parametrize("name", USED)
def test_what_is_harmless_counts_where_it_is_used(of, name) -> None:
    task = f"from help import {name}\ndef execute(x): return {name}\n"
    one, other = (f"{MODULE}\n{USED[name]}\n".replace("$", n) for n in "12")
    assert one != other
    assert of(task, **{"help.py": one}) != of(task, **{"help.py": other})


@pytest.mark.parametrize("added", IN_DOUBT.values(), ids=IN_DOUBT)
def test_what_may_have_an_effect_counts(of, added) -> None:
    plain = of(TASK, **{"help.py": MODULE})
    assert of(TASK, **{"help.py": f"{MODULE}\n{added}\n"}) != plain
