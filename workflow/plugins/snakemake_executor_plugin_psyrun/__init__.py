"""Snakemake executor plug-in that submits psyrun's jobs to a queue.

All jobs that are ready are submitted as one array, whose jobs run the rules'
commands directly; `psyrun.queue` does the work. Small steps before and after these
run on this machine, and so do, the ordinary way, the jobs of other rules.
"""

import os
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from snakemake_interface_executor_plugins.settings import (
    CommonSettings,
    ExecutorSettingsBase,
)

from psyrun.errors import PsyrunError
from psyrun.queue.driver import Driver, FinishedJob
from psyrun.queue.job import QueuedJob
from psyrun.queue.local_steps import LocalSteps
from psyrun.queue.placement import is_local
from psyrun.queue.site import SiteSettings
from psyrun.run.lock_watch import check_locks
from psyrun.scheduler.jobs import Cause
from psyrun.steps.command import StepCommand
from psyrun.utils.environment import CONTROLLED_VARIABLE
from psyrun.utils.process.basics import cancel_timers

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=True,
    auto_deploy_default_storage_provider=False,
)

_PAUSE = 0.1  # seconds between looks at whether something is due
_SHORT_PAUSE = 0.02  # while something will be due soon


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings of the profile or the command line.

    Attributes
    ----------
    scheduler : str, optional
        Scheduler of the tasks that do not name one.
    args : str, optional
        Arguments for the scheduler where tasks do not give them.
    split_and_merge : str, optional
        Where these are done for tasks that do not say: auto, local or queue.
    """

    # Snakemake reads the types of settings, and knows unions by this name only.
    scheduler: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Scheduler for tasks that do not name one: Slurm, Sqsub or "
            "MODULE.CLASS.",
        },
    )
    args: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Scheduler arguments of this site, such as "
            "'account=lab partition=short'; those of tasks win.",
        },
    )
    split_and_merge: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Where split and merge of tasks that do not say are done: local, "
            "queue, or auto (local if they are small).",
        },
    )


class Executor(RemoteExecutor):
    """Hands psyrun's jobs to queues, and what is left to Snakemake's own executor."""

    def __post_init__(self) -> None:
        local = ExecutorPluginRegistry().get_plugin("local").executor
        self._ordinary = local(self.workflow, self.logger)
        self._is_controlled = bool(os.environ.get(CONTROLLED_VARIABLE))
        self._driver = Driver(self._warn, is_ledger_complete=self._is_controlled)
        self._local_steps = LocalSteps(self._driver.add, self._warn)
        settings = self.workflow.executor_settings
        try:
            self._site = SiteSettings(
                settings.scheduler, settings.args, settings.split_and_merge
            )
        except PsyrunError as error:
            raise WorkflowError(str(error)) from None
        self._lock_of_driver = threading.RLock()
        self._infos: dict[int, SubmittedJobInfo] = {}

    def run_jobs(self, jobs: list[Any]) -> None:
        """Take over all jobs that are ready."""
        # None is submitted before all are known, so that they become one array.
        with self._lock_of_driver:
            for job in jobs:
                self.run_job_pre(job)
                self.run_job(job)

    def run_job(self, job: Any) -> None:
        """Take over one job."""
        # Before what the job made is removed: it may be another run's by now.
        check_locks()
        step = None if job.is_group() else StepCommand.parse(job.shellcmd)
        if step is None:
            self._ordinary.run_job(job)
            return
        info = SubmittedJobInfo(job)
        item = self._item(job, step, info)
        with self._lock_of_driver, _told_in_one_line():
            is_adopted = self._driver.adopt(item)
        if is_adopted:
            self._back_up_updated(job)
        else:
            # Makes folders for outputs and logs and removes what is outdated.
            self.workflow.async_run(job.prepare())
            with self._lock_of_driver, _told_in_one_line():
                self._have_done(item)
        self.report_job_submission(info)

    def _have_done(self, item: QueuedJob) -> None:
        if is_local(item.task, item.step):
            self._local_steps.add(item)
        else:
            item.remove_stale_lock()
            self._driver.add(item)

    def _item(self, job: Any, step: StepCommand, info: SubmittedJobInfo) -> QueuedJob:
        try:
            task = self._site.task(step.folder)
            return QueuedJob(
                task=task,
                command=job.shellcmd,
                step=step,
                outputs=[str(output) for output in job.output],
                values=task.values(step.step, step.block),
                owner=info,
            )
        except PsyrunError as error:
            raise WorkflowError(str(error)) from None

    def _back_up_updated(self, job: Any) -> None:
        """Do for an adopted job what is done for others before they start."""
        for output in job.output:
            if output.is_flagged("update") and Path(output).exists():
                self.workflow.persistence.backup_output(Path(output))

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Do what is due, and tell of the jobs that have ended."""
        self.next_seconds_between_status_checks = _PAUSE
        if not active_jobs:
            # Snakemake's thread asks even before it has called __post_init__.
            return
        with self._lock_of_driver, _told_in_one_line():
            ended = [*self._local_steps.step(), *self._driver.step()]
            for one in ended:
                self._tell(one)
            if self._local_steps.is_busy or self._driver.is_gathering:
                self.next_seconds_between_status_checks = _SHORT_PAUSE
        infos = {id(one.item.owner) for one in ended}
        for info in active_jobs:
            if id(info) not in infos:
                yield info

    def _tell(self, ended: FinishedJob) -> None:
        item, ending = ended
        check_locks()
        if ending.cause is Cause.DONE:
            self.report_job_success(item.owner)
            return
        item.record_failure(ending)
        self.report_job_error(item.owner, msg=f"{item.name}: {ending.text}. ")

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Cancel all jobs, unless they are to be adopted by the next run."""
        with self._lock_of_driver:
            self._local_steps.cancel()
            if not self._is_controlled:
                self._driver.kill()

    def cancel(self) -> None:
        """End all jobs."""
        self._ordinary.cancel()
        super().cancel()

    def shutdown(self) -> None:
        """Wait for the jobs on this machine, and stop watching the others."""
        self._ordinary.shutdown()
        super().shutdown()
        cancel_timers("snakemake")

    def _warn(self, text: str) -> None:
        # `psy run` shows it; of Snakemake's own warnings it shows none.
        self.logger.warning(text, extra={"psyrun": True})


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    """Have Snakemake show an error without a traceback."""
    try:
        yield
    except (PsyrunError, OSError) as error:
        said = " ".join(str(error).split())
        raise WorkflowError(
            f"{said} Jobs in the queue go on; the next run adopts them."
        ) from None


__all__ = ["Executor", "ExecutorSettings", "common_settings"]
