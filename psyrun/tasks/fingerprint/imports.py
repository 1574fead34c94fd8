"""The project's own modules that a piece of source imports.

Modules are looked up as the import system does it on a path of folders
(https://docs.python.org/3/reference/import.html), but none is imported.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from psyrun.tasks.fingerprint.canonical import canonical
from psyrun.tasks.fingerprint.slicing import without_main_block

_EXTENSIONS = (".so", ".pyd")
_IMPORTERS = frozenset({"import_module", "__import__"})
# Calls that give the path they are given.
_SAME = {"Path", "PurePath", "str", "fspath", "expanduser"}
_SAME |= {"abspath", "absolute", "realpath", "resolve"}
_INSTALLED = {"site-packages", "dist-packages"}


class ModuleSource(NamedTuple):
    """Parsed source, its file, and the package that relative imports start from.

    The package is empty if there is none.
    """

    statements: list[ast.stmt]
    package: str
    file: Path


def parse(source: bytes) -> list[ast.stmt]:
    """Parse the source of a module, without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source).body
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error)) from error


def statements_of(content: bytes, file: Path) -> list[ast.stmt] | None:
    """Return what runs when a module is imported, None if it is not valid source."""
    if file.suffix in _EXTENSIONS:
        return None
    try:
        return list(without_main_block(parse(content)))
    except SyntaxError:
        return None


def own_modules(
    sources: list[ModuleSource], folders: list[Path], root: Path
) -> ModuleSearch:
    """Find the modules of the project that are imported, also indirectly.

    They are looked for in `folders`, in this order, and in those that a module adds
    to ``sys.path``.
    """
    while True:
        search = ModuleSearch(folders, root)
        search.follow(list(sources))
        # A folder that was added last may hold what was not found before.
        if search.folders == folders:
            return search
        folders = search.folders


class ModuleSearch:
    """Looks modules up below some folders, in this order.

    Attributes
    ----------
    forms : dict of str to list of bytes
        What `follow` found. For each dotted name there is the canonical form of the
        module, or the content of what is not valid Python source.
    files : set of Path
        Where that was found.
    """

    def __init__(self, folders: list[Path], root: Path) -> None:
        self.folders = list(folders)
        self.root = root
        self.forms: dict[str, list[bytes]] = {}
        self.files: set[Path] = set()
        self._compiled: dict[Path, dict[str, list[Path]]] = {}

    def is_own(self, node: ast.stmt, package: str = "") -> bool:
        """Whether an import in a package imports a module of the project."""
        return any(True for name in _imports(node, package) for _ in self.chain(name))

    def follow(self, sources: list[ModuleSource]) -> None:
        """Collect all modules that are imported, also indirectly; uses `sources` up."""
        while sources:
            source = sources.pop()
            self.add_folders(source)
            for statement in source.statements:
                for name in _imports(statement, source.package):
                    sources += self._collect(name)

    def add_folders(self, source: ModuleSource) -> None:
        """Look in the folders that a module adds to ``sys.path``, too."""
        for folder in added_folders(source.statements, source.file, self.root):
            if folder not in self.folders:
                self.folders.append(folder)

    def _collect(self, name: str) -> Iterator[ModuleSource]:
        for dotted, files in self.chain(name):
            if dotted not in self.forms:
                self.forms[dotted] = []
                for file in files:
                    yield from self._read(dotted, file)

    def _read(self, dotted: str, file: Path) -> Iterator[ModuleSource]:
        self.files.add(file)
        content = file.read_bytes()
        statements = statements_of(content, file)
        if statements is None:
            self.forms[dotted].append(content)
            return
        self.forms[dotted].append(canonical(statements))
        package = dotted if file.name == "__init__.py" else parent_name(dotted)
        yield ModuleSource(statements, package, file)

    def chain(self, name: str) -> Iterator[tuple[str, list[Path]]]:
        """Yield a module after the packages around it; ``p.*`` is all of p."""
        parts = name.split(".")
        folders = [] if parts[0] == "psyrun" else self.folders
        for depth, part in enumerate(parts, start=1):
            if part == "*":
                yield from _all_below(".".join(parts[: depth - 1]), folders)
                return
            files, folders = self._locate(part, folders)
            if files:
                yield ".".join(parts[:depth]), files

    def _locate(
        self, name: str, folders: Iterable[Path]
    ) -> tuple[list[Path], list[Path]]:
        """Return the files of a module, and the folders of its submodules."""
        portions = []
        for folder in folders:
            package, module = folder / name, folder / f"{name}.py"
            if (package / "__init__.py").is_file():
                return [package / "__init__.py"], [package]
            if compiled := self._compiled_in(folder).get(name):
                return compiled, []
            if module.is_file():
                return [module], []
            if package.is_dir():
                portions.append(package)
        return [], portions

    def _compiled_in(self, folder: Path) -> dict[str, list[Path]]:
        """Return the compiled modules in a folder, which is listed once only."""
        if folder not in self._compiled:
            found: dict[str, list[Path]] = {}
            for path in sorted(folder.iterdir() if folder.is_dir() else ()):
                if path.suffix in _EXTENSIONS:
                    found.setdefault(path.name.split(".")[0], []).append(path)
            self._compiled[folder] = found
        return self._compiled[folder]


def _all_below(
    package: str, folders: Iterable[Path]
) -> Iterator[tuple[str, list[Path]]]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", *_EXTENSIONS}:
                below = path.relative_to(folder).with_name(path.name.split(".")[0])
                parts = [part for part in below.parts if part != "__init__"]
                yield ".".join([package, *parts]), [path]


def _imports(statement: ast.stmt, package: str) -> Iterator[str]:
    """Yield the dotted names that a statement may import, anywhere in it."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_name("." * node.level + (node.module or ""), package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            yield from called_import(node, package)


def called_import(node: ast.Call, package: str) -> Iterator[str]:
    """Yield what ``importlib.import_module(...)`` or ``__import__(...)`` imports."""
    function = node.func
    name = getattr(function, "attr", None) or getattr(function, "id", None)
    if name not in _IMPORTERS or not node.args:
        return
    argument = node.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield absolute_name(argument.value, package)
    elif package:
        # Only running it tells which; most likely one of its own package.
        yield f"{package}.*"


def absolute_name(name: str, package: str) -> str:
    """Resolve leading dots as the import system does."""
    tail = name.lstrip(".")
    level = len(name) - len(tail)
    if level == 0:
        return name
    for _ in range(level - 1):
        package = parent_name(package)
    return f"{package}.{tail}".strip(".")


def parent_name(dotted: str) -> str:
    """Return the name of the package that a module is in."""
    return dotted.rpartition(".")[0]


def added_folders(statements: Iterable[ast.stmt], file: Path, root: Path) -> list[Path]:
    """Return the folders that the source of a file adds to ``sys.path``.

    Found are those that are written as text, or by means of ``os.path``, ``pathlib``
    and ``__file__``; others cannot be known without running the source.
    """
    nodes = [node for statement in statements for node in ast.walk(statement)]
    known = _Known(nodes, file)
    folders = [known.path(node) for added in map(_added, nodes) for node in added]
    absolute = [Path(os.path.normpath(root / path)) for path in folders if path]
    return [path for path in absolute if not _INSTALLED.intersection(path.parts)]


def _added(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the folders that a single node adds."""
    if isinstance(node, ast.AugAssign) and _is_sys_path(node.target):
        yield from getattr(node.value, "elts", [])
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        method, argument = node.func.attr, [*node.args[-1:]]
        if _is_sys_path(node.func.value) and method in {"append", "insert"}:
            yield from argument
        elif _is_sys_path(node.func.value) and method == "extend":
            yield from (each for arg in argument for each in getattr(arg, "elts", []))
        elif method == "addsitedir":
            yield from argument


def _is_sys_path(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "path"
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    )


class _Known:
    """Works out paths from what is known without running the source."""

    def __init__(self, nodes: Iterable[ast.AST], file: Path) -> None:
        self._file = file
        self._values = {
            target.id: node.value
            for node in nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def path(self, node: ast.expr) -> Path | None:
        """Return the path that an expression stands for, or None."""
        match node:
            case ast.Constant(value=str(text)):
                return Path(text)
            case ast.Name(id="__file__"):
                return self._file
            case ast.Name(id=name) if name in self._values:
                return self._defined(name)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._joined([left, right])
            case ast.Attribute(value=value, attr="parent"):
                return self._parent(value, 1)
            case ast.Subscript(
                value=ast.Attribute(value=value, attr="parents"),
                slice=ast.Constant(value=int(index)),
            ):
                return self._parent(value, index + 1)
            case ast.Call():
                return self._called(node)
        return None

    def _defined(self, name: str) -> Path | None:
        # Taken out meanwhile, so that a name defined by itself ends.
        value = self._values.pop(name)
        path = self.path(value)
        self._values[name] = value
        return path

    def _called(self, node: ast.Call) -> Path | None:
        function = node.func
        name = getattr(function, "attr", None) or getattr(function, "id", None)
        if name == "join":
            return self._joined(node.args)
        if name == "joinpath" and isinstance(function, ast.Attribute):
            return self._joined([function.value, *node.args])
        if name == "dirname" and node.args:
            return self._parent(node.args[0], 1)
        if name in _SAME:
            return self._same(node)
        return None

    def _same(self, node: ast.Call) -> Path | None:
        if len(node.args) > 1:
            return self._joined(node.args)
        if node.args:
            return self.path(node.args[0])
        function = node.func
        return (
            self.path(function.value) if isinstance(function, ast.Attribute) else None
        )

    def _joined(self, parts: Iterable[ast.expr]) -> Path | None:
        paths = [self.path(part) for part in parts]
        known = [path for path in paths if path is not None]
        return Path(*known) if known and len(known) == len(paths) else None

    def _parent(self, node: ast.expr, levels: int) -> Path | None:
        path = self.path(node)
        for _ in range(levels):
            path = None if path is None else path.parent
        return path
