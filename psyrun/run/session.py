"""One call of ``psy run``, as the list of its stages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

from psyrun.errors import PsyrunError, QueueError, RunningError, SchedulerError
from psyrun.planning.checks import check_imports, check_project_folder
from psyrun.planning.prepare import TaskRun, load_tasks
from psyrun.planning.telling import told_of_numbers
from psyrun.queue.site import QueuedTask, parse_arguments
from psyrun.queue.trust import like
from psyrun.run import controller_job, detach
from psyrun.run.controller import Controller, RunOutcome
from psyrun.run.display import EXECUTED, SKIPPED, Display, LogDisplay, choose_display
from psyrun.run.early_snakemake import EarlySnakemake
from psyrun.run.guard import Guard
from psyrun.run.log import RunLog
from psyrun.run.options import JOB, PROCESS, RunOptions
from psyrun.run.own_folders import remove_all_abandoned
from psyrun.run.snakemake import site_arguments
from psyrun.run.summary import Summary
from psyrun.scheduler.commands import check_programs
from psyrun.scheduler.immediate import LOCAL
from psyrun.scheduler.slurm.commands import OwnJob
from psyrun.tasks.discovery import find_tasks, select
from psyrun.utils.console import report_error, warn
from psyrun.utils.environment import wrong_limit
from psyrun.utils.process.threads import own_cores
from psyrun.workdir.layout import MERGE, SPLIT, TaskLayout
from psyrun.workdir.layout import PROCESS as PROCESS_STEP

_PATIENCE = 120.0  # seconds that a controller gives the one before it to end
_PAUSE = 5.0  # seconds between two tries to submit
_RESERVE = 15.0  # seconds that a job keeps to report that it could not go on


def run_tasks(options: RunOptions, early: EarlySnakemake | None = None) -> int:
    """Run tasks, here or elsewhere, and return the exit status.

    An `early` Snakemake, whose import has begun, is used here if one is needed.
    """
    check_limits()
    if options.detach == PROCESS and not options.is_dry_run:
        return detach.start(options)
    log = None
    if options.controller is not None:
        detach.ignore_hangup()
    if options.controller == JOB:
        log = controller_job.log_to_continue(options.taskdir, options.tasks)
    with log or nullcontext():
        status = Session(options, log, early).run()
        if log is not None:
            log.end(status)
    return status


def check_limits() -> None:
    """Raise `PsyrunError` if a variable of the environment is no time limit."""
    variable = wrong_limit()
    if variable:
        raise PsyrunError(
            f"{variable}: {os.environ[variable]!r} is no number of seconds. Set it to "
            "one, such as 600, or unset it."
        )


class Session:
    """A run in this process.

    Parameters
    ----------
    log : RunLog or None
        Log of the run that this process continues, in the job of a queue.
    """

    def __init__(
        self,
        options: RunOptions,
        log: RunLog | None,
        early: EarlySnakemake | None = None,
    ) -> None:
        self._options = options
        self._log = log
        self._early = early
        self._display = _choose_display(options)
        self._obstacles: dict[TaskRun, Exception] = {}
        job = OwnJob() if options.controller == JOB else OwnJob.of_environment()
        self._time_limit = controller_job.TimeLimit(end=job.end, job_of_slurm=job.id)
        self._status = 0
        self._guard = Guard()
        self._left_out: dict[Path, str] = {}

    def run(self) -> int:
        """Run the tasks and return the exit status."""
        loaded: list[TaskRun] = []
        try:
            loaded = self._load()
            self._guard.tasks_are_loaded()
            if not self._options.is_dry_run:
                self._lock(loaded)
                remove_all_abandoned()
            tasks = self._plan(loaded)
            if self._options.is_dry_run:
                self._preview(tasks)
            elif accepted := self._accept(tasks):
                if self._options.detach == JOB:
                    self._put_in_queue(accepted)
                else:
                    self._evaluate(accepted)
        finally:
            self._display.close()
            for task in loaded:
                task.release()
        return self._status

    def _evaluate(self, tasks: list[TaskRun]) -> None:
        _check_locks(tasks)
        with self._log or RunLog.begin(_layouts(tasks), self._options.mode) as log:
            self._begin(tasks, log)
            self._show(tasks)
            outcome = self._launch_and_watch(tasks)
            if outcome.is_out_of_time:
                self._hand_over(tasks[0], log)
            else:
                self._summarise(outcome, tasks, log)

    def _load(self) -> list[TaskRun]:
        taskdir, names = self._options.taskdir, self._options.tasks
        if names:
            paths = select(taskdir, names)
        else:
            paths = find_tasks(taskdir, refuse=self._leave_out)
        if not paths and not self._left_out:
            print(f"no tasks in {taskdir}; create one with 'psy new-task NAME'")
        options = self._options.plan
        return load_tasks(paths.values(), options, refuse=self._leave_out)

    def _leave_out(self, path: Path, error: Exception) -> None:
        """Go on without a task, and say why, once if it holds for several."""
        if str(error) not in self._left_out.values():
            status = report_error(error, debug=self._options.is_debugged)
            self._status = max(self._status, status)
        self._left_out[path] = str(error)

    def _those_that_can(
        self, act: Callable[[TaskRun], None], tasks: list[TaskRun]
    ) -> list[TaskRun]:
        """Do something with each task, and return those for which that works."""
        able = []
        for task in tasks:
            try:
                act(task)
            except (PsyrunError, OSError) as error:
                task.release()
                self._leave_out(task.task.path, error)
            else:
                able.append(task)
        return able

    def _lock(self, tasks: list[TaskRun]) -> None:
        """Lock the tasks; what keeps one from being locked is remembered.

        It does not matter for a task that turns out to be up to date.
        """
        for task in tasks:
            try:
                self._acquire(task)
            except (PsyrunError, OSError) as error:
                self._obstacles[task] = error

    def _acquire(self, task: TaskRun) -> None:
        patience = _PATIENCE if self._options.controller == JOB else 0.0
        deadline = time.monotonic() + patience
        while True:
            try:
                lock(task)
                return
            except RunningError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(1.0)

    def _plan(self, tasks: list[TaskRun]) -> list[TaskRun]:
        """Decide what to do, and return the tasks for which there is something."""
        able = self._those_that_can(self._decide, tasks)
        plan = self._options.plan
        if (plan.rerun is not None or plan.part) and len(able) < len(tasks):
            # An expression, or a parameter, may have been meant for other tasks.
            for task in able:
                task.release()
            return []
        tasks = able
        tasks = self._those_that_can(self._check_site, tasks)
        tasks = [task for task in tasks if self._is_to_run(task)]
        if self._options.detach == JOB and tasks:
            controller_job.check(tasks, self._options.snakemake_args)
        return tasks

    def _check_site(self, task: TaskRun) -> None:
        check_site_arguments(task, self._options.snakemake_args)

    def _decide(self, task: TaskRun) -> None:
        if task.lock is None:
            task.preview(warn)
        else:
            task.decide(warn)
        for line in task.mended:
            self._display.line(line)
        if not task.decision.is_done:
            check_imports(task.task)

    def _is_to_run(self, task: TaskRun) -> bool:
        if task.decision.is_done:
            self._tell_of_rows(task)
            self._show_jobs(task, None)
            task.release()
            return False
        why = task.refusal
        if why is None and task.decision.is_dirty and self._log is not None:
            why = (
                f"{task.task.path}: changed while its run was in the queue. "
                f"Compute all again with 'psy run {task.arguments}', or keep the rows "
                f"that are there with 'psy run --continue {task.arguments}'."
            )
        if why is not None:
            task.release()
            self._fail(why, 2)
        return why is None

    def _preview(self, tasks: list[TaskRun]) -> None:
        for task in tasks:
            self._tell_of_rows(task)
            self._display.line(told_of_numbers(task.name, task.rows))
            self._show_jobs(task, EXECUTED)

    def _accept(self, tasks: list[TaskRun]) -> list[TaskRun]:
        """Accept the plans, and return the tasks that nobody else runs."""
        if tasks:
            check_project_folder()
        return self._those_that_can(self._accept_one, tasks)

    def _accept_one(self, task: TaskRun) -> None:
        if task in self._obstacles:
            raise self._obstacles[task]
        check_programs(task.task.scheduler.PROGRAMS)
        task.settle_earlier_jobs(warn)
        task.accept()
        for remark in task.remarks:
            self._display.line(remark)
        self._tell_of_rows(task)

    def _tell_of_rows(self, task: TaskRun) -> None:
        for line in task.said_of_rows:
            self._display.line(line)

    def _put_in_queue(self, tasks: list[TaskRun]) -> None:
        _check_locks(tasks)
        log = RunLog.begin(_layouts(tasks), JOB)
        with log:
            jobid = self._submit(tasks[0], log)
        names = [task.name for task in tasks]
        self._display.line(
            f"{' '.join(names)}: runs on in the queue as job {jobid}; what it says "
            f"is in {log.record.log}\n{detach.next_commands(names)}"
        )

    def _submit(self, first: TaskRun, log: RunLog) -> object:
        command = self._options.command_line(list(log.record.tasks), controller=JOB)
        extra = self._options.snakemake_args
        home = log.record.home
        batch = controller_job.submit(
            first, home, command, extra, log.wait_in_queue, warn
        )
        return batch.ids[0]

    def _begin(self, tasks: list[TaskRun], log: RunLog) -> None:
        """Record that the run begins; from here on, all that is shown is logged."""
        if self._options.mode == JOB:
            self._time_limit = controller_job.time_limit(tasks[0].task.scheduler)
        log.begins()
        if self._options.mode == PROCESS:
            descriptor = int(self._options.controller or "")
            detach.report_start(descriptor, log, self._status)
        self._display = log.display(self._display)

    def _show(self, tasks: list[TaskRun]) -> None:
        self._remark_on_idle_cores(tasks)
        for task in tasks:
            self._show_jobs(task, None)

    def _launch_and_watch(self, tasks: list[TaskRun]) -> RunOutcome:
        if any(task.profile != LOCAL for task in tasks):
            self._guard.leave_queues_alone()
        controller = Controller(
            tasks,
            self._display,
            self._time_limit.stop,
            self._guard.look,
            self._early,
        )
        jobs, extra = self._options.jobs, self._options.snakemake_args
        outcome = controller.run(jobs=jobs, extra=extra)
        self._display.progress(outcome.tally)
        self._display.close()
        return outcome

    def _summarise(
        self, outcome: RunOutcome, tasks: list[TaskRun], log: RunLog
    ) -> None:
        with log.summing_up():
            summary = Summary(outcome, tasks, self._time_limit)
            is_partial = bool(self._options.snakemake_args)
            try:
                status = summary.show(self._display, is_partial=is_partial)
            except PsyrunError as error:
                status = report_error(error, debug=self._options.is_debugged)
            if self._left_out:
                files = ", ".join(map(str, self._left_out))
                self._display.line(f"not run, as was said above: {files}")
        log.end(status)
        self._status = max(self._status, status)

    def _hand_over(self, first: TaskRun, log: RunLog) -> None:
        """Have another job go on, as the time of this one is nearly over."""
        controller_job.forget_ended(log.record.home, warn)
        while True:
            try:
                jobid = self._submit(first, log)
                break
            except QueueError as error:
                if time.time() > self._time_limit.end - _RESERVE:
                    raise
                self._display.line(f"{error} Trying again.")
                time.sleep(_PAUSE)
        self._display.line(f"The time of this job is nearly over; job {jobid} goes on.")

    def _remark_on_idle_cores(self, tasks: list[TaskRun]) -> None:
        cores = own_cores()
        here = [task for task in tasks if task.profile == LOCAL]
        n_blocks = sum(len(task.decision.blocks) for task in here)
        if (self._options.jobs or 1) == 1 and min(cores, n_blocks) > 1:
            self._display.line(
                f"One of {cores} cores is used; 'psy run -j {cores}' uses all."
            )

    def _show_jobs(self, task: TaskRun, executed: str | None) -> None:
        """Show the jobs that are skipped and, with a mark, the others."""
        decision, layout = task.decision, task.layout
        blocks = set(decision.blocks)
        jobs = [(decision.split, layout.job(SPLIT))]
        for block in range(decision.plan.n_blocks):
            jobs.append((block in blocks, layout.job(PROCESS_STEP, block)))
        jobs.append((decision.merge, layout.job(MERGE)))
        for is_open, name in jobs:
            mark = executed if is_open else SKIPPED
            if mark is not None:
                self._display.job(mark, name)

    def _fail(self, message: str, status: int) -> None:
        self._status = max(self._status, status)
        warn(message)


def _choose_display(options: RunOptions) -> Display:
    if options.controller is None or options.is_quiet:
        return choose_display(is_quiet=options.is_quiet)
    return LogDisplay()


def _layouts(tasks: Sequence[TaskRun]) -> dict[str, TaskLayout]:
    return {task.name: task.layout for task in tasks}


def _check_locks(tasks: Iterable[TaskRun]) -> None:
    """Leave all as it is if this process was suspended, and another run has begun."""
    for task in tasks:
        task.check_lock()


def lock(task: TaskRun) -> None:
    """Lock a task, also if the controller of an earlier run, in a queue, has ended.

    Raises
    ------
    RunningError
        If it is run, or its controller waits in a queue.
    """
    _refuse_waiting(task)
    thaw = like(task.task.scheduler)
    controller_job.release_lock(task.layout, warn, thaw)
    task.acquire()


def _refuse_waiting(task: TaskRun) -> None:
    """Refuse a task whose controller was put in a queue and has not begun."""
    thaw = like(task.task.scheduler)
    job = controller_job.waiting_job(task.layout, warn, thaw)
    if job is not None:
        raise RunningError(
            f"task {task.name!r}: its controller waits in the queue as job {job}. "
            f"Follow it with 'psy attach {task.name}', or stop it with "
            f"'psy kill {task.name}'."
        )


def check_site_arguments(task: TaskRun, extra: Sequence[str]) -> None:
    """Refuse what the site says for all tasks before anything is submitted.

    What the task itself says was checked when it was loaded.
    """
    if task.profile == LOCAL:
        return
    text = site_arguments(task.profile, extra)
    of_site = parse_arguments(text)
    if not of_site:
        return
    queued = QueuedTask.of(task.task, task.plan, of_site)
    try:
        for step in (SPLIT, PROCESS_STEP, MERGE):
            queued.values(step, 0 if step == PROCESS_STEP else None)
    except SchedulerError as error:
        cause = str(error).removeprefix("scheduler_args: ")
        raise SchedulerError(f"psyrun-args {text!r}: {cause}") from None
