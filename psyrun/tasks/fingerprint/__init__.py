"""What the results of a task depend on, as one short text.

The fingerprint is taken from source alone: no code of the user runs. It
changes with everything that `pspace`, `execute`, `setup` and
`exclude_from_result` may see, and not with comments, formatting, the special
variables that only say how a task is run, the place of the project folder, or
the version of Python.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Set
from functools import cache, cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

from psyrun.errors import TaskError
from psyrun.tasks.fingerprint.canonical import canonical, forms_of
from psyrun.tasks.fingerprint.contents import content_digests, content_name
from psyrun.tasks.fingerprint.definitions import Definitions, definitions_of, joined
from psyrun.tasks.fingerprint.files import Files
from psyrun.tasks.fingerprint.imports import (
    ModuleSearch,
    ModuleSource,
    ParsedFiles,
    added_folders,
    own_modules,
    parse,
)
from psyrun.tasks.fingerprint.memory import Memory
from psyrun.tasks.fingerprint.module_slices import ModuleSlices
from psyrun.tasks.fingerprint.nodes import nodes_of
from psyrun.tasks.fingerprint.slicing import CODE, DECISIVE, SPACE, Sliceable
from psyrun.tasks.fingerprint.tables import tables_read

__all__ = ["Source", "fingerprint"]
_FORMAT = b"psyrun fingerprint 1"
_KINDS = ("task", "conf")
_LONGEST_NAME = 255  # bytes, in all file systems in use


def fingerprint(
    path: Path,
    conf_path: Path | None,
    file_dep: Iterable[str | Path],
    root: Path,
    digests: MutableMapping[str, str] | None = None,
) -> str:
    """Return a text that changes if the results of a task may change.

    It is a SHA-256 as 64 hexadecimal digits. Relative paths of `file_dep` start at
    the project folder `root`. `digests` remembers those of large files by path, size
    and times of change, so that they are read once only; it is added to, and may be
    kept between calls, for example as JSON.

    Raises `TaskError` where a source file is not Python, or a file of `file_dep`
    cannot be read.
    """
    return Source(path, conf_path, file_dep, root, digests).fingerprint


class Source:
    """The source of a task; the first parameters are those of `fingerprint`.

    What was found out about source that has not changed since is taken from a `record`
    of before, if there is one. Files in folders of `file_dep` that a run has `made`, or
    that are in such a folder, do not count.
    """

    def __init__(
        self,
        path: Path,
        conf_path: Path | None,
        file_dep: Iterable[str | Path],
        root: Path,
        digests: MutableMapping[str, str] | None = None,
        record: object = None,
        made: Iterable[str | Path] = (),
    ) -> None:
        self._root = root.absolute()
        self._contents = list(
            content_digests(file_dep, self._root, path, digests, made)
        )
        whole = [file for file in (path, conf_path) if file is not None]
        key = [_version(), str(self._root), *map(str, whole), *self._contents]
        self._memory = Memory(json.loads(json.dumps(key)), record)
        self._analysis = partial(_Analysis, path, conf_path, self._root)

    def record(self) -> dict[str, Any] | None:
        """Return what is worth to be kept, as JSON has it; None if nothing is new.

        It has all but `former_fingerprint`, which is asked for once at most.
        """
        _ = self.fingerprint, self.code, self.space
        _ = self.parts, self.definitions, self.file_names, self.judged
        return self._memory.record()

    @cached_property
    def _analysed(self) -> _Analysis:
        """The analysis of the source, if it has to be done."""
        analysed = self._analysis()
        self._memory.files.append(analysed.files)
        return analysed

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the task."""
        return str(self._memory.get("fingerprint", self._find_fingerprint))

    def _find_fingerprint(self) -> str:
        return self._digest(self._analysed.rows.slices.forms)

    @cached_property
    def code(self) -> str:
        """The fingerprint of what makes a row: all but the space.

        That is what `execute`, `setup` and `exclude_from_result` depend on, what has an
        effect of its own, and the content of the files of `file_dep`.
        """
        return str(self._memory.get("code", lambda: self._of_part(CODE)))

    @cached_property
    def space(self) -> str:
        """The fingerprint of what makes the space, the same otherwise.

        What has an effect of its own and the files of `file_dep` count for both. A
        table counts for the space if `Param.read` is called with its name.
        """
        return str(self._memory.get("space", lambda: self._of_part(SPACE)))

    def _of_part(self, names: Set[str]) -> str:
        part = self._analysed.code if names == CODE else self._analysed.space
        modules = part.slices.forms
        return _digest(
            (" ".join(sorted(names)), b""),
            *_own_forms(part),
            # Other parts may need a module of which nothing counts here.
            *((n, form) for n in sorted(modules) for form in modules[n] if form),
            *((name, content.encode()) for name, content in self._contents),
            *(self._tables(part) if names == SPACE else ()),
        )

    def _tables(self, part: _Part) -> Iterator[tuple[str, bytes]]:
        for name, file in self._table_files(part):
            yield f"table {name}", self._analysed.files.content(file)

    def _table_files(self, part: _Part) -> Iterator[tuple[str, Path]]:
        for name in tables_read(chain(part.nodes, part.slices.nodes)):
            if self._analysed.files.is_file(file := self._root / name):
                yield name, file

    @property
    def contents(self) -> dict[str, str]:
        """The digests of the files of `file_dep`."""
        return dict(self._contents)

    @cached_property
    def definitions(self) -> dict[str, dict[str, Definitions]]:
        """For the ``code`` and the ``space`` the definitions of files that count."""
        found = self._memory.get("definitions", self._find_definitions)
        return {kind: dict(found[kind]) for kind in ("code", "space")}

    def _find_definitions(self) -> dict[str, dict[str, Definitions]]:
        analysed = self._analysed
        return {
            kind: joined(
                (content_name(file, self._root), definitions)
                for file, definitions in part.definitions
            )
            for kind, part in (("code", analysed.code), ("space", analysed.space))
        }

    @cached_property
    def former_fingerprint(self) -> str:
        """What earlier versions of psyrun took for it: modules count as a whole."""
        return str(self._memory.get("former", self._find_former))

    def _find_former(self) -> str:
        return self._digest(self._analysed.modules.forms)

    @cached_property
    def parts(self) -> dict[str, str]:
        """For each file that counts a digest of what counts of it.

        Paths are relative to the project folder if they are in there.
        """
        return self._memory.get("parts", self._find_parts) | dict(self._contents)

    def _find_parts(self) -> dict[str, str]:
        rows = self._analysed.rows
        forms = {source.file: form for source, form in rows.forms if form}
        forms |= rows.slices.by_file
        return {
            content_name(file, self._root): hashlib.sha256(form).hexdigest()
            for file, form in forms.items()
        }

    @cached_property
    def file_names(self) -> frozenset[str]:
        """What may be names of files in the source that counts."""
        return frozenset(self._memory.get("file names", self._find_file_names))

    def _find_file_names(self) -> list[str]:
        rows = self._analysed.rows
        nodes = chain(rows.nodes, rows.slices.nodes)
        texts = (node.value for node in nodes if isinstance(node, ast.Constant))
        names = (os.path.basename(t) for t in texts if isinstance(t, str))  # noqa: PTH119
        return sorted({name for name in names if len(name) <= _LONGEST_NAME})

    @cached_property
    def judged(self) -> frozenset[str]:
        """Real paths of the files of which is known whether results depend on them.

        Among them are modules that only say how to run the task; but none that only
        functions import which nobody calls, as far as is known.
        """
        files = self._memory.get("judged", self._find_judged)
        contents = (str(self._root / name) for name, _ in self._contents)
        return frozenset(map(os.path.realpath, (*files, *contents)))

    def _find_judged(self) -> list[str]:
        analysed = self._analysed
        files = {source.file for source in analysed.whole}
        files |= analysed.all_modules.files - analysed.modules.files
        files |= analysed.rows.slices.by_file.keys()
        # Those count for the space.
        files |= {file for _, file in self._table_files(analysed.space)}
        return sorted(map(str, files))

    def _digest(self, modules: Mapping[str, list[bytes]]) -> str:
        return _digest(
            *_own_forms(self._analysed.rows),
            *((name, form) for name in sorted(modules) for form in modules[name]),
            *((name, content.encode()) for name, content in self._contents),
        )


def _own_forms(part: _Part) -> Iterator[tuple[str, bytes]]:
    """Yield what counts of the task file and of psy-conf.py."""
    for kind, (_, form) in zip(_KINDS, part.forms, strict=False):
        # A psy-conf.py that says nothing about results is as good as none.
        if form:
            yield kind, form


class _Analysis:
    """What the source of a task and of the project's modules says."""

    def __init__(self, path: Path, conf_path: Path | None, root: Path) -> None:
        self.files = ParsedFiles()
        self._root = root
        self.whole = [
            _source(file, self.files) for file in (path, conf_path) if file is not None
        ]
        self._folders = [path.absolute().parent, root, root / "src"]
        for source in self.whole:
            self._folders += added_folders(source.statements, source.file, root)

    @cached_property
    def _sliceable(self) -> list[Sliceable]:
        is_own = ModuleSearch(self._folders, self._root, self.files).is_own
        return [Sliceable(source.statements, is_own) for source in self.whole]

    @cached_property
    def rows(self) -> _Part:
        """What counts for rows: for the code and for the space."""
        pairs = self._sliced(DECISIVE)
        return _Part(pairs, ModuleSlices(pairs, self._folders, self._root, self.files))

    @cached_property
    def code(self) -> _Part:
        """What counts of that for the code."""
        return self._part(CODE)

    @cached_property
    def space(self) -> _Part:
        """What counts of that for the space."""
        return self._part(SPACE)

    def _part(self, names: Set[str]) -> _Part:
        pairs = self._sliced(names)
        return _Part(pairs, self.rows.slices.of_parts(pairs))

    def _sliced(self, names: Set[str]) -> list[tuple[ModuleSource, ModuleSource]]:
        """Return for each file the part that special variables depend on, and all."""
        return [
            (whole._replace(statements=sliceable.slice_special(names)), whole)
            for whole, sliceable in zip(self.whole, self._sliceable, strict=True)
        ]

    @cached_property
    def modules(self) -> ModuleSearch:
        """The modules that what counts imports."""
        return self._own_modules(self.rows.sources)

    @property
    def all_modules(self) -> ModuleSearch:
        """The modules that anything imports."""
        return self._own_modules(self.whole)

    def _own_modules(self, sources: list[ModuleSource]) -> ModuleSearch:
        return own_modules(sources, self._folders, self._root, self.files)


class _Part:
    """What counts of some source, and of the modules that it uses."""

    def __init__(
        self, sources: list[tuple[ModuleSource, ModuleSource]], slices: ModuleSlices
    ) -> None:
        self.sources = [part for part, _ in sources]
        self.slices = slices

    @property
    def nodes(self) -> list[ast.AST]:
        """All nodes of what counts of the task file and psy-conf.py."""
        return [node for part in self.sources for node in nodes_of(part.statements)]

    @cached_property
    def forms(self) -> list[tuple[ModuleSource, bytes]]:
        """What counts of the task file and of psy-conf.py."""
        return [(source, canonical(source.statements)) for source in self.sources]

    @property
    def definitions(self) -> Iterator[tuple[Path, Definitions]]:
        """For files the definitions that count."""
        for source, form in self.forms:
            if form:
                yield (
                    source.file,
                    definitions_of(source.statements, forms_of(source.statements)),
                )
        yield from self.slices.definitions


def _source(file: Path, files: Files) -> ModuleSource:
    try:
        absolute = file.absolute()
        return ModuleSource(parse(files.content(absolute)), "", absolute)
    except OSError as error:
        raise TaskError(
            f"{file}: cannot be read: {error.strerror}. Check that it exists."
        ) from error
    except SyntaxError as error:
        raise TaskError(
            f"{file}:{error.lineno or 1}: {error.msg}. Correct the syntax there."
        ) from error


def _digest(*parts: tuple[str, bytes]) -> str:
    digest = hashlib.sha256(_FORMAT)
    for name, content in parts:
        # Lengths keep the parts from running into each other.
        label = name.encode(errors="surrogateescape")
        digest.update(b"%d:%s%d:" % (len(name), label, len(content)))
        digest.update(content)
    return digest.hexdigest()


@cache
def _version() -> str:
    """Return what stands for the code that works all this out."""
    folder = Path(__file__).parent
    digest = hashlib.sha256(sys.version.encode())
    for file in (*sorted(folder.glob("*.py")), folder.with_name("config.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
