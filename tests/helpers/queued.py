"""Projects whose tasks go to a real queue, and what was submitted for them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from projects import Project

TASK = """\
import os
import time
from pathlib import Path

from psyrun import Param, Slurm

pspace = Param(x=range({n_items}))
max_jobs = {n_jobs}
scheduler = Slurm()
scheduler_args = {{"timelimit": "5m", "memory": "200M"}}
# So that there are jobs of each kind.
split_and_merge = "queue"


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{{x}}\\n")
    time.sleep({seconds})
    return {{"y": x**2}}
"""

# Stands before sbatch and keeps what the run has recorded of each submission.
SBATCH = """\
#!/bin/sh
for word in "$@"; do
    [ "$previous" = -o ] && folder=$(dirname "$word")
    previous=$word
done
record=$(cat "$folder/array.json")
printf '{{"key": "%s", "record": %s}}\n' "$(basename "$folder")" "$record" >> "{log}"
exec {sbatch} "$@"
"""


def queued_project(
    folder: Path, *, n_items: int = 8, n_jobs: int = 4, seconds: float = 0
) -> Project:
    """Return a project with a task `a` for Slurm that notes its calls."""
    project = Project(folder)
    project.write(TASK.format(n_items=n_items, n_jobs=n_jobs, seconds=seconds))
    return project


class Submissions:
    """What sbatch was asked to submit.

    Parameters
    ----------
    folder : Path
        Where to put a program that is to stand before sbatch.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._log = folder / "log"
        self.path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        program = folder / "sbatch"
        program.write_text(SBATCH.format(log=self._log, sbatch=shutil.which("sbatch")))
        program.chmod(0o755)

    def all(self) -> list[dict[str, Any]]:
        """Return the records of all submissions."""
        return [one["record"] for one in self._logged()]

    def jobs(self) -> Counter[str]:
        """Return how often Slurm was given each job, by its name.

        An sbatch that was killed before it could ask Slurm has submitted nothing.
        Slurm knows of a job for some minutes after its end.
        """
        listed = subprocess.check_output(["squeue", "-t", "all", "-h", "-o", "%k"])
        keys = set(listed.decode().split())
        taken = [one["record"] for one in self._logged() if one["key"] in keys]
        return Counter(name for record in taken for name in record["names"])

    def _logged(self) -> list[dict[str, Any]]:
        text = self._log.read_text() if self._log.exists() else ""
        found, place = [], 0
        while place < len(text.rstrip()):
            one, place = json.JSONDecoder().raw_decode(text, place)
            place += 1
            found.append(one)
        return found
