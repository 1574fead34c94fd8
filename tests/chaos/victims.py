"""The processes of a run, and how one or all of them are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path


class Victims:
    """The processes of one run.

    Parameters
    ----------
    process : subprocess.Popen
        Who controls it: `psy run` or Snakemake.
    random_numbers : random.Random
        Chooses among several.
    """

    def __init__(
        self, process: subprocess.Popen[str], random_numbers: random.Random
    ) -> None:
        self._process = process
        self._random = random_numbers

    def find(self, victim: str) -> list[int]:
        """Return the processes to be killed, none if they do not exist (yet)."""
        if self._process.poll() is not None:
            return []
        controller = self._process.pid
        if victim in ("psy", "plain"):
            return [controller]
        if victim == "all":
            return [controller, *family(controller)]
        if victim == "snakemake":
            return [pid for pid in children(controller) if "snakemake" in name(pid)]
        jobs = [
            job for pid in family(controller) if is_server(pid) for job in children(pid)
        ]
        candidates = (
            jobs if victim == "job" else [w for job in jobs for w in children(job)]
        )
        return self._random.sample(sorted(candidates), min(1, len(candidates)))


def children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        texts = [(task / "children").read_text() for task in tasks]
    except OSError:
        return []
    return [int(child) for text in texts for child in text.split()]


def family(pid: int) -> list[int]:
    below = children(pid)
    return below + [pid for child in below for pid in family(child)]


def name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def is_server(pid: int) -> bool:
    # The jobs of a server have its command line too.
    stat = Path(f"/proc/{pid}/stat")
    try:
        parent = int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return False
    return "psyrun.steps.forkserver" in name(
        pid
    ) and "psyrun.steps.forkserver" not in name(parent)


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
