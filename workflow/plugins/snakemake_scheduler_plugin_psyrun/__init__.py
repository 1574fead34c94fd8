"""Snakemake scheduler plug-in that takes jobs in order while resources last.

Snakemake's own schedulers look for the best choice among the jobs that are
ready, which takes time that grows with the square of their number. Between the
equal jobs of a task there is nothing to choose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snakemake_interface_scheduler_plugins.base import SchedulerBase


class Scheduler(SchedulerBase):
    """Selects jobs by priority, and among equals in Snakemake's order."""

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
        for job in sorted(selectable_jobs, key=lambda job: -job.priority):
            needs = job.scheduler_resources
            if all(needs.get(name, 0) <= free for name, free in left.items()):
                for name in left:
                    left[name] -= needs.get(name, 0)
                selected.append(job)
        return selected


__all__ = ["Scheduler"]
