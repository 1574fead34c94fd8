"""Which files of code this process loads, found out as it loads them.

Source tells only a part of it: names of modules are put together, and folders are
added to ``sys.path``, while a program runs. So the loader of Python's import system and
``io.open_code``, by which `runpy` reads files, report here. What is given to ``exec``
can be seen by audit hooks alone. These make every call of ``id`` slower, for example,
and so one is added no sooner than a file is loaded that mentions ``exec``.
"""

from __future__ import annotations

import importlib.machinery
import io
import json
import os
import re
import stat
import sys
import sysconfig
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from psyrun.utils.process.basics import memory_map

INSTALLED = re.compile(
    r"[/\\](site-packages|dist-packages|lib(64)?[/\\]python3\.\d+t?)[/\\]"
)
_COMPILED = re.compile(r"\.(so|dylib|pyd)(\.\d+)*$")
_LIBRARIES = frozenset({"lib", "lib64"})
_SYSTEM = (
    *("/usr/", "/lib", "/opt/", "/nix/", "/snap/", "/cvmfs/", "/Library/"),
    *("/dev/", "/proc/"),
)
_EXEC = re.compile(rb"\bexec\b")
_LATEST = 16  # files that were opened last, one of which may be executed
_LARGEST = 2**18  # bytes of a file of which a part may be executed
_LONG = 6  # characters of a line of code that says something


class LoadedCode(NamedTuple):
    """A file of code as it was when it was loaded.

    `is_module` is False for one that was run as a script.
    """

    path: str
    is_module: bool
    content: bytes


class CodeWatch:
    """Collects the files of code that are loaded, except for installed ones.

    Attributes
    ----------
    project : Path
        The project folder. Source that is loaded from elsewhere counts, too, but not
        from hidden and temporary folders. Compiled libraries from elsewhere count if
        they are in the same repository, beside the project folder, in one of
        ``sys.path``, or installed for editing.
    since : float
        When the code that runs now was started, in seconds since the epoch. Files that
        are younger were made by it.
    """

    def __init__(self) -> None:
        self.project = Path.cwd()
        self.since = float("inf")
        self._new: list[LoadedCode] = []
        self._seen: dict[tuple[str, bool], tuple[int, int, int]] = {}
        self._foreign: set[object] = set()
        self._n_modules = 0
        self._opened: deque[str] = deque(maxlen=_LATEST)
        self._lines: dict[str, tuple[tuple[int, int], frozenset[bytes]]] = {}
        self._is_hooked = False

    @property
    def has_new(self) -> bool:
        """Whether anything may have been loaded since `take` was called."""
        return bool(self._new) or len(sys.modules) != self._n_modules

    def take(self) -> list[LoadedCode]:
        """Return what was loaded since the last call."""
        for path in (*_files_of_modules(), *_compiled_libraries()):
            self.loaded(path, is_module=True)
        # After that: to judge a file may import what reads the list of packages.
        self._n_modules = len(sys.modules)
        new, self._new = self._new, []
        return new

    def loaded(self, name: object, *, is_module: bool) -> None:
        """Note that a file is loaded now; whatever the user's code passed as a name."""
        # To watch must not change what the user's code does.
        with suppress(OSError, TypeError, ValueError):
            if name in self._foreign:
                return
            path = _existing(_absolute(name))
            if self._is_own(path):
                self._note(path, is_module)
            elif path == name and (is_installed(path) or path.startswith(_SYSTEM)):
                # These are most of all, and each job asks for them more than once.
                self._foreign.add(path)

    def _is_own(self, path: str) -> bool:
        if is_installed(path):
            return False
        real = os.path.realpath(path)
        if is_below(path, self.project) or is_below(real, self.project):
            return True
        if path.startswith(_SYSTEM):
            return False
        if any(is_below(path, folder) for folder in _import_folders()):
            return True
        return self._is_near(path) and not self._is_hidden(path)

    def _is_near(self, path: str) -> bool:
        beside = self.project.parent
        if is_below(path, self._repository):
            return True
        if not _COMPILED.search(path):
            return not _is_temporary(path) or _is_temporary(str(self.project))
        # Programs of other kinds may bring their libraries along.
        is_shared = _is_shared(beside) or Path(path).parent.name in _LIBRARIES
        return is_below(path, beside) and not is_shared

    def _is_hidden(self, path: str) -> bool:
        """Tell whether a file is in a hidden folder, which is for programs."""
        common = os.path.commonpath([path, self.project])
        return any(part[0] == "." for part in Path(path).relative_to(common).parts)

    @property
    def _repository(self) -> Path:
        """The folder under version control that the project is in, or the project."""
        return _repository_of(self.project)

    def _note(self, path: str, is_module: bool) -> None:
        status = Path(path).stat()
        key, state = (
            (path, is_module),
            (status.st_mtime_ns, status.st_size, status.st_ino),
        )
        if self._seen.get(key) == state or not stat.S_ISREG(status.st_mode):
            return
        self._seen[key] = state
        if self.since < status.st_mtime <= time.time():
            return
        content = Path(path).read_bytes()
        self._new.append(LoadedCode(path, is_module, content))
        if not self._is_hooked and _EXEC.search(content):
            self._is_hooked = True
            sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "exec":
            name = arguments[0].co_filename
            if name[:1] != "<" and (_absolute(name), True) not in self._seen:
                self.loaded(name, is_module=False)
        elif event == "open":
            name, mode, flags = arguments
            is_read = (
                flags & os.O_ACCMODE == os.O_RDONLY if mode is None else "r" in mode
            )
            if isinstance(name, str | os.PathLike) and is_read:
                self._opened.append(os.fspath(name))
        elif event == "compile" and isinstance(arguments[0], str | bytes):
            self._compiled(arguments[0])

    def _compiled(self, source: str | bytes) -> None:
        """Note the file that a text to be executed was read from."""
        text = source.encode(errors="replace") if isinstance(source, str) else source
        lines = _long_lines(text) if b"\n" in text.strip() else frozenset()
        for name in dict.fromkeys(self._opened):
            with suppress(OSError, ValueError):
                if not is_installed(name) and (
                    _holds(Path(name), text) or self._has_lines(name, lines)
                ):
                    self.loaded(name, is_module=False)

    def _has_lines(self, name: str, lines: frozenset[bytes]) -> bool:
        """Tell whether lines may be a part of a file, or are made from it."""
        if not lines:
            return False
        status = Path(name).stat()
        state = (status.st_mtime_ns, status.st_size)
        if status.st_size > _LARGEST:
            return False
        if self._lines.get(name, (None,))[0] != state:
            if len(self._lines) > _LATEST:
                self._lines.clear()
            self._lines[name] = (state, _long_lines(Path(name).read_bytes()))
        return 2 * len(lines & self._lines[name][1]) >= len(lines)


def _long_lines(text: bytes) -> frozenset[bytes]:
    """Return the lines of a text that others hardly have by accident."""
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line for line in lines if len(line) >= _LONG)


def _holds(path: Path, text: bytes) -> bool:
    """Tell whether a text has, or may have, the content of a file in it."""
    if not text or path.stat().st_size > len(text) + text.count(b"\n"):
        return False
    content = path.read_bytes().replace(b"\r\n", b"\n")
    return bool(content.strip()) and content.strip() in text


def _absolute(name: Any) -> str:
    return os.path.normpath(Path(os.fsdecode(name)).absolute())


def _existing(path: str) -> str:
    """Return the archive of a module in one, else the path itself."""
    found = Path(path)
    while not found.exists() and found != found.parent:
        found = found.parent
    return str(found)


def is_below(path: str, folder: Path) -> bool:
    """Whether a file is in a folder, or in one of its folders."""
    return path.startswith(str(folder) + os.sep)


def _is_shared(folder: Path) -> bool:
    """Tell whether a folder is one that everyone uses."""
    return folder == folder.parent or folder == _temporary_folder()


def _is_temporary(path: str) -> bool:
    return is_below(path, _temporary_folder())


@cache
def _temporary_folder() -> Path:
    """Return the folder for temporary files.

    The library finds it by writing to it, and whoever is killed then leaves that.
    """
    named = [os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP")]
    folders = [*filter(None, named), "/tmp", "/var/tmp", "/usr/tmp"]
    fits = (each for each in folders if os.access(each, os.W_OK | os.X_OK))
    return Path(os.path.abspath(next(fits, os.curdir)))  # noqa: PTH100


@cache
def _repository_of(folder: Path) -> Path:
    for each in (folder, *folder.parents):
        if any((each / name).exists() for name in (".git", ".hg", ".svn")):
            return each
    return folder


def _import_folders() -> Iterator[Path]:
    # They may be relative, and have dots in them.
    folders = (Path(os.path.abspath(entry)) for entry in sys.path)  # noqa: PTH100
    yield from (folder for folder in folders if not _is_shared(folder))
    yield from _folders_for_editing()


@cache
def _folders_for_editing() -> tuple[Path, ...]:
    """Return the folders of packages that were installed with ``pip install -e``."""
    from importlib.metadata import distributions

    texts = (each.read_text("direct_url.json") or "{}" for each in distributions())
    sources = [source for source in map(json.loads, texts) if source]
    urls = [s["url"] for s in sources if s.get("dir_info", {}).get("editable")]
    return tuple(Path(unquote(urlsplit(url).path)) for url in urls)


def _files_of_modules() -> Iterator[str]:
    for module in list(sys.modules.values()):
        # Not by getattr: modules may import others when they are asked.
        found = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(found, str) and not is_installed(found):
            yield found


def _compiled_libraries() -> list[str]:
    """Return the libraries that are loaded, by `ctypes` for example (Linux only)."""
    paths = {line.split(maxsplit=5)[-1] for line in memory_map() if "/" in line}
    return sorted(path for path in paths if _COMPILED.search(path))


def is_installed(path: str) -> bool:
    """Whether a file belongs to Python, to an installed package or to psyrun."""
    if path.startswith(_own_folders()) or INSTALLED.search(path) is not None:
        return True
    # Source there may be the project's, if an environment was made in its folder.
    return path.startswith(_library_folders()) and _COMPILED.search(path) is not None


@cache
def _own_folders() -> tuple[str, ...]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    # Libraries of Python itself, and those that Conda brings.
    folders.add(str(Path(sys.base_prefix, "lib")))
    folders.add(str(Path(__file__).parents[2]))
    return tuple(folder + os.sep for folder in folders)


@cache
def _library_folders() -> tuple[str, ...]:
    """Return the libraries of an environment, such as those of Python or of conda."""
    prefixes = {sys.prefix, sys.base_prefix}
    return tuple(str(Path(prefix, "lib")) + os.sep for prefix in prefixes)


@cache
def code_watch() -> CodeWatch:
    """Return the watch of this process; it begins with the first call."""
    watch = CodeWatch()
    # This imports something itself, which must not be asked about meanwhile.
    _own_folders()
    loader = importlib.machinery.SourceFileLoader
    path_stats, open_code = loader.path_stats, io.open_code

    def watched_path_stats(self: Any, path: str) -> Any:
        watch.loaded(path, is_module=True)
        return path_stats(self, path)

    def watched_open_code(path: str) -> Any:
        watch.loaded(path, is_module=False)
        return open_code(path)

    loader.path_stats = watched_path_stats  # type: ignore[method-assign]
    io.open_code = watched_open_code
    return watch
