"""``psy run``: execute tasks."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from psyrun.commands.details import failures_of_task
from psyrun.controller import Job, Outcome, Run
from psyrun.errors import FailedAssignmentsError, PsyrunError, RunningError
from psyrun.failures import counted, summary
from psyrun.launch import LOCAL
from psyrun.layout import MERGE, PROCESS, SPLIT
from psyrun.merges import MergeRecord
from psyrun.prepare import Options, Prepared, prepare, refusal
from psyrun.queue.ledger import Ledger
from psyrun.status import is_merged
from psyrun.tasks import find_tasks, select
from psyrun.view import EXECUTED, SKIPPED, View, choose_view


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psy run``."""
    parser.add_argument("task", nargs="*", help="names of tasks, by default all")
    parser.add_argument(
        "-c",
        "--continue",
        dest="keep_going",
        action="store_true",
        help="keep existing rows and add what is missing",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=_positive,
        metavar="N",
        help="use up to N cores at once (default: 1), or have up to N jobs in a "
        "queue (default: as many as there are)",
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="only show what would be done"
    )
    parser.add_argument(
        "--accept-failures",
        action="store_true",
        help="go without the assignments that failed",
    )
    parser.add_argument(
        "--max-failures",
        type=_not_negative,
        metavar="N",
        help="stop when more than N assignments failed",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="only show what went wrong"
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def execute(args: argparse.Namespace) -> int:
    """Run tasks and return the exit status."""
    taskdir = Path(args.taskdir)
    paths = select(taskdir, args.task) if args.task else find_tasks(taskdir)
    if not paths:
        print(f"no tasks in {taskdir}; create one with 'psy new-task NAME'")
    options = Options(args.keep_going, args.accept_failures, args.max_failures)
    view = choose_view(quiet=args.quiet)
    try:
        prepared = [prepare(path, options, _warn) for path in paths.values()]
        return _Session(view, args).run(prepared)
    finally:
        view.close()


def _warn(text: str) -> None:
    print(f"psy: {text}", file=sys.stderr, flush=True)


class _Session:
    """One call of ``psy run``."""

    def __init__(self, view: View, args: argparse.Namespace) -> None:
        self._view = view
        self._args = args
        self._status = 0

    def run(self, prepared: list[Prepared]) -> int:
        work = [p for p in prepared if self._is_to_run(p)]
        if self._args.dry_run:
            for task in work:
                self._show(task, EXECUTED)
            return self._status
        started = [p for p in work if self._start(p)]
        try:
            if started:
                self._run(started)
        finally:
            for task in started:
                task.release()
        return self._status

    def _is_to_run(self, prepared: Prepared) -> bool:
        if prepared.decision.is_done:
            self._show(prepared, None)
            return False
        why = refusal(prepared)
        if why is not None:
            self._complain(why, 2)
        elif prepared.decision.is_dirty:
            name = prepared.task.name
            self._view.say(
                f"{name}: changed since it was run, all is computed again; "
                f"'psy run --continue {name}' would keep the rows that are there"
            )
        return why is None

    def _start(self, prepared: Prepared) -> bool:
        try:
            prepared.start(self._view.say)
        except RunningError as error:
            self._complain(str(error), error.exit_status)
            return False
        return True

    def _run(self, started: list[Prepared]) -> None:
        self._remark_on_idle_cores(started)
        for task in started:
            self._show(task, None)
        run = Run(started, self._view)
        outcome = run.run(jobs=self._args.jobs, extra=self._args.snakemake_args)
        self._view.close()
        self._status = max(self._status, outcome.exit_status)
        self._report(outcome, run, started)

    def _remark_on_idle_cores(self, started: list[Prepared]) -> None:
        cores = len(os.sched_getaffinity(0)) if _HAS_AFFINITY else os.cpu_count() or 1
        here = [task for task in started if task.profile == LOCAL]
        n_blocks = sum(len(task.decision.blocks) for task in here)
        if (self._args.jobs or 1) == 1 and min(cores, n_blocks) > 1:
            self._view.say(
                f"One of {cores} cores is used; 'psy run -j {cores}' uses all."
            )

    def _show(self, prepared: Prepared, executed: str | None) -> None:
        """Show the subtasks that are skipped and, with a mark, the others."""
        decision, layout = prepared.decision, prepared.layout
        blocks = set(decision.blocks)
        jobs = [(decision.split, layout.job(SPLIT))]
        for block in range(decision.plan.n_blocks):
            jobs.append((block in blocks, layout.job(PROCESS, block)))
        jobs.append((decision.merge, layout.job(MERGE)))
        for is_open, name in jobs:
            mark = executed if is_open else SKIPPED
            if mark is not None:
                self._view.job(mark, name)

    def _report(self, outcome: Outcome, run: Run, started: list[Prepared]) -> None:
        names = " ".join(task.task.name for task in started)
        tally = run.tally()
        kept = "all rows are kept"
        if tally.total:
            kept = f"{tally.done} of {tally.total} assignments are kept"
        if outcome.was_interrupted:
            self._complain(f"interrupted; {kept}. Go on with 'psy run {names}'.", 130)
        elif outcome.status and outcome.failures:
            _show_failures(outcome, started)
            # With this option it does not matter what was changed to mend it.
            advice = f"then 'psy run --continue {names}'."
            full = next((f for f in _folders(started) if _is_full(f)), None)
            if full is None:
                self._complain(f"{kept}. Mend the cause, {advice}", 1)
            else:
                cause = f"{full}: {os.strerror(errno.ENOSPC)}"
                self._complain(f"{cause}. {kept}. Make room, {advice}", 2)
        elif outcome.status:
            log = started[0].layout.snakemake_log
            told = "\n".join(outcome.errors) or _end_of(log)
            raise PsyrunError(f"{told}\n{kept}. All that Snakemake said is in {log}.")
        elif self._args.snakemake_args or all(map(_is_whole, started)):
            self._show_results(started)
        else:
            log = started[0].layout.snakemake_log
            self._complain(
                f"Snakemake ended before all was done, see {log}; {kept}. "
                f"Go on with 'psy run {names}'.",
                1,
            )

    def _show_results(self, started: list[Prepared]) -> None:
        for task in started:
            # What was submitted is of no interest any more.
            Ledger(task.layout).remove_round(task.plan.round)
            self._view.say(f"{task.task.name}: {task.plan.resultfile}")
            merged = MergeRecord.load(task.layout.round(task.plan.round))
            for remark in _remarks(task.task.name, merged):
                self._view.say(remark)

    def _complain(self, message: str, status: int) -> None:
        print(f"psy: {message}", file=sys.stderr)
        self._status = max(self._status, status)


def _is_whole(prepared: Prepared) -> bool:
    return is_merged(prepared.layout, prepared.plan)


_HAS_AFFINITY = hasattr(os, "sched_getaffinity")
_SHOWN_JOBS = 3
_SHOWN_LINES = 3
_LEAST_SPACE = 64 * 1024  # bytes


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


def _end_of(log: Path) -> str:
    """Return what Snakemake said at last."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_SHOWN_LINES:]) or "Snakemake failed."


def _show_failures(outcome: Outcome, started: Sequence[Prepared]) -> None:
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


def _show_logs(jobs: Sequence[Job]) -> None:
    """Show where the tracebacks of failed assignments, and all they printed, stand."""
    paths = dict.fromkeys(str(job.log) for job in jobs)
    if paths:
        shown = list(paths)[:_SHOWN_JOBS]
        hidden = len(paths) - len(shown)
        more = f" and {counted(hidden, 'other log')}" if hidden else ""
        print(f"Logs: {', '.join(shown)}{more}", file=sys.stderr)


def _show(lines: Iterable[str]) -> None:
    print("", *lines, sep="\n", file=sys.stderr)


def _is_told(job: Job) -> bool:
    """Whether a job failed only because assignments did."""
    return (job.note or {}).get("type") == FailedAssignmentsError.__name__


def _described(job: Job) -> Iterator[str]:
    if job.note is None:
        yield f"{job.name} failed; the end of {job.log}:"
        text = job.log_end()
    else:
        yield f"{job.name} failed; its log is {job.log}:"
        text = job.note["message"]
    yield from (f"  {line}" for line in text.splitlines())
