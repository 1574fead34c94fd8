"""What the files of a project import, and what libraries do.

A project may have a module that is called as one of Python's or of a library,
such as ``signal.py``. In the files of the project, its name means the module of
the project, as the folders of the project are first on ``sys.path``. In all
others it means the library's, else psyrun and what it uses would break as soon
as they import that later.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import FrozenImporter, ModuleSpec, PathFinder, all_suffixes
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from psyrun.errors import one_line
from psyrun.tasks.helper_pythons import separate_helpers
from psyrun.utils.process.isolation import has_installed_packages, project_entries


def add_to_import_path(taskdir: Path) -> None:
    """Let task files, and schedulers of the user's own, be imported.

    The folder of the task files and the current folder come first, and after them
    what PYTHONPATH names below the current folder.
    """
    folders = [str(folder.absolute()) for folder in (taskdir, Path())]
    first = list(dict.fromkeys([*folders, *project_entries()]))
    separate(first)


def separate(folders: Sequence[str]) -> None:
    """Let modules in the folders of a project be imported, also beside task files."""
    others = [entry for entry in sys.path if entry not in folders]
    sys.path[:] = [*folders, *others]
    _Separation.begin_with(others)


def separate_imports() -> None:
    """Keep libraries from finding modules of the project, whose folders may be new."""
    if _Separation.current is not None:
        _Separation.current.look_at_path()


def _ambiguous(folder: str, path: Sequence[str]) -> Iterator[str]:
    """Yield names of modules in a folder that others on a path have, too.

    What is part of the interpreter is left out: no file takes its place. Packages
    are only compared with those of Python. One with the name of another library may
    be that library itself, or the project that is installed as well.
    """
    if has_installed_packages(folder):
        return
    with suppress(OSError):
        for entry in Path(folder).iterdir():
            name, dot, rest = entry.name.partition(".")
            is_module = name.isidentifier() and dot + rest in all_suffixes()
            if name in sys.stdlib_module_names:
                is_open = name not in sys.builtin_module_names
                is_open = is_open and not FrozenImporter.find_spec(name)
                if is_open and (is_module or (entry / "__init__.py").is_file()):
                    yield name
            elif is_module:
                found = PathFinder.find_spec(name, path)
                if found is not None and found.origin is not None:
                    yield name


_MACHINERY = (__file__, importlib.__file__)


class _Separation:
    """Imports of names that both the project and a library have.

    ``sys.modules`` has room for one module of a name. It is the library's where both
    are imported; the other one is kept aside, for the files of the project.

    Whatever was not on ``sys.path`` when the first task file was loaded is of the
    project.
    """

    current: _Separation | None = None

    def __init__(self, path: Sequence[str]) -> None:
        self._path = list(path)
        self._known: set[str] = set()
        self._folders: tuple[str, ...] = ()
        self._own: tuple[str, ...] = ()
        self._names: set[str] = set()
        # By name and by whether it is the project's, with its submodules.
        self._aside: dict[tuple[str, bool], dict[str, ModuleType]] = {}
        self._depth = 0
        self._import = builtins.__import__

    @classmethod
    def begin_with(cls, path: Sequence[str]) -> None:
        """Look at the folders of the project; `path` has all others."""
        if cls.current is None:
            cls.current = cls(path)
        cls.current.look_at_path()

    def look_at_path(self) -> None:
        """Find the names that the project shares with a library."""
        own = tuple(f"{entry}{os.sep}" for entry in self._path if entry)
        added = (f"{entry}{os.sep}" for entry in sys.path if entry not in self._path)
        # Libraries add folders of their own.
        ours = dict.fromkeys(entry for entry in added if not entry.startswith(own))
        self._folders = tuple({**dict.fromkeys(self._folders), **ours})
        self._own = tuple(entry for entry in own if entry.startswith(self._folders))
        new = ours.keys() - self._known
        self._known |= new
        names = {name for folder in new for name in _ambiguous(folder, self._path)}
        if names and not self._names:
            builtins.__import__ = self.import_
            sys.meta_path.insert(0, self)
            separate_helpers([folder.rstrip(os.sep) for folder in self._folders])
        self._names |= names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """Find the module of a library for whoever is not of the project."""
        if path is not None or name not in self._names or self._is_ours(_importer()):
            return None
        found = PathFinder.find_spec(name, self._path)
        if found is None and name in sys.stdlib_module_names:
            # That of another system, which libraries only try to import.
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found

    def import_(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Take the place of ``__import__``."""
        given = (name, globals, locals, fromlist, level)
        package = ((globals or {}).get("__package__") or "") if level else name
        top = package.partition(".")[0]
        # Code in C, such as that of pickle, looks into sys.modules afterwards.
        if top not in self._names or isinstance(fromlist, list):
            return self._import(*given)
        is_ours = self._is_ours(globals or {})
        if is_ours and not level and top == name and self._has_other(top, is_ours):
            module = self._file_aside(name)
            if module is not None:
                return module
        with self._in_place(top, is_ours):
            return self._import(*given)

    def _is_ours(self, namespace: Mapping[str, Any]) -> bool:
        """Whether a module is one of the project."""
        file = namespace.get("__file__") or ""
        return file.startswith(self._folders) and not file.startswith(self._own)

    def _has_other(self, top: str, is_ours: bool) -> bool:
        """Whether another module is imported by this name than is meant."""
        module = sys.modules.get(top)
        return module is not None and self._is_ours(vars(module)) != is_ours

    def _file_aside(self, name: str) -> ModuleType | None:
        """Return the project's module of a name, unless it is a package.

        While it is run, the library's stays where the library looks for it.
        """
        if module := self._aside.get((name, True), {}).get(name):
            return module
        folders = [folder.rstrip(os.sep) for folder in self._folders]
        spec = PathFinder.find_spec(name, folders)
        if spec is None or spec.loader is None or spec.submodule_search_locations:
            return None
        module = module_from_spec(spec)
        module.__dict__.setdefault("__getattr__", _attributes_of(sys.modules[name]))
        self._aside[name, True] = {name: module}
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del self._aside[name, True]
            if name not in sys.stdlib_module_names or not isinstance(error, Exception):
                raise
            _warn_of(spec, error)
            return sys.modules[name]
        return module

    @contextmanager
    def _in_place(self, top: str, is_ours: bool) -> Iterator[None]:
        """Have the modules that are meant in ``sys.modules`` for a while.

        Those of the library stay there, unless a module of the project is just being
        imported: who does that finds its own by name afterwards.
        """
        is_other = self._has_other(top, is_ours)
        before = _family(top)
        if is_other:
            _replace(top, self._aside.get((top, is_ours), {}))
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if is_other:
                self._aside[top, is_ours] = _family(top)
                if is_ours or self._depth or top not in sys.modules:
                    _replace(top, before)
                else:
                    self._aside[top, True] = before


def _family(top: str) -> dict[str, ModuleType]:
    """Return a module and its submodules, as far as they are imported."""
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name == top or name.startswith(f"{top}.")
    }


def _replace(top: str, modules: Mapping[str, ModuleType]) -> None:
    for name in _family(top):
        del sys.modules[name]
    sys.modules.update(modules)


def _importer() -> Mapping[str, Any]:
    """Return the namespace of whoever imports something right now."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        is_machinery = file.startswith("<frozen importlib") or file in _MACHINERY
        if not is_machinery:
            break
        frame = frame.f_back
    return frame.f_globals


def _warn_of(spec: ModuleSpec, error: Exception) -> None:
    warnings.warn(
        f"{spec.origin}: raised {one_line(error)}; the module of Python's of this name "
        "is taken instead. Rename the file.",
        UserWarning,
        stacklevel=4,
    )


def _attributes_of(module: ModuleType) -> Any:
    """Return a ``__getattr__`` for a module that takes what it lacks from another.

    A file of the project may mean the other one.
    """

    def get(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(module, name)

    return get
