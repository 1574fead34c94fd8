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
import os
from collections.abc import Iterable, Mapping, MutableMapping
from functools import cached_property
from pathlib import Path

from psyrun.errors import TaskError
from psyrun.tasks.fingerprint.canonical import canonical
from psyrun.tasks.fingerprint.contents import content_digests, content_name
from psyrun.tasks.fingerprint.imports import (
    ModuleSearch,
    ModuleSource,
    added_folders,
    own_modules,
    parse,
)
from psyrun.tasks.fingerprint.module_slices import ModuleSlices
from psyrun.tasks.fingerprint.slicing import slice_results

__all__ = ["Source", "fingerprint"]
_FORMAT = b"psyrun fingerprint 1"
_KINDS = ("task", "conf")


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
    """The source of a task; the parameters are those of `fingerprint`."""

    def __init__(
        self,
        path: Path,
        conf_path: Path | None,
        file_dep: Iterable[str | Path],
        root: Path,
        digests: MutableMapping[str, str] | None = None,
    ) -> None:
        self._path = path
        self._root = root.absolute()
        self._whole = [_source(file) for file in (path, conf_path) if file is not None]
        self._folders = [path.absolute().parent, self._root, self._root / "src"]
        for source in self._whole:
            self._folders += added_folders(source.statements, source.file, self._root)
        self._contents = list(content_digests(file_dep, self._root, path, digests))

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the task."""
        return self._digest(self._module_slices.forms)

    @cached_property
    def former_fingerprint(self) -> str:
        """What earlier versions of psyrun took for it: modules count as a whole."""
        return self._digest(self._modules.forms)

    @cached_property
    def parts(self) -> dict[str, str]:
        """For each file that counts a digest of what counts of it.

        Paths are relative to the project folder if they are in there.
        """
        forms = {source.file: form for source, form in self._forms if form}
        forms |= self._module_slices.by_file
        digests = {
            content_name(file, self._root): hashlib.sha256(form).hexdigest()
            for file, form in forms.items()
        }
        return digests | dict(self._contents)

    @cached_property
    def file_names(self) -> frozenset[str]:
        """What may be names of files in the source that counts."""
        statements = [s for source in self._slices for s in source.statements]
        nodes = (
            node
            for statement in (*statements, *self._module_slices.statements)
            for node in ast.walk(statement)
        )
        texts = (node.value for node in nodes if isinstance(node, ast.Constant))
        return frozenset(os.path.basename(t) for t in texts if isinstance(t, str))  # noqa: PTH119

    def _digest(self, modules: Mapping[str, list[bytes]]) -> str:
        # A psy-conf.py that says nothing about results is as good as none.
        forms = zip(_KINDS, (form for _, form in self._forms), strict=False)
        return _digest(
            *((kind, form) for kind, form in forms if form),
            *((name, form) for name in sorted(modules) for form in modules[name]),
            *((name, content.encode()) for name, content in self._contents),
        )

    @cached_property
    def _forms(self) -> list[tuple[ModuleSource, bytes]]:
        return [(source, canonical(source.statements)) for source in self._slices]

    @cached_property
    def _module_slices(self) -> ModuleSlices:
        sources = list(zip(self._slices, self._whole, strict=True))
        return ModuleSlices(sources, self._folders, self._root)

    @cached_property
    def judged(self) -> frozenset[str]:
        """Real paths of the files of which is known whether results depend on them.

        Among them are modules that only say how to run the task; but none that only
        functions import which nobody calls, as far as is known.
        """
        whole = own_modules(self._whole, self._folders, self._root)
        files = {source.file for source in self._whole}
        files |= whole.files - self._modules.files | self._module_slices.by_file.keys()
        files |= {self._root / name for name, _ in self._contents}
        return frozenset(map(os.path.realpath, files))

    @cached_property
    def _slices(self) -> list[ModuleSource]:
        is_own = ModuleSearch(self._folders, self._root).is_own
        return [
            source._replace(statements=slice_results(source.statements, is_own))
            for source in self._whole
        ]

    @cached_property
    def _modules(self) -> ModuleSearch:
        return own_modules(self._slices, self._folders, self._root)


def _source(file: Path) -> ModuleSource:
    try:
        return ModuleSource(parse(file.read_bytes()), "", file.absolute())
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
