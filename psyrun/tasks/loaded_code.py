"""Which files of code the jobs of a task have loaded, and what was in them.

Source tells only a part of what a task loads, so jobs record the rest: a small file for
each file of code, which all jobs that load it write alike. It belongs to the version of
the task's source that loaded it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from dataclasses import asdict, dataclass
from pathlib import Path

from psyrun.utils.files import damaged, read_json, write_json
from psyrun.utils.records import RecordedTypeError, of_record

FORMAT = 1


@dataclass(frozen=True)
class LoadedFile:
    """A file that a job has loaded.

    Attributes
    ----------
    source : str
        Fingerprint of the code of the task that loaded it, see `Source.code`.
    file : str
        Its path; relative to the project folder if it is in there.
    is_module : bool
        Whether it was imported, and not run as a script.
    content : str
        SHA-256 of what was in it.
    form : str
        The same of what counts of that.
    """

    source: str
    file: str
    is_module: bool
    content: str
    form: str

    @property
    def _name(self) -> str:
        parts = (self.source, self.file, str(self.is_module), self.content)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]

    def save(self, folder: Path) -> None:
        """Record the file in a folder, unless it was recorded with this content."""
        path = folder / f"{self._name}.json"
        if not path.exists():
            write_json(path, {"format": FORMAT, **asdict(self)})


def loaded_files(folder: Path, sources: Container[str]) -> list[LoadedFile]:
    """Return the files of a folder that some source of a task has loaded.

    Raises `StoreError` if a record is damaged.
    """
    found = (_load(path) for path in sorted(folder.glob("[!.]*.json")))
    return [file for file in found if file is not None and file.source in sources]


def forget_others(folder: Path, source: str) -> None:
    """Remove the records of other versions of the task's source."""
    for path in folder.glob("[!.]*.json"):
        file = _load(path)
        if file is not None and file.source != source:
            path.unlink(missing_ok=True)


def _load(path: Path) -> LoadedFile | None:
    record = read_json(path)
    if record is None:
        return None
    try:
        known = {k: v for k, v in record.items() if k != "format"}
        return of_record(LoadedFile, known)
    except (AttributeError, RecordedTypeError) as error:
        raise damaged(path, "has other entries than expected") from error
