"""Slurm's commands for a queue that is a folder, whose jobs can be held.

It is there for what no real cluster has any more: jobs that a former version of
psyrun submitted. Jobs run for real, but for those whose names begin with what stands
in the file ``held``; these wait until somebody runs them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sacct")
COLUMNS = {
    "%i": "id",
    "%F": "array",
    "%t": "state",
    "%r": "reason",
    "%k": "comment",
    "%j": "name",
}
ENDED = ("CD", "F", "CA", "NF")


class SlurmStandIn:
    """A queue.

    Parameters
    ----------
    folder : Path
        Where it is; made if there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which the commands are found."""
        commands = self.folder / "bin"
        commands.mkdir(exist_ok=True)
        for name in COMMANDS:
            words = f"'{sys.executable}' -S '{__file__}' '{self.folder}' {name}"
            (commands / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            (commands / name).chmod(0o755)
        return {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}

    def hold(self, *names: str) -> None:
        """Have jobs held from now on whose names begin so."""
        (self.folder / "held").write_text(" ".join(names))

    def jobs(self) -> Iterator[dict[str, Any]]:
        """Yield all jobs, also those that have ended."""
        paths = self.folder.glob("*.json")
        for path in sorted(paths, key=lambda path: [*map(int, path.stem.split("_"))]):
            yield json.loads(path.read_text())

    def ids(self, state: str) -> list[str]:
        """Return the jobs in a state, by id."""
        return [job["id"] for job in self.jobs() if job["state"] == state]

    def submit(self, words: list[str]) -> int:
        """Submit jobs as sbatch does, and return the number that they share."""
        options = dict(word.split("=", 1) for word in words if "=" in word[:12])
        _, last = options["--array"].split("-")
        numbers = (int(job["array"]) for job in self.jobs())
        number = max(numbers, default=40) + 1
        job = {
            "array": str(number),
            "state": "PD",
            "reason": "Priority",
            "name": words[words.index("-J") + 1],
            "comment": options["--comment"],
            "output": words[words.index("-o") + 1],
            "script": words[-1],
            "options": words[:-1],
        }
        for index in map(str, range(int(last) + 1)):
            own = {"id": f"{number}_{index}", "index": index}
            self.save({**job, **own, "output": job["output"].replace("%a", index)})
        held = (self.folder / "held").read_text().split()
        if not job["name"].startswith(tuple(held)):
            for index in range(int(last) + 1):
                command = [sys.executable, "-S", __file__, str(self.folder), "run"]
                subprocess.Popen([*command, f"{number}_{index}"], **_DETACHED)
        return number

    def run(self, jobid: str) -> None:
        """Run a job to its end."""
        job = self.set_state(jobid, "R")
        with Path(job["output"]).open("ab") as output:
            ended = subprocess.run(
                ["sh", "-c", job["script"]],
                env={**os.environ, "SLURM_ARRAY_TASK_ID": job["index"]},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.set_state(jobid, "F" if ended.returncode else "CD")

    def set_state(self, jobid: str, state: str) -> dict[str, Any]:
        """Change the state that the queue tells of a job."""
        job = json.loads((self.folder / f"{jobid}.json").read_text())
        self.save({**job, "state": state, "reason": "None"})
        return job

    def save(self, job: dict[str, Any]) -> None:
        """Write what is known of a job, whole."""
        path = self.folder / f"{job['id']}.json"
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(job))
        temporary.replace(path)

    def listing(self, words: list[str]) -> Iterator[str]:
        """Yield the lines that squeue prints."""
        columns = words[words.index("-o") + 1].split("|")
        for job in self.jobs():
            if job["state"] not in ENDED or "all" in words:
                yield "|".join(job[COLUMNS[column]] for column in columns)


_DETACHED: dict[str, Any] = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.DEVNULL,
    "stderr": subprocess.DEVNULL,
    "start_new_session": True,
}


def main(folder: str, command: str, *words: str) -> int:
    """Do as one of Slurm's commands; scontrol and sacct know nothing."""
    queue = SlurmStandIn(Path(folder))
    if command == "sbatch":
        print(queue.submit(list(words)))
    elif command == "squeue":
        print(*queue.listing(list(words)), sep="\n")
    elif command == "scancel":
        named = [word.partition("_")[0] for word in words]
        for job in queue.jobs():
            if job["array"] in named and job["state"] not in ENDED:
                queue.set_state(job["id"], "CA")
    elif command == "run":
        queue.run(*words)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
