"""What has changed between versions of a task, by definition and line.

Of each version that is accepted, a work folder keeps which definitions it consisted
of, and a digest of each. It never changes, and only tells what has changed: whether
rows are outdated, fingerprints decide.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from psyrun.errors import StoreError
from psyrun.tasks.config import SPECIAL
from psyrun.tasks.fingerprint.definitions import WHOLE, Definitions
from psyrun.tasks.version import Version
from psyrun.utils.files import read_json, write_json
from psyrun.utils.records import RecordedTypeError, of_record
from psyrun.utils.text import listed

Kind: TypeAlias = Literal["code", "space", "file"]

FORMAT = 1
_LENGTH = 16  # hexadecimal digits in the name of a record
_MOST_KEPT = 100  # records
# Their names tell where they are.
_OF_TASK_FOLDER = re.compile(r"(task_.*|psy-conf)\.py")


@dataclass(frozen=True)
class Change:
    """A definition or file by which two versions of a task differ.

    Attributes
    ----------
    name : str
        What is defined there, such as a function; empty for all of a file.
    file : str
        Where that is, relative to the project folder if it is in there. Empty if it is
        not known, and then `name` says it all.
    line : int
        In which line it is now; 0 if it was removed, or for all of a file.
    kind : str
        ``code`` if what a row is made by depends on it, ``space`` if only the space
        does, and ``file`` for a file of `file_dep`.
    """

    name: str
    file: str
    line: int
    kind: Kind

    def __str__(self) -> str:
        if not self.file:
            return self.name
        return f"{self.name} ({self._place})" if self.name else self._file

    @property
    def clause(self) -> str:
        """A clause that says so, such as ``execute changed (task_seir.py:14)``."""
        if not self.file:
            return self.name
        if not self.name:
            return f"{self._file} changed"
        if not self.line:
            return f"{self.name} was removed ({self._file})"
        return f"{self.name} changed ({self._place})"

    @property
    def _place(self) -> str:
        return f"{self._file}:{self.line}" if self.line else f"{self._file}, removed"

    @property
    def _file(self) -> str:
        name = self.file.rpartition("/")[2]
        return name if _OF_TASK_FOLDER.fullmatch(name) else self.file


def told(changes: Sequence[Change]) -> str:
    """Return the first few changes: ``execute (task_seir.py:14), data.csv``."""
    return listed([str(change) for change in changes])


def clause(changes: Sequence[Change]) -> str:
    """Return a clause that says what changed; empty if nothing is known to have.

    That is ``execute changed (task_seir.py:14)`` for a single one, and
    ``execute (task_seir.py:14), data.csv changed`` for more.
    """
    if len(changes) == 1:
        return changes[0].clause
    return f"{told(changes)} changed" if changes else ""


def of_space(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return the changes by which only the space is another one."""
    return tuple(change for change in changes if change.kind == "space")


def of_code(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return the changes by which rows are outdated."""
    return tuple(change for change in changes if change.kind != "space")


@dataclass(frozen=True)
class _Recorded:
    """What is recorded of a fingerprint.

    One of the code or of the space has its `definitions`, `files` of `file_dep`, what
    counted of those that jobs `loaded`, and the `seeding` of the space. One of both has
    the `names` of these. Of versions that earlier versions of psyrun accepted, there
    are only the digests of files as a whole, `parts`.
    """

    fingerprint: str
    since: float
    kind: Kind = "code"
    names: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    seeding: str = ""


@dataclass(frozen=True)
class _Accepted:
    """What is recorded of the last plan; earlier versions also recorded its parts."""

    unlisted: tuple[str, ...] = ()
    fingerprint: str = ""
    parts: dict[str, str] = field(default_factory=dict)


def record_accepted(
    version: Version,
    fingerprint: str,
    folder: Path,
    path: Path,
    unlisted: Iterable[str] = (),
) -> list[str]:
    """Record what the version of a plan consists of, for `changes_since`.

    Parameters
    ----------
    version : Version
        The version.
    fingerprint : str
        The one that the plan has. Also those of the code and the space are recorded.
    folder : Path
        Folder of records, one for each fingerprint. What is recorded stays.
    path : Path
        File with what was recorded before of files that are not in `file_dep`.
    unlisted : iterable of str
        Such files.

    Returns
    -------
    list of str
        Those of them that no record had before.
    """
    found = _accepted(path)
    former = found or _Accepted()
    if former.parts:
        _save(folder, former.fingerprint, lambda: {"parts": former.parts})
    new = [file for file in unlisted if file not in former.unlisted]
    if new or former.parts or found is None:
        write_json(path, {"unlisted": [*former.unlisted, *new]})
    names = {"code": version.code_text, "space": version.space_text}
    for kind, name in names.items():
        _save(folder, name, partial(_contents, version, kind))
    if fingerprint not in names.values():
        _save(folder, fingerprint, lambda: {"names": names})
    for other in sorted(folder.glob("[!.]*.json"), key=_age)[:-_MOST_KEPT]:
        other.unlink(missing_ok=True)
    return new


def forget_versions(folder: Path, keep: Collection[str]) -> None:
    """Remove the records of fingerprints that no rows have, except some to `keep`."""
    records = {name: _load(folder, name) for name in keep}
    needed = {*keep}
    for record in filter(None, records.values()):
        needed.update(record.names.values())
    names = {name[:_LENGTH] for name in needed}
    for path in folder.glob("[!.]*.json"):
        if path.stem not in names:
            path.unlink(missing_ok=True)


def changes_since(
    version: Version, fingerprint: str, folder: Path, path: Path
) -> tuple[Change, ...]:
    """Return by what a version differs from the one of a fingerprint.

    That may be one of the code, of the space, or of both. What `record_accepted` has
    recorded in the folder is known, and what earlier versions of psyrun have recorded
    at `path`; else there are only files that jobs loaded.
    """
    if fingerprint in (version.code_text, version.space_text):
        return ()
    record = _load(folder, fingerprint)
    accepted = _accepted(path)
    if record is None and accepted and accepted.fingerprint == fingerprint:
        record = _Recorded(fingerprint, 0.0, parts=accepted.parts)
    found: list[tuple[int, Change]] = []
    loaded: dict[str, str] = {}
    for each in _parts_of(record, folder):
        found += _differences(each, version)
        loaded |= each.loaded
    forms = version.loaded_forms
    for file in sorted({*version.changed, *(loaded.keys() & forms.keys())}):
        if loaded.get(file) != forms.get(file):
            found.append((_CHANGED, Change("", file, 0, "code")))
    return tuple(_in_order(found))


_CHANGED, _ADDED, _REMOVED = range(3)


def _parts_of(record: _Recorded | None, folder: Path) -> Iterator[_Recorded]:
    if record is None:
        return
    if not record.names:
        yield record
    for name in record.names.values():
        if (part := _load(folder, name)) is not None:
            yield part


def _differences(then: _Recorded, version: Version) -> Iterator[tuple[int, Change]]:
    source = version.source
    if then.parts:
        for file in sorted({*then.parts, *source.parts}):
            if then.parts.get(file) != source.parts.get(file):
                is_listed = file in source.contents
                yield _CHANGED, Change("", file, 0, "file" if is_listed else "code")
        return
    for file in sorted({*then.files, *source.contents}):
        if then.files.get(file) != source.contents.get(file):
            yield _CHANGED, Change("", file, 0, "file")
    kind = then.kind
    if kind == "code" and then.seeding != version.seeding:
        yield _CHANGED, Change(_reseeded(then.seeding, version.seeding), "", 0, kind)
    now = source.definitions[kind]
    for file in sorted({*then.definitions, *now}):
        before = then.definitions.get(file, {})
        yield from _of_file(kind, file, before, now.get(file, {}))


def _reseeded(then: str, now: str) -> str:
    """Return in words what random numbers a space gives that has given others."""
    if then and now and then.partition(",")[1:] == now.partition(",")[1:]:
        seeds = (each.partition(",")[0].removeprefix("seed=") for each in (then, now))
        return f"seed of replicates: {' -> '.join(seeds)}"
    return f"replicates: {then or 'none'} -> {now or 'none'}"


def _of_file(
    kind: Kind, file: str, then: Mapping[str, Sequence[str]], now: Definitions
) -> Iterator[tuple[int, Change]]:
    found = []
    for name in (then.keys() | now.keys()) - {WHOLE}:
        before, there = list(then.get(name, ())), now.get(name, [])
        digests = [digest for digest, _ in there]
        if digests == before:
            continue
        if not there:
            found.append((_REMOVED, Change(name, file, 0, kind)))
        else:
            lines = [line for digest, line in there if digest not in before]
            line = (lines or [there[-1][1]])[0]
            what = _CHANGED if before else _ADDED
            found.append((what, Change(name, file, line, kind)))
    is_other = [digest for digest, _ in now.get(WHOLE, [])] != list(then.get(WHOLE, ()))
    if not found and is_other:
        # The order counts, too.
        found.append((_CHANGED, Change("", file, 0, kind)))
    yield from found


def _in_order(found: Iterable[tuple[int, Change]]) -> Iterator[Change]:
    """Yield each place once: what changed before what is new or gone."""
    places: set[tuple[str, str, int]] = set()

    def rank(item: tuple[int, Change]) -> tuple[Any, ...]:
        what, change = item
        is_first = change.name in SPECIAL
        return what, not is_first, change.file, change.line, change.name, change.kind

    for _, change in sorted(found, key=rank):
        # A statement may define several names, and count for the code and the space.
        is_gone = not change.line
        place = change.file, change.name if is_gone else "", change.line
        if place not in places:
            places.add(place)
            yield change


def _contents(version: Version, kind: str) -> dict[str, Any]:
    source = version.source
    return {
        "kind": kind,
        "definitions": {
            file: {name: [d for d, _ in entries] for name, entries in found.items()}
            for file, found in source.definitions[kind].items()
        },
        "files": source.contents,
        "loaded": version.loaded_forms,
        "seeding": version.seeding,
    }


def _path(folder: Path, fingerprint: str) -> Path:
    return folder / f"{fingerprint[:_LENGTH]}.json"


def _save(
    folder: Path, fingerprint: str, contents: Callable[[], dict[str, Any]]
) -> None:
    if _load(folder, fingerprint) is None:
        record = {"format": FORMAT, "fingerprint": fingerprint, "since": time.time()}
        write_json(_path(folder, fingerprint), record | contents())


def _load(folder: Path, fingerprint: str) -> _Recorded | None:
    # It only tells what has changed.
    with suppress(StoreError, OSError, RecordedTypeError, AttributeError):
        record = read_json(_path(folder, fingerprint))
        known = {key: value for key, value in record.items() if key != "format"}
        found = of_record(_Recorded, known)
        is_it = found.fingerprint == fingerprint and record.get("format") == FORMAT
        return found if is_it else None
    return None


def _accepted(path: Path) -> _Accepted | None:
    with suppress(StoreError, OSError, RecordedTypeError):
        if (record := read_json(path)) is not None:
            return of_record(_Accepted, record)
    return None


def _age(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
