"""The parts of the project's modules on which the results of a task depend.

Of a module, what counts are the statements that the names come from that are used of
it, and those that may have an effect when it is imported. All of it counts if it is
used in a way that doesn't show the names: as an object, by star, by a name that is put
together, or for its effect alone. Then the same is true of the modules that it imports,
as they can be reached by it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

from psyrun.tasks.fingerprint.canonical import forms_of
from psyrun.tasks.fingerprint.definitions import Definitions, definitions_of
from psyrun.tasks.fingerprint.imports import (
    ModuleSearch,
    ModuleSource,
    ParsedFile,
    ParsedFiles,
    absolute_name,
    called_import,
    package_of,
    parent_name,
)
from psyrun.tasks.fingerprint.names import DYNAMIC, names_of
from psyrun.tasks.fingerprint.nodes import nodes_of
from psyrun.tasks.fingerprint.slicing import Sliceable

Chain: TypeAlias = tuple[str, ...]
"""The attributes that are taken of a name, one after the other."""

_BARE: set[Chain] = {()}
# A module with these hands on more than it binds.
_MAGIC = frozenset({"__getattr__", "__path__"})
# With these, any module may be used by a name that no source shows.
_FINDERS = frozenset({"__import__", "import_module", "__subclasses__", "exec", "eval"})
_FINDING_PACKAGES = frozenset(
    {"importlib", "pkgutil", "runpy", "inspect", "gc", "pickle", "shelve"}
    | {"dill", "cloudpickle", "joblib", "hydra", "stevedore", "pluggy"}
)
# What tells of other modules.
_TELLING = (ast.Import, ast.ImportFrom, ast.Call, ast.Constant, ast.Attribute, ast.Name)


class _Uses:
    """How the names of a file are used, whatever the scope that they are in.

    Parameters
    ----------
    statements : list of ast.stmt
        Those of the file that count.
    known : set of str
        Names that the file uses somewhere, or is there to hand on.
    exported : iterable of str
        Names that others use of it.
    """

    def __init__(
        self,
        statements: list[ast.stmt],
        known: Set[str],
        exported: Iterable[str] = (),
    ) -> None:
        self._known = known
        self._chains = _chains(statements)
        for name in exported:
            self._chains.setdefault(name, set()).add(())
        self._is_dynamic = DYNAMIC in names_of(statements).used

    def of(self, name: str) -> set[Chain]:
        """Return what is taken of a name; ``()`` stands for any other use."""
        # What nobody uses was imported for its effect.
        if self._is_dynamic or name not in self._known:
            return _BARE
        return self._chains.get(name, set())


@dataclass(frozen=True)
class _Slice:
    """Statements of a module that count."""

    statements: list[ast.stmt]

    @cached_property
    def _forms(self) -> list[bytes]:
        return forms_of(self.statements)

    @property
    def form(self) -> bytes:
        return b"".join(self._forms)

    @cached_property
    def definitions(self) -> Definitions:
        return definitions_of(self.statements, self._forms)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return nodes_of(self.statements)


class _Facts:
    """What the source of a module says, whatever counts of it."""

    def __init__(self, parsed: ParsedFile, dotted: str, search: ModuleSearch) -> None:
        self.parsed = parsed
        self.package = package_of(parsed.file, dotted)
        self.is_package = parsed.file.name == "__init__.py"
        self._is_own = partial(search.is_own, package=self.package)
        self._slices: dict[tuple[Set[str], Set[str]], _Slice] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        """Names that it binds."""
        names = names_of(self.parsed.statements)
        return frozenset(names.bound | names.declared)

    @cached_property
    def _submodules(self) -> set[str]:
        if not self.is_package:
            return set()
        return _submodules(self.parsed.nodes, self.package)

    @cached_property
    def bound(self) -> Set[str]:
        """Names that it binds, except to submodules, which can be had by themselves."""
        return self.names - self._submodules

    @cached_property
    def known(self) -> Set[str]:
        """Names that it uses somewhere, or is there to hand on."""
        handed_on = self.names if self.is_package else frozenset[str]()
        used = _chains(self.parsed.statements).keys()
        return handed_on | self._submodules | used

    @cached_property
    def definitions(self) -> Definitions:
        """All of its definitions."""
        return definitions_of(self.parsed.statements, self.parsed.forms)

    @cached_property
    def _sliceable(self) -> Sliceable:
        return Sliceable(self.parsed.statements, self._is_own)

    def slice(self, needed: Set[str], incidental: Set[str]) -> _Slice:
        """Return the part of the module that some names depend on."""
        key = frozenset(needed), frozenset(incidental)
        if key not in self._slices:
            self._slices[key] = _Slice(self._sliceable.slice(*key))
        return self._slices[key]


class _Module:
    """A module of the project, which counts as a whole if it is no valid source.

    What of it only `around` needs is taken to have no effect, if there is one.
    """

    def __init__(self, facts: _Facts, around: _Module | None) -> None:
        self._facts = facts
        self._around = around
        self.file = facts.parsed.file
        self.package = facts.package
        self.bound = facts.bound
        self.is_valid = facts.parsed.source is not None
        self.needed: set[str] = set()
        self.is_used = False
        self.is_whole = not self.is_valid

    @property
    def _incidental(self) -> Set[str]:
        if self._around is None:
            return frozenset()
        if not self._around.is_whole:
            return self._around.needed - self.needed
        return frozenset() if self.is_used else self._facts.names

    @property
    def definitions(self) -> Definitions:
        """The definitions that count."""
        return self._facts.definitions if self.is_whole else self._slice.definitions

    @property
    def _slice(self) -> _Slice:
        return self._facts.slice(self.needed, self._incidental)

    def uses(self) -> _Uses | None:
        """Return how what counts of the module uses others, None for any way."""
        if self.is_whole:
            return None
        known = self._facts.known | self.needed
        return _Uses(self._slice.statements, known, self.needed)

    @property
    def nodes(self) -> list[ast.AST]:
        """All nodes of what counts."""
        return self._facts.parsed.nodes if self.is_whole else self._slice.nodes

    @property
    def form(self) -> bytes:
        """What counts, as bytes."""
        return self._facts.parsed.form if self.is_whole else self._slice.form


class ModuleSlices:
    """What counts of the modules that some sources use.

    Of each source there is first the part that counts, then all of it. Modules are
    looked up as `psyrun.tasks.fingerprint.imports.own_modules` does.
    """

    def __init__(
        self,
        sources: list[tuple[ModuleSource, ModuleSource]],
        folders: list[Path],
        root: Path,
        files: ParsedFiles,
    ) -> None:
        self._around: ModuleSlices | None = None
        while True:
            self._search = ModuleSearch(folders, root, files)
            self._facts: dict[tuple[Path, str], _Facts] = {}
            self._find(sources)
            if self._search.folders == folders:
                return
            folders = self._search.folders

    def of_parts(
        self, sources: list[tuple[ModuleSource, ModuleSource]]
    ) -> ModuleSlices:
        """Return what counts of the modules for less of the same sources.

        What a module that the other parts import does when it is imported counts, but
        nothing that only prepares what these need.
        """
        part = object.__new__(ModuleSlices)
        part._around = self
        part._search = self._search
        part._facts = self._facts
        part._find(sources)
        return part

    def _find(self, sources: list[tuple[ModuleSource, ModuleSource]]) -> None:
        self._modules: dict[str, list[_Module]] = {}
        self._todo: set[str] = set()
        self._all_are_whole = False
        for name, modules in self._around._modules.items() if self._around else ():
            # What is compiled may do anything, but most likely does nothing.
            if all(module.is_valid for module in modules):
                self._add(name, [module.file for module in modules])
        for part, whole in sources:
            known = _chains(whole.statements).keys()
            nodes = nodes_of(part.statements)
            self._follow(nodes, "", _Uses(part.statements, known))
        while self._todo:
            for module in self._modules[self._todo.pop()]:
                self._follow(module.nodes, module.package, module.uses())

    @property
    def forms(self) -> dict[str, list[bytes]]:
        """For each dotted name what counts of the module."""
        return {
            name: [module.form for module in modules]
            for name, modules in self._modules.items()
        }

    @property
    def nodes(self) -> Iterator[ast.AST]:
        """All nodes of the statements that count."""
        for modules in self._modules.values():
            for module in modules:
                yield from module.nodes

    @property
    def definitions(self) -> Iterator[tuple[Path, Definitions]]:
        """For files the definitions that count."""
        for modules in self._modules.values():
            for module in modules:
                if module.form:
                    yield module.file, module.definitions

    @property
    def by_file(self) -> dict[Path, bytes]:
        """For each file what counts of it."""
        modules = [module for found in self._modules.values() for module in found]
        return {module.file: module.form for module in modules}

    def _follow(
        self, nodes: Iterable[ast.AST], package: str, uses: _Uses | None
    ) -> None:
        """Note what a piece of source uses of other modules."""
        telling = [node for node in nodes if isinstance(node, _TELLING)]
        if not self._all_are_whole and any(map(_may_find_any, telling)):
            self._all_are_whole = True
            for name in list(self._modules):
                self._take_whole(name)
        for node in telling:
            self._follow_node(node, package, uses)

    def _follow_node(self, node: ast.AST, package: str, uses: _Uses | None) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._import(alias, uses)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_name("." * node.level + (node.module or ""), package)
            self._enter(base)
            for alias in node.names:
                self._import_from(base, alias, uses)
        elif isinstance(node, ast.Call):
            for name in called_import(node, package):
                self._take_whole(name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._mention(node.value)

    def _import(self, alias: ast.alias, uses: _Uses | None) -> None:
        self._enter(alias.name)
        target = alias.name if alias.asname else alias.name.split(".")[0]
        self._use(target, _of(uses, alias.asname or target))

    def _import_from(self, base: str, alias: ast.alias, uses: _Uses | None) -> None:
        if self._all_are_whole:
            self._enter(f"{base}.{alias.name}")
        elif alias.name == "*":
            self._take_whole(f"{base}.*")
        elif self._binds(base, alias.name) or not self._enter(f"{base}.{alias.name}"):
            self._need(base, alias.name)
        else:
            used = _of(uses, alias.asname or alias.name)
            self._use(f"{base}.{alias.name}", used)

    def _use(self, target: str, chains: set[Chain]) -> None:
        for chain in chains:
            module, rest = target, list(chain)
            while rest and not self._binds(module, rest[0]):
                if not self._enter(f"{module}.{rest[0]}"):
                    break
                module = f"{module}.{rest.pop(0)}"
            if rest:
                self._need(module, rest[0])
            else:
                self._take_whole(module)

    def _mention(self, text: str) -> None:
        """Note a text that may name something of a module for someone else to find."""
        head = text.replace(":", ".").rpartition(".")[0]
        if head and all(map(str.isidentifier, head.split("."))):
            while head:
                if head in self._modules:
                    self._take_whole(head)
                head = parent_name(head)

    def _enter(self, name: str) -> bool:
        """Note that a module and the packages around it are imported, if it is ours."""
        found = ""
        for dotted, files in self._search.chain(name):
            found = dotted
            if dotted not in self._modules:
                for file in files:
                    added = self._search.parsed(file).added_folders(self._search.root)
                    self._search.add_folders(added)
                self._add(dotted, files)
            for module in self._modules[dotted]:
                if not module.is_used:
                    module.is_used = True
                    self._todo.add(dotted)
        return found == name

    def _add(self, name: str, files: Iterable[Path]) -> None:
        """Take a module in for what it does when it is imported."""
        self._modules[name] = [self._module(name, file) for file in files]
        self._todo.add(name)
        if self._all_are_whole or self._is_in_whole_package(name):
            self._take_whole(name)

    def _module(self, name: str, file: Path) -> _Module:
        if (file, name) not in self._facts:
            parsed = self._search.parsed(file)
            self._facts[file, name] = _Facts(parsed, name, self._search)
        around = self._around._modules.get(name, ()) if self._around else ()
        same = (module for module in around if module.file == file)
        return _Module(self._facts[file, name], next(same, None))

    def _is_in_whole_package(self, name: str) -> bool:
        around = self._modules.get(parent_name(name), [])
        return any(module.is_whole for module in around)

    def _binds(self, name: str, attribute: str) -> bool:
        return any(attribute in module.bound for module in self._modules.get(name, ()))

    def _need(self, name: str, attribute: str) -> None:
        for module in self._modules.get(name, ()):
            if module.is_whole:
                continue
            if attribute not in module.bound or module.bound & _MAGIC:
                self._take_whole(name)
            elif attribute not in module.needed:
                module.needed.add(attribute)
                self._todo.add(name)

    def _take_whole(self, name: str) -> None:
        """Let all of a module count, and of those below it; ``p.*`` is all of p."""
        self._enter(name)
        package = name.removesuffix(".*")
        for dotted, modules in self._modules.items():
            if dotted == package or dotted.startswith(f"{package}."):
                for module in modules:
                    if not module.is_whole:
                        module.is_whole = True
                        self._todo.add(dotted)


def _of(uses: _Uses | None, name: str) -> set[Chain]:
    return _BARE if uses is None else uses.of(name)


def _submodules(nodes: list[ast.AST], package: str) -> set[str]:
    """Return the names that a package takes from itself, which are of submodules."""
    return {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        and absolute_name("." * node.level + (node.module or ""), package) == package
        for alias in node.names
        if alias.asname is None
    }


def _chains(statements: Iterable[ast.stmt]) -> dict[str, set[Chain]]:
    """Return how names are used, whatever the scope that they are in.

    That is ``{'a': {('b', 'c')}}`` for ``a.b.c``, and ``{'a': {()}}`` for other uses.
    """
    chains: dict[str, set[Chain]] = {}
    todo: list[tuple[ast.AST, tuple[str, ...]]] = [(node, ()) for node in statements]
    while todo:
        node, taken = todo.pop()
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            todo.append((node.value, (node.attr, *taken)))
        elif isinstance(node, ast.Name):
            # To bind a name once more is no use of what it had.
            if isinstance(node.ctx, ast.Load):
                chains.setdefault(node.id, set()).add(taken)
        else:
            todo += [(child, ()) for child in ast.iter_child_nodes(node)]
    return chains


def _may_find_any(node: ast.AST) -> bool:
    """Tell whether a piece of source may use modules that it does not name."""
    if isinstance(node, ast.Import):
        names = {alias.name.split(".")[0] for alias in node.names}
        return not _FINDING_PACKAGES.isdisjoint(names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] in _FINDING_PACKAGES
    if isinstance(node, ast.Attribute):
        return node.attr in _FINDERS or (node.attr == "modules" and _is_sys(node.value))
    return isinstance(node, ast.Name) and node.id in _FINDERS


def _is_sys(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "sys"
