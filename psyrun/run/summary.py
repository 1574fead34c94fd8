"""The summary that is printed at the end of a run."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from psyrun.errors import FailedAssignmentsError, PsyrunError, refusal_in, visible
from psyrun.planning.prepare import TaskRun
from psyrun.queue.ledger import QueueReport
from psyrun.queue.past_jobs import forget_submissions
from psyrun.results.assignments import interrupted_with
from psyrun.results.failure_rules import TaskFailures
from psyrun.results.failures import failure_summary
from psyrun.run.advice import Advice
from psyrun.run.controller import FailedJob, RunOutcome
from psyrun.run.controller_job import TimeLimit
from psyrun.run.display import Display
from psyrun.scheduler.immediate import LOCAL
from psyrun.steps.not_started import NOT_STARTED
from psyrun.utils.console import INTERRUPTED, warn, width_of
from psyrun.utils.process.interpreter import own_fault
from psyrun.utils.text import assignment_text, counted, sentence
from psyrun.utils.tracebacks import TRACEBACK, without_traceback
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.progress import MergeRecord, is_merged

_WRONG_USAGE = re.compile(r"^\S+: error: (.*)")
_FRAME = re.compile(
    r'^\s*File ".*", line \d+|^\s*$|^Exiting because a job execution failed'
    r"|^At least one job did not complete successfully"
)
_OS_ERROR = re.compile(r"\w*Error: \[Errno \d+\] (?P<why>[^:\n]+): '(?P<path>[^\n]*)'")
_KIND = re.compile("^WorkflowError: ?")
_GREETING = "Using profile "  # of Snakemake, whatever happens then
_SHOWN_JOBS = 3
_SHOWN_LINES = 3
_BY_USER = "interrupted"
_NEARLY = 60.0  # seconds before its end within which a job is ended for its time limit
_LEAST_SPACE = 64 * 1024  # bytes
_LEAST_FILES = 8


class Summary:
    """How a run of tasks ended, in words."""

    def __init__(
        self,
        outcome: RunOutcome,
        tasks: Sequence[TaskRun],
        limit: TimeLimit | None = None,
    ) -> None:
        self._limit = limit or TimeLimit()
        self._outcome = outcome
        self._tasks = tasks
        # What is done needs no advice.
        unfinished = [task for task in tasks if not _is_whole(task)]
        self._advice = Advice.of(unfinished or tasks)
        has_rows = any(task.plan.keep for task in tasks)
        self._kept = "all rows are kept" if has_rows else "nothing was evaluated yet"
        tally = outcome.tally
        if tally.total:
            self._kept = f"{tally.done} of {tally.total} assignments are kept"

    def show(self, display: Display, *, is_partial: bool) -> int:
        """Print it, and return the exit status.

        Parameters
        ----------
        display : Display
            Shows results; what went wrong is printed to standard error.
        is_partial : bool
            Whether the user may have wanted only a part to be done.

        Raises
        ------
        PsyrunError
            If Snakemake itself failed.
        """
        self._show_results(display)
        if self._outcome.was_interrupted:
            return self._show_interruption()
        if self._outcome.status:
            if not is_partial and self._is_done_nevertheless():
                return 0
            return self._show_failure()
        if not is_partial and not all(map(_is_whole, self._tasks)):
            log = self._tasks[0].layout.snakemake_log
            warn(
                f"Snakemake ended before all was done, see {log}; {self._kept}. "
                f"{self._how_to_go_on()}"
            )
            return 1
        return 0

    def _how_to_go_on(self, jobs: str = "") -> str:
        advice = self._advice
        text = advice.after_jobs if jobs else advice.go_on
        is_kept = advice.keeping and any(map(_has_superseded_rows, self._tasks))
        return f"{text}{advice.keeping}" if is_kept else text

    def _show_interruption(self) -> int:
        if any(task.layout.stop.exists() for task in self._tasks):
            warn(f"stopped by 'psy kill'; {self._kept}. {self._how_to_go_on()}")
            return INTERRUPTED
        how, elsewhere = _ended_by(self._outcome.signal, self._limit), ""
        if how != _BY_USER and any(map(_is_queued, self._tasks)):
            elsewhere = self._advice.in_queue
        elif self._outcome.signal == signal.SIGHUP:
            elsewhere = self._advice.detached
        jobs = self._jobs_in_queue()
        go_on = self._how_to_go_on(jobs)
        warn(f"{how}; {self._kept}. {go_on}{elsewhere}{jobs}")
        return INTERRUPTED

    def _jobs_in_queue(self) -> str:
        """Return a sentence about the jobs that an interruption does not end."""
        reports = {task.name: QueueReport.of(task.layout) for task in self._tasks}
        names = " ".join(name for name, report in reports.items() if report.text)
        if not names:
            return ""
        return f" Jobs in the queue go on by themselves; 'psy kill {names}' ends them."

    def _is_done_nevertheless(self) -> bool:
        """Say so if all is done, although Snakemake ended badly after that."""
        if self._outcome.failures or not all(map(_is_whole, self._tasks)):
            return False
        cause = self._cause().splitlines()[-1]
        warn(
            f"all is done, but Snakemake did not end well: {refusal_in(cause) or cause}"
        )
        return True

    def _cause(self) -> str:
        """Return why Snakemake itself failed, without a full stop at its end."""
        said = dict.fromkeys(map(_in_short, self._outcome.errors))
        errors = "\n".join(filter(None, said))
        return (errors or _end_of(self._snakemake_log)).rstrip(".\n ")

    @property
    def _snakemake_log(self) -> Path:
        return self._tasks[0].layout.snakemake_log

    def _show_failure(self) -> int:
        failures = self._outcome.failures
        # Where Snakemake fails, so do the jobs that are at work then.
        are_silent = all(job.note is None for job in failures)
        if not failures or (are_silent and refusal_in(self._cause())):
            if fault := own_fault():
                raise PsyrunError(f"{fault} {self._kept}. {self._how_to_go_on()}")
            if self._warn_of_full_disk():
                return PsyrunError.exit_status
            cause = self._cause()
            raise PsyrunError(
                f"{refusal_in(cause) or f'{cause}.'}\n{sentence(self._kept)} "
                f"All that Snakemake said is in {self._snakemake_log}."
            )
        _show_failures(self._outcome, self._tasks)
        if self._warn_of_full_disk():
            return PsyrunError.exit_status
        warn(f"{self._kept}. Fix the cause, {self._advice.when_fixed}")
        return self._outcome.exit_status

    def _warn_of_full_disk(self) -> bool:
        """Say so if a disk is full, so that not even causes can be recorded."""
        full = next(filter(_is_full, _folders(self._tasks)), None)
        if full is not None:
            cause = f"{full}: {os.strerror(errno.ENOSPC)}"
            text = f"{cause}. {sentence(self._kept)}"
            warn(f"{text} Make room, {self._advice.when_fixed}")
        return full is not None

    def _show_results(self, display: Display) -> None:
        # With arguments for Snakemake, it may have done something else.
        for task in filter(_is_whole, self._tasks):
            # What was submitted is of no interest any more.
            forget_submissions(task.layout, task.plan.round)
            display.line(f"{task.name}: {task.plan.resultfile}")
            merged = MergeRecord.load(task.layout.round(task.plan.round))
            for remark in _remarks(task.name, merged):
                display.line(remark)


def _ended_by(number: int, limit: TimeLimit) -> str:
    """Return what ended a run: a person, a terminal, or the job that it ran in."""
    if number == signal.SIGINT:
        return _BY_USER
    name, job = signal.Signals(number).name, limit.job_of_slurm
    where = f"Slurm job {job}, in which it ran" if job else "the job in which it ran"
    if limit.end - time.time() < _NEARLY:
        return f"ended by the time limit of {where}"
    if job:
        return f"ended by {name} with {where}"
    is_terminal = number == signal.SIGHUP
    return "ended as its terminal was closed" if is_terminal else f"ended by {name}"


def _is_queued(task: TaskRun) -> bool:
    return task.profile != LOCAL


def _is_whole(task: TaskRun) -> bool:
    return is_merged(task.layout, task.plan)


def _has_superseded_rows(task: TaskRun) -> bool:
    plan, layout = task.plan, task.layout
    if plan.rerun is not None:
        return True
    for number in (*plan.superseded, *(plan.keep_rounds if not plan.keeps_all else ())):
        counts = DivisionCounts.load(layout.round(number))
        is_kept = number in plan.keep_rounds
        if counts is not None and not (is_kept and counts.fingerprint in plan.names):
            return True
    return False


def _remarks(name: str, merged: MergeRecord | None) -> Iterator[str]:
    """Yield what the record of a merge says of rows that are missing or new."""
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


def _folders(tasks: Iterable[TaskRun]) -> Iterator[Path]:
    for task in tasks:
        yield task.layout.folder
        yield Path(task.plan.resultfile).parent


def _is_full(folder: Path) -> bool:
    """Whether a disk is full, so that not even the cause of a failure is recorded."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    # Some file systems do not count their files.
    has_no_names = disk.f_files > 0 and disk.f_favail < _LEAST_FILES
    return has_no_names or disk.f_bavail * disk.f_frsize < _LEAST_SPACE


def _in_short(text: str) -> str:
    """Leave out where an error was raised, and that another one is to be read."""
    if TRACEBACK in text:
        return _cause_in(text)
    lines = (_KIND.sub("", line) for line in text.splitlines())
    return "\n".join(li for li in lines if not _FRAME.match(li))


def _cause_in(text: str) -> str:
    """Return what a traceback of Snakemake ends with."""
    cause = "\n".join(without_traceback(text.splitlines())[1])
    if match := _OS_ERROR.fullmatch(cause):
        return (
            f"{match['path']}: {match['why']}, but Snakemake needs it; check the "
            "permissions of the folder and the free space on its disk."
        )
    return f"Snakemake: {cause}"


def _end_of(log: Path) -> str:
    """Return the last lines of Snakemake's log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line for line in lines if not line.startswith(_GREETING)]
    if lines and (match := _WRONG_USAGE.search(lines[-1])):
        # Without the list of all its options that stands before.
        return f"Snakemake: {match[1]}. See 'snakemake --help'."
    before, cause = without_traceback(lines)
    shown = [*before, *cause][-_SHOWN_LINES:]
    return "\n".join(shown) or "Snakemake failed without a word."


def _show_failures(outcome: RunOutcome, tasks: Sequence[TaskRun]) -> None:
    """Show which assignments failed, and the jobs that failed for another reason."""
    for task in tasks:
        found = TaskFailures.load(task.layout)
        if any(not failure.is_accepted for failure in found.failures):
            _show(failure_summary(task.name, found, width_of(sys.stderr)))
    _show_logs([job for job in outcome.failures if has_failed_assignments(job)])
    _show_not_started([job for job in outcome.failures if _has_not_started(job)])
    others = [
        job
        for job in outcome.failures
        if not has_failed_assignments(job) and not _has_not_started(job)
    ]
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


def _show_not_started(jobs: Sequence[FailedJob]) -> None:
    """Show once for all jobs with the same cause why they did not begin."""
    causes: dict[str, list[str]] = {}
    for job in jobs:
        causes.setdefault((job.note or {})["message"], []).append(job.name)
    for cause, (name, *others) in causes.items():
        more = f" and {counted(len(others), 'other job')}" if others else ""
        _show([f"{name}{more} did not start: {cause}"])


def _show(lines: Iterable[str]) -> None:
    print("", *map(visible, lines), sep="\n", file=sys.stderr)


def has_failed_assignments(job: FailedJob) -> bool:
    """Whether a job failed only because assignments did."""
    return (job.note or {}).get("type") == FailedAssignmentsError.__name__


def _has_not_started(job: FailedJob) -> bool:
    return (job.note or {}).get("type") == NOT_STARTED


def _described(job: FailedJob) -> Iterator[str]:
    if job.note is None:
        text = job.log_end()
        # Its end would be in the log, if it had come to write it.
        yield (
            f"{job.name} failed; the end of {job.log}:"
            if text
            else f"{job.name} failed without a word: it may have lacked memory, "
            f"processes or room on the disk; its log is {job.log}"
        )
    else:
        yield f"{job.name} failed; its log is {job.log}:"
        text = job.note["message"]
    yield from (f"  {line}" for line in text.splitlines())
    if job.block is not None:
        round_ = job.task.layout.round(job.task.plan.round)
        path = job.task.task.path
        for parameters in interrupted_with(round_, path, int(job.block)):
            values = assignment_text(parameters)
            yield f"  It was evaluating {values}"
