"""Tasks whose plans are accepted, as `psy run` does before it starts Snakemake."""

from pathlib import Path
from typing import Any

from psyrun.planning.prepare import PlanOptions, TaskRun, load_tasks
from psyrun.steps.main import run
from psyrun.utils.console import warn


def accept_plan(path: Path, **options: Any) -> TaskRun:
    """Lock a task and accept its plan."""
    (task,) = load_tasks([path], PlanOptions(**options))
    task.acquire()
    task.decide(warn)
    task.settle_earlier_jobs(warn)
    task.accept()
    return task


def finish_accepting_failures(name: str = "square") -> TaskRun:
    """Do all steps of a task, as its jobs do with ``--accept-failures``."""
    task = accept_plan(Path("psy-tasks", f"task_{name}.py"), accept_failures=True)
    where = [str(task.layout.folder), str(task.plan.round)]
    blocks = range(task.plan.n_blocks)
    for step in (["split"], *(["process", str(b)] for b in blocks), ["merge"]):
        assert run([step[0], *where, *step[1:]]) == 0
    task.release()
    return task
