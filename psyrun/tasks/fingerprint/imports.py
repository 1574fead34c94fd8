"""The project's own modules that a piece of source imports.

Modules are looked up as the import system does it on a path of folders
(https://docs.python.org/3/reference/import.html), but none is imported.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from psyrun.errors import TaskError
from psyrun.tasks.fingerprint.canonical import forms_of
from psyrun.tasks.fingerprint.files import EXTENSIONS, Files
from psyrun.tasks.fingerprint.nodes import nodes_of
from psyrun.tasks.fingerprint.slicing import without_main_block

_IMPORTERS = frozenset({"import_module", "__import__"})
# Calls that give the path they are given.
_SAME = {"Path", "PurePath", "str", "fspath", "expanduser"}
_SAME |= {"abspath", "absolute", "realpath", "resolve"}
_INSTALLED = {"site-packages", "dist-packages"}


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
    if file.suffix in EXTENSIONS:
        return None
    try:
        return list(without_main_block(parse(content)))
    except SyntaxError:
        return None


class ParsedFile:
    """A file that is imported, and what its source says.

    Attributes
    ----------
    file : Path
        Where it is.
    content : bytes
        What is in it.
    """

    def __init__(self, file: Path, content: bytes) -> None:
        self.file = file
        self.content = content
        self._imports: dict[str, list[str]] = {}

    @cached_property
    def source(self) -> list[ast.stmt] | None:
        """What runs when it is imported, None if it is not valid source."""
        return statements_of(self.content, self.file)

    @property
    def statements(self) -> list[ast.stmt]:
        """The same, empty if it is not valid source."""
        return self.source or []

    @cached_property
    def forms(self) -> list[bytes]:
        """The form of each statement, or the content of what is not valid source."""
        return [self.content] if self.source is None else forms_of(self.source)

    @property
    def form(self) -> bytes:
        """The canonical form, or the content of what is not valid source."""
        return b"".join(self.forms)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the statements."""
        return nodes_of(self.statements)

    def imports(self, package: str) -> list[str]:
        """Return the dotted names that it may import as a module of a package."""
        if package not in self._imports:
            self._imports[package] = list(_imports(self.nodes, package))
        return self._imports[package]

    @cached_property
    def _added(self) -> list[Path]:
        return _added_folders(self.nodes, self.file)

    def added_folders(self, root: Path) -> list[Path]:
        """Return the folders that it adds to ``sys.path``, as `added_folders` does."""
        return _absolute(self._added, root)


class ParsedFiles(Files):
    """Files of source, each of which is read and parsed once."""

    def __init__(self) -> None:
        super().__init__()
        self._parsed: dict[Path, ParsedFile] = {}

    def parsed(self, file: Path) -> ParsedFile:
        """Return a file; raises `TaskError` if it cannot be read."""
        if file not in self._parsed:
            try:
                content = self.content(file)
            except OSError as error:
                raise TaskError(
                    f"{file}: cannot be read: {error.strerror}. Check its permissions."
                ) from error
            self._parsed[file] = ParsedFile(file, content)
        return self._parsed[file]


class ModuleSource(NamedTuple):
    """Parsed source, its file, and the package that relative imports start from.

    The package is empty if there is none.
    """

    statements: list[ast.stmt]
    package: str
    file: Path


def own_modules(
    sources: list[ModuleSource], folders: list[Path], root: Path, files: ParsedFiles
) -> ModuleSearch:
    """Find the modules of the project that are imported, also indirectly.

    They are looked for in `folders`, in this order, and in those that a module adds
    to ``sys.path``.
    """
    while True:
        search = ModuleSearch(folders, root, files)
        search.follow(sources)
        # A folder that was added last may hold what was not found before.
        if search.folders == folders:
            return search
        folders = search.folders


class ModuleSearch:
    """Looks modules up below some folders, in this order.

    Attributes
    ----------
    found : dict of str to list of ParsedFile
        What `follow` found, for each dotted name.
    """

    def __init__(self, folders: list[Path], root: Path, files: ParsedFiles) -> None:
        self.folders = list(folders)
        self.root = root
        self.found: dict[str, list[ParsedFile]] = {}
        self._files = files
        self._chains: dict[str, list[tuple[str, list[Path]]]] = {}

    @property
    def forms(self) -> dict[str, list[bytes]]:
        """For each dotted name the canonical form of the module.

        That is the content of what is not valid Python source.
        """
        return {
            name: [each.form for each in found] for name, found in self.found.items()
        }

    @property
    def files(self) -> set[Path]:
        """Where that was found."""
        return {each.file for found in self.found.values() for each in found}

    def is_own(self, node: ast.stmt, package: str = "") -> bool:
        """Whether an import in a package imports a module of the project."""
        return any(map(self.chain, _imports(nodes_of([node]), package)))

    def follow(self, sources: list[ModuleSource]) -> None:
        """Collect all modules that are imported, also indirectly."""
        todo: list[tuple[list[Path], list[str]]] = [
            (
                added_folders(source.statements, source.file, self.root),
                list(_imports(nodes_of(source.statements), source.package)),
            )
            for source in sources
        ]
        while todo:
            added, names = todo.pop()
            self.add_folders(added)
            for name in names:
                for module, package in self._collect(name):
                    added = module.added_folders(self.root)
                    todo.append((added, module.imports(package)))

    def add_folders(self, folders: list[Path]) -> None:
        """Look in folders, too."""
        for folder in folders:
            if folder not in self.folders:
                self.folders.append(folder)
                self._chains.clear()

    def parsed(self, file: Path) -> ParsedFile:
        """Return a file; raises `TaskError` if it cannot be read."""
        return self._files.parsed(file)

    def _collect(self, name: str) -> Iterator[tuple[ParsedFile, str]]:
        for dotted, files in self.chain(name):
            if dotted not in self.found:
                self.found[dotted] = list(map(self.parsed, files))
                for module in self.found[dotted]:
                    if module.source is not None:
                        yield module, package_of(module.file, dotted)

    def chain(self, name: str) -> list[tuple[str, list[Path]]]:
        """Return a module after the packages around it; ``p.*`` is all of p."""
        if name not in self._chains:
            self._chains[name] = list(self._chain(name))
        return self._chains[name]

    def _chain(self, name: str) -> Iterator[tuple[str, list[Path]]]:
        parts = name.split(".")
        folders = [] if parts[0] == "psyrun" else self.folders
        for depth, part in enumerate(parts, start=1):
            if part == "*":
                yield from self._all_below(".".join(parts[: depth - 1]), folders)
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
            files, is_package = self._files.module(folder, name)
            if files:
                return list(files), [folder / name] if is_package else []
            if is_package:
                portions.append(folder / name)
        return [], portions

    def _all_below(
        self, package: str, folders: Iterable[Path]
    ) -> Iterator[tuple[str, list[Path]]]:
        for folder in folders:
            for path in self._files.modules_below(folder):
                below = path.relative_to(folder).with_name(path.name.split(".")[0])
                parts = [part for part in below.parts if part != "__init__"]
                yield ".".join([package, *parts]), [path]


def package_of(file: Path, dotted: str) -> str:
    """Return the package that relative imports of a module start from."""
    return dotted if file.name == "__init__.py" else parent_name(dotted)


def _imports(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    """Yield the dotted names that some nodes may import."""
    for node in nodes:
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
    return _absolute(_added_folders(nodes_of(statements), file), root)


def _added_folders(nodes: list[ast.AST], file: Path) -> list[Path]:
    added = [expression for node in nodes for expression in _added(node)]
    known = _Known(nodes if added else [], file)
    folders = [known.path(expression) for expression in added]
    return [folder for folder in folders if folder]


def _absolute(folders: list[Path], root: Path) -> list[Path]:
    absolute = [Path(os.path.normpath(root / path)) for path in folders]
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
