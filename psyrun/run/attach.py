"""Following a run by the files that it writes, from whichever machine."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from psyrun.errors import PsyrunError, SchedulerError, visible
from psyrun.queue.asking import ignore_warning
from psyrun.queue.ledger import Ledger
from psyrun.run.controller_job import controllers, ending
from psyrun.run.display import Display
from psyrun.run.hanging import HangReports
from psyrun.utils.console import warn
from psyrun.workdir.expected_end import ExpectedEnd
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.lock import live_holder
from psyrun.workdir.origin import original_of
from psyrun.workdir.plan import Plan, arguments_in
from psyrun.workdir.progress import RoundProgress, Tally, is_merged
from psyrun.workdir.run_record import RunRecord

_SETTLING = 3.0  # seconds until files that were written elsewhere are seen here
_PAUSE = 15.0  # seconds between two questions to a queue


class Follower:
    """Shows a run of a task."""

    def __init__(self, layout: TaskLayout, display: Display) -> None:
        self._name = layout.name
        self._layout = layout
        self._display = display
        self._log = _GrowingLog()
        self._progress: dict[Path, RoundProgress] = {}
        self._next_question = 0.0
        self._is_in_queue = True
        self._asked_about = ""

    def follow(self) -> int:
        """Show the run until it ends, or the summary of the last one.

        Returns
        -------
        int
            Its exit status; 1 if it ended without recording one.

        Raises
        ------
        PsyrunError
            If the task was never run.
        """
        record, holder = self._record(), live_holder(self._layout.lock)
        self._refuse_copy(record)
        if record is not None and self._is_alive(record):
            return self._follow(record)
        if holder is not None:
            return self._follow_unrecorded(holder)
        if record is None:
            raise PsyrunError(
                f"{self._name}: nothing runs, and no run of it is on record. Start "
                f"one with 'psy run --detach {arguments_in(self._layout)}'."
            )
        if record.ended is None:
            return self._report_death(record)
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.ended))
        self._display.line(
            f"{self._name}: nothing runs; the last run ended at {at} with exit status "
            f"{record.status}"
        )
        status = self._print_summary(record)
        self._display.line(f"See 'psy status {self._name}'.")
        return status

    def _refuse_copy(self, record: RunRecord | None) -> None:
        original = original_of(self._layout)
        if original is not None and (record is None or record.ended is None):
            raise PsyrunError(
                f"{self._name}: nothing runs here, as this is a copy of "
                f"{original.folder}. Start a run with 'psy run --detach "
                f"{arguments_in(self._layout)}'."
            )

    def _record(self) -> RunRecord | None:
        return RunRecord.load(self._layout)

    def _is_alive(self, record: RunRecord) -> bool:
        if record.ended is not None:
            return False
        is_elsewhere = record.holder is None or not record.holder.is_here
        if record.job and (is_elsewhere or not record.is_held):
            # It may wait in a queue, or have just begun there, or have been killed
            # there, which its lock shows much later.
            return self._is_queued(record)
        return record.is_held

    def _is_queued(self, record: RunRecord) -> bool:
        """Ask the queue, now and then, whether a controller is there."""
        if time.monotonic() >= self._next_question or record.job != self._asked_about:
            self._asked_about = record.job
            self._is_in_queue = self._ask_queue(record)
            self._next_question = time.monotonic() + _PAUSE
        return self._is_in_queue

    def _ask_queue(self, record: RunRecord) -> bool:
        try:
            found = controllers(self._layout, self._display.line)
        except SchedulerError:
            # The display showed it. What is printed meanwhile is shown, too.
            return record.is_waiting or record.is_held
        return record.job in [b.job(p) for one in found for b, p in one.active_jobs()]

    def _follow(self, record: RunRecord) -> int:
        """Follow a run, whichever jobs its controller moves to."""
        token, lost_since = record.token, None
        if record.is_waiting:
            where = "waits in the queue"
            ledger = Ledger(record.home, record.home.controllers)
            if not ledger.has_submitted(record.job):
                where = "is not known to be in the queue: its submission was cut off"
            self._display.line(f"{self._name}: the controller {where}")
        while True:
            self._log.read_on(Path(record.log))
            record = self._record() or record
            if record.token != token:
                self._refuse_superseded()
            self._log.show(self._display, record.summary_at)
            if record.ended is not None:
                return self._print_summary(record)
            if self._is_alive(record):
                lost_since = None
            else:
                lost_since = lost_since or time.monotonic()
                if time.monotonic() - lost_since > _SETTLING:
                    return self._report_death(record)
            self._show_progress(record.layouts)
            time.sleep(self._display.interval)

    def _follow_unrecorded(self, holder: Holder) -> int:
        """Follow a run that has no record, such as one of plain Snakemake."""
        round_ = _current_round(self._layout)
        hangs = HangReports([] if round_ is None else [(self._name, round_)])
        while live_holder(self._layout.lock) == holder:
            record = self._record()
            if record is not None and record.is_held:
                return self._follow(record)
            for line in hangs.lines():
                self._display.line(line)
            self._show_progress([self._layout])
            time.sleep(self._display.interval)
        plan = Plan.load(self._layout)
        is_done = plan is not None and is_merged(self._layout, plan)
        how = "is done" if is_done else "ended before all was done"
        self._display.close()
        self._display.line(f"{self._name}: {how}; see 'psy status -v {self._name}'")
        return 0 if is_done else 1

    def _show_progress(self, layouts: list[TaskLayout]) -> None:
        rounds = list(filter(None, map(_current_round, layouts)))
        tallies = [
            self._progress.setdefault(r.folder, RoundProgress(r)).tally()
            for r in rounds
        ]
        holder = live_holder(self._layout.lock)
        since = 0.0 if holder is None else holder.since
        pairs = zip(rounds, tallies, strict=True)
        ends = [ExpectedEnd.load(r, since) for r, tally in pairs if tally.is_open]
        self._display.progress(sum(tallies, Tally()), ExpectedEnd.of_all(ends))

    def _print_summary(self, record: RunRecord) -> int:
        self._display.close()
        status = record.status or 0
        stream = sys.stderr if status else sys.stdout
        print(visible(record.summary.rstrip()), file=stream, flush=True)
        return status

    def _refuse_superseded(self) -> NoReturn:
        self._display.close()
        raise PsyrunError(
            f"{self._name}: that run has ended, and another one has begun. Follow it "
            f"with 'psy attach {self._name}'."
        )

    def _report_death(self, record: RunRecord) -> int:
        self._display.close()
        who = record.holder or "its controller in the queue"
        warn(
            f"{self._name}: {who} ended unexpectedly{self._cause(record)}. What "
            "was evaluated is kept, and jobs in a queue go on. Go on with 'psy run "
            f"{arguments_in(self._layout)}'."
        )
        return 1

    def _cause(self, record: RunRecord) -> str:
        """Return in brackets why the queue ended a controller, if that is known."""
        try:
            found = (
                ending(self._layout, record.job, ignore_warning) if record.job else None
            )
        except SchedulerError:
            return ""
        return "" if found is None else f" ({found.text})"


def _current_round(layout: TaskLayout) -> Round | None:
    plan = Plan.load(layout)
    return None if plan is None else layout.round(plan.round)


class _GrowingLog:
    """Shows the lines of a log as they are written."""

    def __init__(self) -> None:
        self._data = b""
        self._shown = 0

    def read_on(self, path: Path) -> None:
        """Read what is new."""
        with suppress(OSError), path.open("rb") as file:
            file.seek(len(self._data))
            self._data += file.read()

    def show(self, display: Display, until: int | None) -> None:
        """Show whole lines that were not shown yet, up to a place in bytes."""
        data = self._data if until is None else self._data[:until]
        end = data.rfind(b"\n") + 1
        if end > self._shown:
            text = data[self._shown : end].decode(errors="replace")
            self._shown = end
            for line in text.splitlines():
                display.line(visible(line))
