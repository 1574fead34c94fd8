"""Snakemake executor plug-in that runs psyrun's jobs in warm processes.

A rule's command would start a shell, that a Python, and that import NumPy and
the task file, for each job anew. Where a fork server of the task runs on this
machine (see `psyrun.steps.forkserver`), the job is handed to it instead, with the
same arguments and log file. All other jobs run the ordinary way.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecMode

from psyrun.run.lock_watch import check_locks
from psyrun.steps.command import StepCommand
from psyrun.steps.forkclient import Request, server_address
from psyrun.utils.process.basics import cancel_timers

common_settings = CommonSettings(
    non_local_exec=False,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=True,
    auto_deploy_default_storage_provider=False,
)

_THREADS_BESIDE_CORES = 5  # for jobs of zero threads, as Snakemake itself has it


class Executor(RealExecutor):
    """Hands jobs to fork servers, and what is left to Snakemake's own executor."""

    def __post_init__(self) -> None:
        local = ExecutorPluginRegistry().get_plugin("local").executor
        self._ordinary = local(self.workflow, self.logger)
        n_threads = (self.cores or 1) + _THREADS_BESIDE_CORES
        self._threads = ThreadPoolExecutor(n_threads)
        self._requests: set[Request] = set()
        self._lock = threading.Lock()
        self._is_cancelled = False

    def run_job(self, job: Any) -> None:
        """Start one job."""
        # Before what the job made is removed: it may be another run's by now.
        check_locks()
        step = None if job.is_group() else StepCommand.parse(job.shellcmd)
        address = None if step is None else server_address(step.arguments)
        if step is None or address is None:
            self._ordinary.run_job(job)
            return
        # Makes folders for outputs and logs and removes what is outdated.
        self.workflow.async_run(job.prepare())
        info = SubmittedJobInfo(job)
        future = self._threads.submit(self._serve, address, step)
        future.add_done_callback(lambda done: self._ended(info, done))
        self.report_job_submission(info)

    def _serve(self, address: str, step: StepCommand) -> int:
        """Have a step run and return its exit status."""
        with step.log.open("wb") as log, self._lock:
            if self._is_cancelled:
                return 1
            request = Request(address, step.arguments, log.fileno())
            self._requests.add(request)
        try:
            return request.wait()
        finally:
            with self._lock:
                self._requests.discard(request)

    def _ended(self, info: SubmittedJobInfo, done: Future[int]) -> None:
        # Snakemake removes what a job that failed has made.
        check_locks()
        error = done.exception()
        if error is None and done.result() == 0:
            self.report_job_success(info)
        else:
            self.report_job_error(info, msg=error and str(error))

    def cancel(self) -> None:
        """End all jobs."""
        with self._lock:
            self._is_cancelled = True
            for request in self._requests:
                request.cancel()
        self._ordinary.cancel()
        self._threads.shutdown()

    def shutdown(self) -> None:
        """Wait for all jobs to end."""
        self._ordinary.shutdown()
        self._threads.shutdown()
        cancel_timers("snakemake")

    @property
    def cores(self) -> Any:
        """Number of cores that the user allows."""
        return self.workflow.resource_settings.cores

    def get_python_executable(self) -> str:
        """Return what the base class needs to start Snakemake for a job."""
        return str(self._ordinary.get_python_executable())

    def get_exec_mode(self) -> ExecMode:
        """Return how a Snakemake that is started for a job has to run."""
        return ExecMode.SUBPROCESS


__all__ = ["Executor", "common_settings"]
