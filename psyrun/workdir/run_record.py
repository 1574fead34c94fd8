"""Who runs tasks, and how the last run of each ended.

It may be asked on another machine, so all of it is in files. Each task of a run has
a copy.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from psyrun.errors import PsyrunError
from psyrun.utils.files import damaged, read_json, write_json
from psyrun.utils.records import is_name, of_record
from psyrun.workdir.holder import Holder, recorded_holder
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import live_holder

Mode: TypeAlias = Literal["terminal", "process", "job"]
"""Where a controller runs: in a terminal, by itself, or in a queue."""


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes
    ----------
    tasks : mapping of str to str
        The folder of each task, ``<workdir>/<task>``.
    log : str
        Path of what was printed, in the folder of the first task.
    mode : str
        Where the controller runs.
    holder : Holder or None
        The controller; None while it waits in a queue.
    job : str
        The controller's job, for one that was put in a queue.
    summary_at : int or None
        Where the summary begins in the log, in bytes, once the run has ended.
    ended : float or None
        When it ended, in seconds since the epoch.
    status : int or None
        Its exit status.
    token : str
        Text that no other run has.
    """

    tasks: Mapping[str, str]
    log: str
    mode: Mode
    holder: Holder | None = None
    job: str = ""
    summary_at: int | None = None
    ended: float | None = None
    status: int | None = None
    summary: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def layouts(self) -> list[TaskLayout]:
        """Paths of the tasks."""
        return [TaskLayout(Path(folder)) for folder in self.tasks.values()]

    @property
    def home(self) -> TaskLayout:
        """Paths of the task whose folder holds the log."""
        return TaskLayout(Path(self.log).parent)

    @property
    def is_waiting(self) -> bool:
        """Whether its controller was put in a queue and has not begun."""
        return self.ended is None and self.holder is None

    @property
    def whereabouts(self) -> str:
        """Where a live controller is, if not in a terminal, in words."""
        places = {"process": "detached", "job": "in the queue"}
        return places.get(self.mode, "") if self.is_held else ""

    @property
    def is_held(self) -> bool:
        """Whether the controller lives: it holds the lock of one of its tasks."""
        return self.holder is not None and any(
            self.holder.is_same_process(live_holder(layout.lock))
            for layout in self.layouts
        )

    def save(self) -> None:
        """Write the record of each task; what cannot be written is left out."""
        self._save(self.layouts)

    def update(self) -> None:
        """Write the record again, for the tasks that no other run has begun since."""
        self._save([layout for layout in self.layouts if self.is_last(layout)])

    def is_last(self, layout: TaskLayout) -> bool:
        """Whether no other run of a task has begun since."""
        try:
            last = RunRecord.load(layout)
            if last is None or last.token == self.token:
                return True
            # This run may not have been recorded yet.
            return Holder.me().is_same_process(recorded_holder(layout.lock))
        except (OSError, PsyrunError):
            return True

    def _save(self, layouts: Iterable[TaskLayout]) -> None:
        for layout in layouts:
            with suppress(OSError, PsyrunError):
                write_json(layout.run_record, asdict(self), sealed=False)

    @classmethod
    def load(cls, layout: TaskLayout) -> RunRecord | None:
        """Read the record of a task's last run; `StoreError` if it is damaged."""
        path = layout.run_record
        record = read_json(path)
        if record is None:
            return None
        try:
            holder = record.pop("holder")
            run = of_record(cls, record)
            known = None if holder is None else Holder.of_record(holder)
            if not all(map(is_name, (run.log, *run.tasks.values()))) or not run.tasks:
                raise ValueError("its paths are none")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise damaged(path, "has other entries than expected") from error
        return replace(run, holder=known)
