"""Snakemake scheduler plug-in that takes jobs in order while resources last.

Snakemake's own schedulers look for the best choice among the jobs that are
ready, which takes time that grows with the square of their number. Between the
equal jobs of a task there is nothing to choose.

Snakemake hands out its jobs in the order of a set, which differs from run to run.
Here they are started in the order of their outputs: the blocks of a task by number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from snakemake_interface_scheduler_plugins.base import SchedulerBase

_DIGITS = 12  # at least, of each number in a path, so that texts sort as numbers do


class Scheduler(SchedulerBase):
    """Selects jobs by priority, and among equals by what they make."""

    def __post_init__(self) -> None:
        # Each job is looked at again whenever another one ends.
        self._outputs: dict[Any, str] = {}

    def select_jobs(
        self,
        selectable_jobs: Sequence[Any],
        remaining_jobs: Sequence[Any],
        available_resources: Mapping[str, int | str],
        input_sizes: dict[Any, int],
    ) -> list[Any]:
        """Select jobs that together do not need more than there is."""
        left = {k: v for k, v in available_resources.items() if isinstance(v, int)}
        selected = []
        for job in sorted(selectable_jobs, key=self._place):
            needs = job.scheduler_resources
            if all(needs.get(name, 0) <= free for name, free in left.items()):
                for name in left:
                    left[name] -= needs.get(name, 0)
                selected.append(job)
        return selected

    def _place(self, job: Any) -> tuple[int, str]:
        output = self._outputs.get(job)
        if output is None:
            output = self._outputs[job] = _sortable("\0".join(job.output))
        return -job.priority, output


def _sortable(text: str) -> str:
    return re.sub(r"\d+", lambda number: number[0].zfill(_DIGITS), text)


__all__ = ["Scheduler"]
