"""What jobs have used of what was reserved for them, as the page shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psyrun.results.efficiency import CPU, MEMORY, JobUse, core_hours
from psyrun.utils.text import memory_size, number_text, rough_duration


def described_use(use: JobUse) -> dict[str, Any]:
    """Return what the page is told of the jobs of a step.

    Numbers are texts, as ``psy status -v`` has them; `share` is what was used by what
    was reserved, None if one of them is not known.
    """
    cpu, memory = (
        f"{what} (by rows)" if told in use.of_rows else what
        for what, told in (("core-hours", CPU), ("memory", MEMORY))
    )
    kinds = (
        (f"{cpu}, all jobs", use.cpu_seconds, use.core_seconds, core_hours),
        (f"{memory}, the most of a job", use.peak_bytes, use.memory_bytes, memory_size),
        (
            "time, the longest job",
            use.longest_seconds,
            use.limit_seconds,
            rough_duration,
        ),
        ("cores, busy on average", use.busy_cores, use.n_cores, number_text),
    )
    return {
        "step": use.step,
        "n_jobs": use.n_jobs,
        "n_counted": use.n_counted,
        "by_queue": use.source == "queue",
        "kinds": [
            _kind(what, used, reserved, shown)
            for what, used, reserved, shown in kinds
            if used is not None
        ],
        "advice": ", ".join(f"{key} {value}" for key, value in use.advice().items()),
    }


def _kind(
    what: str, used: float, reserved: float | None, shown: Callable[[float], str]
) -> dict[str, Any]:
    return {
        "what": what,
        "used": shown(used),
        "reserved": "" if reserved is None else shown(reserved),
        "share": used / reserved if reserved else None,
    }
