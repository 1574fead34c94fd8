"""Notes about processes that seem to hang: each job writes one about its own.

A note holds as long as the job lives that wrote it and renews it, as with a lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from psyrun.errors import StoreError
from psyrun.utils.files import read_json, write_json
from psyrun.utils.text import duration, shortened
from psyrun.workdir.holder import Holder, is_live
from psyrun.workdir.layout import Round

_LONGEST = 200  # characters of what a process is at
_NEARLY_NOTHING = 0.1  # seconds of CPU time


@dataclass(frozen=True)
class Hanging:
    """A process that seems to hang.

    Attributes
    ----------
    pid : int
        The process.
    since : float
        When it was last seen to do something, in seconds since the epoch.
    used : float
        The CPU time in seconds that it used from then until it was noticed.
    at : str
        What it is at, such as ``in assignment 3 (x=1)``; empty if that is not known.
    host : str
        The machine on which it runs.
    is_here : bool
        Whether that is this one.
    job : str
        Its job, such as ``process:3``.
    """

    pid: int
    since: float
    used: float
    at: str
    host: str = ""
    is_here: bool = True
    job: str = ""

    @property
    def command(self) -> str:
        """The command that shows where it hangs."""
        command = f"py-spy dump --pid {self.pid}"
        return command if self.is_here else f"ssh {self.host} {command}"

    @property
    def text(self) -> str:
        """That it seems to hang, for how long, where, and how to look into it."""
        amount = "hardly any" if self.used > _NEARLY_NOTHING else "no"
        lasts = duration(max(0.0, time.time() - self.since))
        cause = f"{amount} CPU time used for {lasts} {shortened(self.at, _LONGEST)}"
        return f"seems to hang: {cause.rstrip()}: {self.command}"


def note(path: Path, found: Sequence[Hanging]) -> None:
    """Write the note of this process, which keeps it fresh with `renew`."""
    processes = [_entry(one) for one in found]
    record = {"holder": asdict(Holder.me()), "processes": processes}
    write_json(path, record, sealed=False)


def _entry(one: Hanging) -> dict[str, object]:
    return {"pid": one.pid, "since": one.since, "used": one.used, "at": one.at}


def renew(path: Path) -> None:
    """Say that a note still holds."""
    os.utime(path)


def forget(path: Path, job: str) -> None:
    """Remove the note of a job of a queue, which has ended."""
    found = _read(path)
    if found is not None and found[0].job == job:
        path.unlink(missing_ok=True)


def hanging(round_: Round) -> list[Hanging]:
    """Return the processes of a round's jobs that seem to hang."""
    paths = sorted(round_.hanging.glob("[!.]*.json"))
    return [one for path in paths for one in _hanging(path)]


def _hanging(path: Path) -> list[Hanging]:
    found = _read(path)
    return found[1] if found is not None and is_live(found[0], path) else []


def _read(path: Path) -> tuple[Holder, list[Hanging]] | None:
    """Return who wrote a note, and what stands in it; None if it is gone or damaged."""
    with suppress(StoreError, OSError, KeyError, TypeError, ValueError):
        record = read_json(path)
        if record is not None:
            holder = Holder.of_record(record["holder"])
            where: dict[str, Any] = {"host": holder.host, "is_here": holder.is_here}
            job = path.stem.replace("-", ":")
            found = [Hanging(**one, **where, job=job) for one in record["processes"]]
            return holder, found
    return None
