"""Put the rows of all blocks into one file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.files import write_json
from psyrun.layout import MERGE

if TYPE_CHECKING:
    from psyrun.steps.run import Job


def merge(job: Job) -> None:
    """Write the result file, in the order of the space.

    Parameters
    ----------
    job : Job
        The job. The former result file stays until the new one is whole.
    """
    plan = job.plan
    with job.lock(MERGE):
        result = Path(plan.resultfile)
        result.parent.mkdir(parents=True, exist_ok=True)
        with job.store(plan.result_ext).writer(str(result)) as writer:
            n_rows = job.data.write(writer)
        record = {"merge": plan.merge, "into": plan.resultfile, "n_rows": n_rows}
        write_json(job.round.merged, record)
        _remove_what_is_no_longer_needed(job)
    print(f"{n_rows} rows written to {result}")


def _remove_what_is_no_longer_needed(job: Job) -> None:
    shutil.rmtree(job.round.journals, ignore_errors=True)
    for number, round_ in job.layout.rounds().items():
        if number < job.plan.round:
            shutil.rmtree(round_.folder, ignore_errors=True)
