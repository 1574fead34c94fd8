"""What a run prints, kept for those who follow it from elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr, suppress
from dataclasses import replace
from io import TextIOBase
from pathlib import Path
from typing import TextIO

from psyrun.errors import PsyrunError
from psyrun.run.display import Display, LogDisplay
from psyrun.utils.console import INTERRUPTED
from psyrun.utils.typing import override
from psyrun.workdir.expected_end import ExpectedEnd
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.progress import Tally
from psyrun.workdir.run_record import Mode, RunRecord

_LONGEST_SUMMARY = 1 << 16  # bytes


class RunLog:
    """The log and the record of a run that goes on."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self._path = Path(record.log)
        self._start = self._size()
        self._is_output = False
        self._is_handed_over = False

    @classmethod
    def begin(cls, layouts: Mapping[str, TaskLayout], mode: Mode) -> RunLog:
        """Begin an empty log for tasks."""
        first = next(iter(layouts.values()))
        folders = {name: str(layout.folder) for name, layout in layouts.items()}
        with suppress(OSError):
            first.run_log.unlink(missing_ok=True)
        return cls(RunRecord(folders, str(first.run_log), mode))

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def begins(self) -> None:
        """Record that this process has locked the tasks."""
        me = Holder.me()
        self.record = replace(self.record, holder=me, job=me.job)
        self.record.save()

    def become_output(self) -> None:
        """Have all that this process prints go to the log."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(self._path, flags, 0o666)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        self._is_output = True

    def write(self, text: str) -> None:
        """Append to the log, if that is possible: disks fill up."""
        # Texts of exceptions may hold what cannot be encoded.
        line = text.encode(errors="backslashreplace")
        with suppress(OSError), self._path.open("ab") as file:
            file.write(line)

    def display(self, inner: Display) -> Display:
        """Return a display that also writes to the log what another one shows."""
        if self._is_output:
            return LogDisplay()
        return _LoggedDisplay(inner, self)

    @contextmanager
    def summing_up(self) -> Iterator[None]:
        """Record what is printed as the summary of the run."""
        self._start = self._size()
        self.record = replace(self.record, summary_at=self._start)
        self.record.update()
        # What goes to the other stream is shown by a display.
        tee = None if self._is_output else _Tee(sys.stderr, self)
        with redirect_stderr(tee) if tee else nullcontext():
            yield
        for stream in (sys.stdout, sys.stderr):
            stream.flush()

    def end(self, status: int) -> None:
        """Record that the run has ended, unless that is known or a job continues it."""
        if self.record.ended is not None or self._is_handed_over:
            return
        self.record = replace(
            self.record,
            summary_at=self._start,
            ended=time.time(),
            status=status,
            summary=self._summary(),
        )
        self.record.update()

    def wait_in_queue(self, job: str) -> None:
        """Record that a job, which has not begun yet, continues the run."""
        self._is_handed_over = True
        self.record = replace(self.record, holder=None, job=job)
        self.record.save()

    def _summary(self) -> str:
        try:
            with self._path.open("rb") as file:
                file.seek(max(self._start, self._size() - _LONGEST_SUMMARY))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        if error is None or self.record.ended is not None:
            return
        self._is_handed_over = False
        # Whoever has taken the task over writes there now.
        is_ours = self.record.is_last(self.record.home)
        is_interruption = isinstance(error, KeyboardInterrupt)
        if is_ours:
            self.write(f"psy: {'interrupted.' if is_interruption else error}\n")
        status = error.exit_status if isinstance(error, PsyrunError) else 1
        self.end(INTERRUPTED if is_interruption else status)


class _LoggedDisplay(Display):
    """Shows what another display does, and writes it to a log."""

    def __init__(self, inner: Display, log: RunLog) -> None:
        self.interval = inner.interval
        self._inner = inner
        self._log = log

    @override
    def line(self, text: str) -> None:
        self._log.write(f"{text}\n")
        self._inner.line(text)

    @override
    def progress(self, tally: Tally, end: ExpectedEnd | None = None) -> None:
        self._inner.progress(tally, end)

    @override
    def close(self) -> None:
        self._inner.close()


class _Tee(TextIOBase):
    """A stream that is also written to a log."""

    def __init__(self, stream: TextIO, log: RunLog) -> None:
        self._stream = stream
        self._log = log

    @override
    def write(self, text: str) -> int:
        self._log.write(text)
        return self._stream.write(text)

    @override
    def flush(self) -> None:
        self._stream.flush()

    @override
    def isatty(self) -> bool:
        return self._stream.isatty()

    @override
    def fileno(self) -> int:
        return self._stream.fileno()
