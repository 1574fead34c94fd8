"""Decorators, classes and functions that are known to change nothing but their result.

A definition that has no others may come and go without an effect, as long as nobody
uses it. Which they are is told by the import that binds their name, where it is the
only statement of the file that binds it.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from psyrun.tasks.fingerprint.nodes import nodes_of

_DECORATORS = frozenset(
    {"property", "staticmethod", "classmethod"}
    | {
        f"functools.{name}"
        for name in ("cache", "cached_property", "lru_cache", "total_ordering", "wraps")
    }
    | {f"contextlib.{name}" for name in ("contextmanager", "asynccontextmanager")}
    | {
        f"{module}.{name}"
        for module in ("typing", "typing_extensions")
        for name in ("final", "no_type_check", "overload", "override")
    }
    | {f"{module}.runtime_checkable" for module in ("typing", "typing_extensions")}
    | {"abc.abstractmethod", "dataclasses.dataclass", "enum.unique"}
    | {f"numba.{name}" for name in ("guvectorize", "jit", "njit", "vectorize")}
    | {"jax.jit", "attr.s", "attr.define", "attrs.define", "attrs.frozen"}
)
_BASES = frozenset(
    {"abc.ABC", "contextlib.ContextDecorator", "typing.Generic", "typing.NamedTuple"}
    | {f"enum.{n}" for n in ("Enum", "Flag", "IntEnum", "IntFlag", "StrEnum")}
    | {
        f"{module}.{name}"
        for module in ("typing", "typing_extensions")
        for name in ("Protocol", "TypedDict")
    }
)
_CALLS = frozenset(
    {"dataclasses.field", "enum.auto", "collections.namedtuple", "re.compile"}
    | {"logging.getLogger", "pathlib.Path", "attr.ib", "attrs.field"}
    | {f"typing.{name}" for name in ("NewType", "ParamSpec", "TypeVar")}
    | {
        f"numpy.{name}"
        for name in ("arange", "array", "eye", "linspace", "logspace", "ones", "zeros")
    }
)
_ACCESSORS = frozenset({"deleter", "getter", "setter"})
# With these, a class does something when another is derived from it.
_HOOKS = frozenset({"__init_subclass__", "__set_name__"})


class Harmless:
    """What of a file is known to be harmless.

    Parameters
    ----------
    statements : list of ast.stmt
        Those of the file.
    is_own : callable
        Whether an import of one name imports a module of the project.
    """

    def __init__(
        self, statements: list[ast.stmt], is_own: Callable[[ast.stmt], bool]
    ) -> None:
        nodes = nodes_of(statements)
        self._bound = Counter(name for node in nodes for name in _bound_by(node))
        # What a star binds is unknown.
        imports = [
            node
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom) and not self._bound["*"]
        ]
        self._origins = {
            name: origin
            for node in imports
            for name, origin in _origins(node, is_own)
            if self._bound[name] == 1
        }
        self._classes: set[str] = set()

    def decorator(self, node: ast.expr) -> bool:
        """Whether it is a decorator that only changes what it is applied to."""
        return self._origin(_called(node)) in _DECORATORS

    def call(self, node: ast.Call) -> bool:
        """Whether it is a call that only makes an object."""
        return self._origin(node.func) in _CALLS

    def bases(self, node: ast.ClassDef) -> bool:
        """Whether a class is derived from such that don't mind."""
        return not node.keywords and all(map(self._base, node.bases))

    def add_class(self, node: ast.ClassDef) -> None:
        """Note a class of the file that may be a base of others, if it doesn't mind."""
        names = {getattr(child, "name", "") for child in node.body}
        if self._bound[node.name] == 1 and names.isdisjoint(_HOOKS):
            self._classes.add(node.name)

    def is_type_checking(self, test: ast.expr) -> bool:
        """Whether a condition only holds for programs that check types."""
        return self._origin(test) == "typing.TYPE_CHECKING"

    def _base(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Subscript):
            node = node.value
        if isinstance(node, ast.Name) and node.id in self._classes:
            return True
        origin = self._origin(node)
        is_class = isinstance(getattr(builtins, origin, None), type)
        return is_class or origin in _BASES

    def _origin(self, node: ast.expr) -> str:
        """Return the dotted name of what an expression stands for, empty if unknown."""
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        if node.id in self._origins:
            return ".".join([self._origins[node.id], *attributes])
        is_builtin = not (self._bound[node.id] or self._bound["*"] or attributes)
        return node.id if is_builtin and hasattr(builtins, node.id) else ""


def is_accessor(node: ast.expr, body: Iterable[ast.stmt]) -> bool:
    """Whether a decorator is ``x.setter`` or the like of a property of a class body."""
    if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
        return False
    properties = {
        child.name
        for child in body
        if isinstance(child, ast.FunctionDef)
        and any(isinstance(d, ast.Name) for d in child.decorator_list)
    }
    return node.attr in _ACCESSORS and node.value.id in properties


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _origins(
    node: ast.Import | ast.ImportFrom, is_own: Callable[[ast.stmt], bool]
) -> Iterator[tuple[str, str]]:
    """Yield the names that an import of others' modules binds, and of what."""
    if is_own(node) or (isinstance(node, ast.ImportFrom) and node.level):
        return
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            name = alias.name.split(".")[0]
            yield name, name


def _bound_by(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds, in whatever scope it is."""
    match node:
        case ast.Name(ctx=ast.Store() | ast.Del(), id=name):
            yield name
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            yield from (a.asname or a.name.split(".")[0] for a in node.names)
        case ast.Global() | ast.Nonlocal():
            yield from node.names
        case ast.arg(arg=name):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
