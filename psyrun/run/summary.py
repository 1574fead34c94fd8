"""What is told at the end of a run."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from psyrun.errors import FailedAssignmentsError, PsyrunError
from psyrun.planning.prepare import Prepared
from psyrun.queue.ledger import Ledger, QueueReport
from psyrun.results.assignments import interrupted_with
from psyrun.results.failures import summary
from psyrun.run.controller import FailedJob, RunOutcome
from psyrun.run.display import Display
from psyrun.utils.text import counted, describe_parameters, one_line
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.failures import failures_of_task
from psyrun.workdir.progress import MergeRecord, Tally, is_merged

_WRONG_USAGE = re.compile(r"^\S+: error: (.*)")
_FRAME = re.compile(r'^\s*File ".*", line \d+')
_SHOWN_JOBS = 3
_SHOWN_LINES = 3
_LEAST_SPACE = 64 * 1024  # bytes


def complain(message: str, status: int) -> int:
    """Tell what went wrong.

    Parameters
    ----------
    message : str
        One line.
    status : int
        The exit status that it calls for.

    Returns
    -------
    int
        The same.
    """
    print(f"psy: {message}", file=sys.stderr, flush=True)
    return status


class Summary:
    """How a run of tasks ended, in words.

    Parameters
    ----------
    outcome : RunOutcome
        What became of it.
    tally : Tally
        The assignments of all tasks.
    started : sequence of Prepared
        The tasks.
    """

    def __init__(
        self, outcome: RunOutcome, tally: Tally, started: Sequence[Prepared]
    ) -> None:
        self._outcome = outcome
        self._started = started
        self._names = " ".join(task.task.name for task in started)
        has_rows = any(task.plan.keep for task in started)
        self._kept = "all rows are kept" if has_rows else "nothing was evaluated yet"
        if tally.total:
            self._kept = f"{tally.done} of {tally.total} assignments are kept"

    def tell(self, view: Display, *, is_partial: bool) -> int:
        """Print it, and return the exit status.

        Parameters
        ----------
        view : Display
            Takes what is told of success.
        is_partial : bool
            Whether the user may have wanted only a part to be done.

        Raises
        ------
        PsyrunError
            If Snakemake itself failed.
        """
        go_on = f"Go on with 'psy run {self._names}'."
        if any(map(_has_superseded_rows, self._started)):
            go_on += (
                " The rows that were to be replaced are still there: "
                f"'psy run --continue {self._names}' keeps them."
            )
        if self._outcome.was_interrupted:
            if any(task.layout.stop.exists() for task in self._started):
                return complain(f"stopped by 'psy kill'; {self._kept}. {go_on}", 130)
            said = f"interrupted; {self._kept}. {go_on}{self._left_in_queue()}"
            return complain(said, 130)
        if self._outcome.status:
            return self._tell_of_failure()
        if not is_partial and not all(map(_is_whole, self._started)):
            log = self._started[0].layout.snakemake_log
            before = f"Snakemake ended before all was done, see {log}"
            return complain(f"{before}; {self._kept}. {go_on}", 1)
        self._show_results(view)
        return 0

    def _left_in_queue(self) -> str:
        """Tell of the jobs that an interruption does not end."""
        jobs = {p.task.name: QueueReport.of(p.layout).text for p in self._started}
        names = " ".join(name for name, text in jobs.items() if text)
        if not names:
            return ""
        return f" Jobs in the queue go on by themselves; 'psy kill {names}' ends them."

    def _tell_of_failure(self) -> int:
        if not self._outcome.failures:
            log = self._started[0].layout.snakemake_log
            told = "\n".join(map(_without_frames, self._outcome.errors)) or _end_of(log)
            said = f"All that Snakemake said is in {log}."
            raise PsyrunError(f"{told}\n{self._kept}. {said}")
        _show_failures(self._outcome, self._started)
        # With this option it does not matter what was changed to mend it.
        advice = f"then 'psy run --continue {self._names}'."
        full = next((f for f in _folders(self._started) if _is_full(f)), None)
        if full is None:
            complain(f"{self._kept}. Mend the cause, {advice}", 1)
            return self._outcome.exit_status
        cause = f"{full}: {os.strerror(errno.ENOSPC)}"
        return complain(f"{cause}. {self._kept}. Make room, {advice}", 2)

    def _show_results(self, view: Display) -> None:
        # With arguments for Snakemake, it may have done something else.
        for task in filter(_is_whole, self._started):
            # What was submitted is of no interest any more.
            Ledger(task.layout).remove_round(task.plan.round)
            view.say(f"{task.task.name}: {task.plan.resultfile}")
            merged = MergeRecord.load(task.layout.round(task.plan.round))
            for remark in _remarks(task.task.name, merged):
                view.say(remark)


def _is_whole(prepared: Prepared) -> bool:
    return is_merged(prepared.layout, prepared.plan)


def _has_superseded_rows(task: Prepared) -> bool:
    rounds = map(task.layout.round, task.plan.superseded)
    return any(DivisionCounts.load(round_) is not None for round_ in rounds)


def _remarks(name: str, merged: MergeRecord | None) -> Iterator[str]:
    """Yield what is to be known of a result, from the record of its merge."""
    if merged is None:
        return
    if merged.n_failed:
        left_out = counted(merged.n_failed, "assignment")
        yield f"   without {left_out} that failed; see 'psy failed {name}'"
    if merged.failed_before:
        yield f"   {counted(merged.failed_before, 'failed assignment')} evaluated again"
    if merged.cut_off_before:
        again = counted(merged.cut_off_before, "assignment")
        yield f"   {again} evaluated again, as a job was killed meanwhile"


def _folders(started: Iterable[Prepared]) -> Iterator[Path]:
    for task in started:
        yield task.layout.folder
        yield Path(task.plan.resultfile).parent


def _is_full(folder: Path) -> bool:
    """Whether nothing can be written any more, not even why a job failed."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LEAST_SPACE


def _without_frames(text: str) -> str:
    """Leave out where in Snakemake or psyrun an error was raised."""
    return "\n".join(li for li in text.splitlines() if not _FRAME.match(li))


def _end_of(log: Path) -> str:
    """Return what Snakemake said at last."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if lines and (match := _WRONG_USAGE.search(lines[-1])):
        # Without the list of all its options that stands before.
        return f"Snakemake: {match[1]}. See 'snakemake --help'."
    return "\n".join(lines[-_SHOWN_LINES:]) or "Snakemake failed."


def _show_failures(outcome: RunOutcome, started: Sequence[Prepared]) -> None:
    """Show which assignments failed, and the jobs that failed for another reason."""
    for task in started:
        failures = failures_of_task(task.layout)
        if any(not failure.is_accepted for failure in failures):
            _show(summary(task.task.name, failures))
    _show_logs([job for job in outcome.failures if _is_told(job)])
    others = [job for job in outcome.failures if not _is_told(job)]
    for job in others[:_SHOWN_JOBS]:
        _show(_described(job))
    hidden = len(others) - _SHOWN_JOBS
    if hidden > 0:
        _show([f"and {counted(hidden, 'other job')} failed"])
    print(file=sys.stderr)


def _show_logs(jobs: Sequence[FailedJob]) -> None:
    """Show where the tracebacks of failed assignments, and all they printed, stand."""
    paths = dict.fromkeys(str(job.log) for job in jobs)
    if paths:
        shown = list(paths)[:_SHOWN_JOBS]
        hidden = len(paths) - len(shown)
        more = f" and {counted(hidden, 'other log')}" if hidden else ""
        print(f"Logs: {', '.join(shown)}{more}", file=sys.stderr)


def _show(lines: Iterable[str]) -> None:
    print("", *lines, sep="\n", file=sys.stderr)


def _is_told(job: FailedJob) -> bool:
    """Whether a job failed only because assignments did."""
    return (job.note or {}).get("type") == FailedAssignmentsError.__name__


def _described(job: FailedJob) -> Iterator[str]:
    if job.note is None:
        yield f"{job.name} failed; the end of {job.log}:"
        text = job.log_end()
    else:
        yield f"{job.name} failed; its log is {job.log}:"
        text = job.note["message"]
    yield from (f"  {line}" for line in text.splitlines())
    if job.block is not None:
        round_ = job.prepared.layout.round(job.prepared.plan.round)
        path = job.prepared.task.path
        for parameters in interrupted_with(round_, path, int(job.block)):
            values = one_line(describe_parameters(parameters))
            yield f"  It was evaluating {values}"
