"""Which version of a task there is: its source, and what else its jobs have loaded.

The source of a task tells most of what its results depend on, and that is its version
as long as nothing else has changed. Jobs record which other files of code they loaded,
see `psyrun.tasks.loaded_code`. The first record of a file is what it is compared
with: that more files get known doesn't make another version, but a change in one does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import (
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.errors import StoreError
from psyrun.tasks.fingerprint import Source
from psyrun.tasks.fingerprint.canonical import canonical
from psyrun.tasks.fingerprint.imports import parse, statements_of
from psyrun.tasks.loaded_code import LoadedFile, loaded_files
from psyrun.utils.files import file_beside, read_json, write_json
from psyrun.utils.process.code_watch import LoadedCode, is_below

if TYPE_CHECKING:
    from psyrun.tasks.loading import Task

_FORMAT = "psyrun loaded code 1"
_BYTECODE_HEADER = 16  # bytes
_Key = tuple[str, bool]


@dataclass(frozen=True, eq=False)
class Version:
    """A version of a task.

    Attributes
    ----------
    source : Source
        The source of the task.
    changed : tuple of str
        Files that have changed since jobs of this source loaded them.
    workdir : Path
        The work folder. Code in it was made by a run.
    seeding : str
        What random numbers its space gives to `execute`, such as ``seed=1``; empty if
        it has no replicates.
    """

    source: Source
    changed: tuple[str, ...]
    workdir: Path
    _now: Mapping[_Key, LoadedFile]
    _changes: Sequence[str]
    _loaded: Path
    _former: Sequence[LoadedFile]
    seeding: str = ""

    @property
    def code_text(self) -> str:
        """The fingerprint of what makes a row, whatever the space is.

        Also a file that jobs loaded counts, and the seed of replicates.
        """
        return self._with_changes(self.source.code)

    @property
    def code_without_seeding(self) -> str:
        """The fingerprint of what makes a row without random numbers of the space."""
        return replace(self, seeding="").code_text

    @property
    def space_text(self) -> str:
        """The fingerprint of what makes the space.

        A file that jobs loaded counts, as it may have been loaded to make it. So does
        the seed of replicates, which may not be in the source.
        """
        return self._with_changes(self.source.space)

    @cached_property
    def aliases(self) -> tuple[str, ...]:
        """What rows of this code and this space were called by earlier versions.

        Those took the code and the space together, and modules as a whole before that.
        It is found out when it is asked for, which may take long.
        """
        names = self.source.fingerprint, self.source.former_fingerprint
        return tuple(dict.fromkeys(map(self._with_changes, names)))

    @property
    def loaded_forms(self) -> dict[str, str]:
        """What counts now of the files that jobs of this source loaded, as digests."""
        return {name: file.form for (name, _), file in self._now.items()}

    def _with_changes(self, name: str) -> str:
        changes = [*self._changes, *filter(None, [self.seeding])]
        if not changes:
            return name
        text = "\0".join([_FORMAT, name, *changes])
        return hashlib.sha256(text.encode()).hexdigest()

    def is_one_of(self, names: Collection[str], *, is_former: bool = False) -> bool:
        """Whether rows that have one of some fingerprints come from this code.

        Those that are `is_former`, of earlier versions of psyrun, tell of the space as
        well: so rows are not outdated by another version of psyrun.
        """
        if self.code_text in names:
            return True
        return is_former and any(name in names for name in self.aliases)

    def new(self, loaded: Iterable[LoadedCode]) -> list[LoadedFile]:
        """Return what is to be recorded of files that jobs of this version loaded.

        That is nothing for those that its source tells of, or that are recorded.
        """
        files = (self._loaded_file(code) for code in loaded if self._is_unjudged(code))
        return [each for file in files for each in self._unexpected(file)]

    def _is_unjudged(self, code: LoadedCode) -> bool:
        if is_below(code.path, self.workdir):
            return False
        return os.path.realpath(code.path) not in self.source.judged

    def _loaded_file(self, code: LoadedCode) -> LoadedFile:
        content = hashlib.sha256(code.content).hexdigest()
        form = _form(code.content, Path(code.path), is_module=code.is_module)
        name = _name(code.path)
        source = self.source.code
        return LoadedFile(source, name, code.is_module, content, form)

    def remember(self, known: Path) -> None:
        """Record what is known of the source, which takes long to find out.

        What earlier versions of psyrun recorded is put down under today's name.
        """
        # Only time is lost if that cannot be written.
        with suppress(StoreError, OSError):
            if (record := self.source.record()) is not None:
                write_json(known, record)
            for file in self._former:
                replace(file, source=self.source.code).save(self._loaded)

    def _unexpected(self, file: LoadedFile) -> list[LoadedFile]:
        expected = self._now.get((file.file, file.is_module))
        if expected is None:
            return [file]
        # It was changed while jobs ran: neither counts as what rows come from.
        return [] if expected.form == file.form else [expected, file]


def version_of(task: Task, cache: Path, known: Path, loaded: Path) -> Version:
    """Return the version of a task.

    Parameters
    ----------
    task : Task
        The task.
    cache : Path
        File in which the digests of large files are remembered.
    known : Path
        File in which `Version.remember` has recorded what is known of the source.
    loaded : Path
        Folder with the records of code that jobs loaded.

    Raises
    ------
    TaskError
        If a file that it depends on cannot be read.
    """
    from psyrun.pspace.replicates import seeding_text

    digests = known_digests(cache)
    before = dict(digests)
    found = version_of_file(
        task.path,
        task.conf_path,
        task.file_dep,
        known,
        loaded,
        digests=digests,
        resultfile=task.resultfile,
        seeding=seeding_text(task.pspace),
    )
    if digests != before:
        write_json(cache, digests)
    return found


def version_of_file(
    path: Path,
    conf_path: Path | None,
    file_dep: Iterable[str | Path],
    known: Path,
    loaded: Path,
    *,
    digests: MutableMapping[str, str] | None,
    resultfile: Path | None = None,
    seeding: str = "",
) -> Version:
    """Return the version of the task of a file, which is not run.

    `digests` are those of `psyrun.tasks.fingerprint.fingerprint`; `known` and `loaded`
    are as for `version_of`, and `seeding` is that of the space as it was evaluated
    last. Raises `TaskError` as they do.
    """
    record = _record(known)
    workdir = loaded.absolute().parents[1]
    results = [] if resultfile is None else [resultfile, file_beside(resultfile)]
    made = [workdir, *results]
    source = Source(path, conf_path, file_dep, Path.cwd(), digests, record, made)
    recorded: dict[_Key, list[LoadedFile]] = {}
    # Earlier versions of psyrun recorded them for the code and the space together.
    files = loaded_files(loaded, {source.code, source.fingerprint})
    former = [file for file in files if file.source != source.code]
    for file in files:
        recorded.setdefault((file.file, file.is_module), []).append(file)
    now = {key: _as_it_is(files) for key, files in recorded.items()}
    changes = {key: _change(recorded[key], now[key]) for key in sorted(now)}
    parts = [part for part in changes.values() if part]
    changed = dict.fromkeys(file for (file, _), part in changes.items() if part)
    fields = (source, tuple(changed), workdir, now, parts, loaded, former)
    return Version(*fields, seeding)


def known_digests(cache: Path) -> dict[str, str]:
    """Return the digests of large files that are remembered."""
    record = _record(cache)
    return {
        key: value
        for key, value in (record.items() if isinstance(record, dict) else ())
        if isinstance(value, str)
    }


def _record(path: Path) -> object:
    # It is only there to save time.
    with suppress(StoreError, OSError):
        return read_json(path)
    return None


def _change(recorded: list[LoadedFile], now: LoadedFile) -> str:
    """Return how a file differs from its records; empty if it doesn't."""
    forms = sorted({file.form for file in recorded})
    if forms == [now.form]:
        return ""
    return " ".join([now.file, str(now.is_module), now.form, *forms])


def _as_it_is(recorded: list[LoadedFile]) -> LoadedFile:
    """Return the record that a file would get now."""
    first = recorded[0]
    try:
        content = (Path.cwd() / first.file).read_bytes()
    except OSError:
        return replace(first, content="", form="")
    digest = hashlib.sha256(content).hexdigest()
    for file in recorded:
        if file.content == digest:
            return file
    form = _form(content, Path(first.file), is_module=first.is_module)
    return replace(first, content=digest, form=form)


def _form(content: bytes, path: Path, *, is_module: bool) -> str:
    """Return a digest of what counts of a file."""
    statements = statements_of(content, path)
    if statements is not None and not is_module:
        statements = parse(content)
    if statements is not None:
        counts = canonical(statements)
    else:
        # The header of bytecode has the time of its source.
        counts = content[_BYTECODE_HEADER:] if path.suffix == ".pyc" else content
    return hashlib.sha256(counts).hexdigest()


def _name(path: str) -> str:
    """Return the path that is recorded of a file; projects may be moved."""
    root = Path.cwd()
    for each in (Path(path), Path(os.path.realpath(path))):
        if each.is_relative_to(root):
            return each.relative_to(root).as_posix()
    return path
