"""How many cores there are for this process, and threads of numerical libraries.

A library such as OpenBLAS starts a thread for each core that it sees, in each process.
Several workers together then have more threads than cores, and wait for each other. The
number is read from the environment when the library is loaded, once.

Each job imports this module before NumPy, so it imports next to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from psyrun.utils.environment import CORES_VARIABLE, JOB_OF_SLURM

AUTO = "auto"
"""As `threads`: each worker gets its share of the cores."""

_GENERAL = "OMP_NUM_THREADS"  # the others heed it where their own is not set
VARIABLES = (
    _GENERAL,
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Environment variables by which libraries are told how many threads to have."""

# Snakemake sets all of these to the cores of a job.
_OF_SNAKEMAKE = (
    *VARIABLES[:3],
    "GOTO_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_OF_SLURM = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
_CGROUPS = Path("/sys/fs/cgroup")
_HAS_AFFINITY = hasattr(os, "sched_getaffinity")


def own_cores() -> int:
    """Return how many cores this process may use, at least 1.

    It is the smallest number of those that the system, its control group and its job
    in a queue have for it.
    """
    known = [len(os.sched_getaffinity(0)) if _HAS_AFFINITY else os.cpu_count() or 1]
    known += _quotas()
    known += _counts(os.environ, (CORES_VARIABLE,))[:1]
    if JOB_OF_SLURM in os.environ:
        known += _counts(os.environ, _OF_SLURM)[:1]
    known += _of_snakemake(os.environ)
    return max(1, min(known))


def share_of(cores: int, n_workers: int) -> int:
    """Return how many threads each of some workers gets, so that each has a core."""
    return max(1, cores // max(1, n_workers))


def thread_settings(
    threads: int | str | None, share: int, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment variables by which a worker has so many threads.

    `threads` is as in `psyrun.tasks.Config`, and `share` what stands for ``'auto'``.
    What the user has set in the environment stays, and what it stands for, too.
    """
    is_theirs = _GENERAL in environment and not _of_snakemake(environment)
    if threads is None or is_theirs:
        return {}
    number = str(share if threads == AUTO else threads)
    names = set(VARIABLES) - environment.keys()
    if _of_snakemake(environment):
        names |= set(_OF_SNAKEMAKE)
    return dict.fromkeys(sorted(names), number)


def _of_snakemake(environment: Mapping[str, str]) -> list[int]:
    """Return the cores of a job whose environment Snakemake has set."""
    numbers = _counts(environment, _OF_SNAKEMAKE)
    is_complete = len(numbers) == len(_OF_SNAKEMAKE)
    return numbers[:1] if is_complete and len(set(numbers)) == 1 else []


def _counts(environment: Mapping[str, str], names: tuple[str, ...]) -> list[int]:
    texts = [environment.get(name, "") for name in names]
    return [int(text) for text in texts if text.isdecimal() and int(text) > 0]


def _quotas() -> Iterator[int]:
    """Yield how many cores control groups leave this process (Linux only)."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = _CGROUPS / controllers if controllers else _CGROUPS
        inner = root / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if not folder.is_relative_to(root):
                break
            yield from _quota(folder)


def _quota(folder: Path) -> Iterator[int]:
    with suppress(OSError, ValueError):
        # Of version 2; "max" is no number.
        quota, period = map(int, (folder / "cpu.max").read_text().split())
        yield max(1, -(-quota // period))
    with suppress(OSError, ValueError):
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
        if quota > 0:
            yield max(1, -(-quota // period))
