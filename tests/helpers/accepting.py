"""Runs that go without the assignments that failed."""

from pathlib import Path

from psyrun.planning.prepare import Prepared, RunOptions, prepare
from psyrun.steps.main import run


def finish_accepting_failures(name: str = "square") -> Prepared:
    """Do all steps of a task, as its jobs do with ``--accept-failures``."""
    path = Path("psy-tasks", f"task_{name}.py")
    prepared = prepare(path, RunOptions(accept_failures=True))
    prepared.start()
    where = [str(prepared.layout.folder), str(prepared.plan.round)]
    blocks = range(prepared.plan.n_blocks)
    for step in (["split"], *(["process", str(b)] for b in blocks), ["merge"]):
        assert run([step[0], *where, *step[1:]]) == 0
    prepared.release()
    return prepared
