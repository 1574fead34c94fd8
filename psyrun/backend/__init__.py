"""Backends: how the assignments of a task are shared out among process jobs."""

from __future__ import annotations

from psyrun.backend.base import Backend
from psyrun.backend.distribute import DistributeBackend, equal_ranges
from psyrun.backend.load_balancing import LoadBalancingBackend
from psyrun.utils.former import former_names

__all__ = ["Backend", "DistributeBackend", "LoadBalancingBackend", "equal_ranges"]

__getattr__ = former_names(
    __name__, {"DefaultBackend": "psyrun.backend:DistributeBackend"}
)
