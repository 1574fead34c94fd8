"""A run of tasks, from what was found of them to what is told at the end."""

from __future__ import annotations

import argparse
import os
import time
from typing import Final

from psyrun.errors import PsyrunError, QueueError, RunningError, SchedulerError
from psyrun.planning.checks import check_project_folder
from psyrun.planning.prepare import Prepared, refusal
from psyrun.queue.site import arguments, parse_arguments, with_site
from psyrun.run import controller_job as queued
from psyrun.run.controller import Controller, RunOutcome
from psyrun.run.detach import advice, let_go, words
from psyrun.run.display import EXECUTED, SKIPPED, Display
from psyrun.run.log import RunLog
from psyrun.run.snakemake import site_arguments
from psyrun.run.summary import Summary, complain
from psyrun.scheduler.immediate import LOCAL
from psyrun.utils.console import report, warn
from psyrun.workdir.layout import MERGE, SPLIT
from psyrun.workdir.layout import PROCESS as PROCESS_STEP
from psyrun.workdir.run_record import Mode

PROCESS: Final = "process"
JOB: Final = "job"
_HAS_AFFINITY = hasattr(os, "sched_getaffinity")
_PATIENCE = 120.0  # seconds that a controller gives the one before it to end
_PAUSE = 5.0  # seconds between two tries to submit
_LAST_WORDS = 15.0  # seconds that a job keeps to tell that it could not go on


def _mode(controller: str | None) -> Mode:
    if controller in (None, JOB):
        return JOB if controller == JOB else "terminal"
    return PROCESS


class Session:
    """One call of ``psy run``.

    Parameters
    ----------
    view : Display
        What to tell the user.
    args : argparse.Namespace
        Arguments of the verb.
    log : RunLog or None
        Log of the run that this process goes on with, in the job of a queue.
    """

    def __init__(
        self, view: Display, args: argparse.Namespace, log: RunLog | None
    ) -> None:
        self._view = view
        self._args = args
        self._log = log
        self._status = 0

    def run(self, prepared: list[Prepared]) -> int:
        """Run tasks.

        Parameters
        ----------
        prepared : list of Prepared
            The tasks.

        Returns
        -------
        int
            The exit status.

        Raises
        ------
        PsyrunError
            If a run cannot begin or go on.
        """
        for task in prepared:
            self._check_arguments(task)
        work = [p for p in prepared if self._is_to_run(p)]
        if self._args.detach == JOB and work:
            queued.check(work, self._args.snakemake_args)
        if self._args.dry_run:
            for task in work:
                self._remark_on_change(task)
                self._show(task, EXECUTED)
            return self._status
        if work:
            check_project_folder()
        started = [p for p in work if self._start(p)]
        try:
            if started and self._args.detach == JOB:
                self._put_in_queue(started)
            elif started:
                self._run(started)
        finally:
            for task in started:
                task.release()
        return self._status

    def _check_arguments(self, prepared: Prepared) -> None:
        """Refuse what the site says for all tasks before anything is submitted.

        Raises
        ------
        SchedulerError
            If the queue does not take it. What the task says was checked before.
        """
        if prepared.profile == LOCAL:
            return
        text = site_arguments(prepared.profile, self._args.snakemake_args)
        of_site = parse_arguments(text)
        if not of_site:
            return
        task = prepared.task
        given = with_site(task, task.scheduler, of_site)
        try:
            for step in (SPLIT, PROCESS_STEP, MERGE):
                block = 0 if step == PROCESS_STEP else None
                arguments(task.scheduler, given, prepared.plan, step, block)
        except SchedulerError as error:
            said = str(error).removeprefix("scheduler_args: ")
            raise SchedulerError(f"psyrun-args {text!r}: {said}") from None

    def _is_to_run(self, prepared: Prepared) -> bool:
        if prepared.decision.is_done:
            self._show(prepared, None)
            return False
        why = refusal(prepared)
        name = prepared.task.name
        if why is None and prepared.decision.is_dirty and self._log is not None:
            why = (
                f"{prepared.task.path}: changed while its run was in the queue. "
                f"Compute all again with 'psy run {name}', or keep the rows that are "
                f"there with 'psy run --continue {name}'."
            )
        if why is not None:
            self._complain(why, 2)
        return why is None

    def _remark_on_change(self, prepared: Prepared) -> None:
        name = prepared.task.name
        if prepared.decision.is_dirty:
            self._view.say(
                f"{name}: changed since it was run, all is computed again; "
                f"'psy run --continue {name}' would keep the rows that are there"
            )

    def _start(self, prepared: Prepared) -> bool:
        patience = _PATIENCE if self._args.controller == JOB else 0.0
        deadline = time.monotonic() + patience
        while True:
            try:
                self._refuse_if_waiting(prepared)
                queued.release_lock(prepared.layout, warn)
                prepared.start(self._view.say)
                self._remark_on_change(prepared)
                return True
            except RunningError as error:
                if time.monotonic() >= deadline:
                    self._complain(str(error), error.exit_status)
                    return False
            time.sleep(1.0)

    def _refuse_if_waiting(self, prepared: Prepared) -> None:
        job = queued.waiting(prepared.layout, warn)
        if job is not None:
            name = prepared.task.name
            raise RunningError(
                f"task {name!r}: its controller waits in the queue as job {job}. "
                f"Follow it with 'psy attach {name}', or stop it with "
                f"'psy kill {name}'."
            )

    def _put_in_queue(self, started: list[Prepared]) -> None:
        layouts = {task.task.name: task.layout for task in started}
        log = RunLog.begin(layouts, JOB)
        with log:
            jobid = self._submit(started[0], log)
        names = list(layouts)
        self._view.say(
            f"{' '.join(names)}: runs on in the queue as job {jobid}; what it says "
            f"is in {log.record.log}\n{advice(names)}"
        )

    def _submit(self, first: Prepared, log: RunLog) -> object:
        args = argparse.Namespace(**vars(self._args))
        args.task = list(log.record.tasks)
        home = log.record.home
        extra = self._args.snakemake_args
        command = words(args, JOB)
        batch = queued.submit(first, home, command, extra, log.wait_in_queue, warn)
        return batch.ids[0]

    def _run(self, started: list[Prepared]) -> None:
        layouts = {task.task.name: task.layout for task in started}
        controller = self._args.controller
        time_limit = queued.TimeLimit()
        if controller == JOB:
            time_limit = queued.time_limit(started[0].task.scheduler)
        with self._log or RunLog.begin(layouts, _mode(controller)) as log:
            log.begins()
            if _mode(controller) == PROCESS:
                let_go(int(controller), log, self._status)
            self._view = log.view(self._view)
            self._remark_on_idle_cores(started)
            for task in started:
                self._show(task, None)
            run = Controller(started, self._view, time_limit.stop)
            outcome = run.run(jobs=self._args.jobs, extra=self._args.snakemake_args)
            self._view.close()
            if outcome.is_out_of_time:
                self._hand_over(started[0], log, time_limit.end)
                return
            with log.summing_up():
                status = self._tell(outcome, run, started)
            log.end(status)
        self._status = max(self._status, status)

    def _tell(
        self, outcome: RunOutcome, run: Controller, started: list[Prepared]
    ) -> int:
        verdict = Summary(outcome, run.tally(), started)
        is_partial = bool(self._args.snakemake_args)
        try:
            return verdict.tell(self._view, is_partial=is_partial)
        except PsyrunError as error:
            return report(error, debug=self._args.debug)

    def _hand_over(self, first: Prepared, log: RunLog, end: float) -> None:
        """Have another job go on, as the time of this one is nearly over."""
        queued.forget_ended(log.record.home, warn)
        while True:
            try:
                jobid = self._submit(first, log)
                break
            except QueueError as error:
                if time.time() > end - _LAST_WORDS:
                    raise
                self._view.say(f"{error} Trying again.")
                time.sleep(_PAUSE)
        self._view.say(f"The time of this job is nearly over; job {jobid} goes on.")

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
            jobs.append((block in blocks, layout.job(PROCESS_STEP, block)))
        jobs.append((decision.merge, layout.job(MERGE)))
        for is_open, name in jobs:
            mark = executed if is_open else SKIPPED
            if mark is not None:
                self._view.job(mark, name)

    def _complain(self, message: str, status: int) -> None:
        self._status = max(self._status, complain(message, status))
