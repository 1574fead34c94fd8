"""How the assignments of a space are shared out among jobs."""

from __future__ import annotations

from psyrun.backend.base import Backend
from psyrun.backend.distribute import DistributeBackend
from psyrun.backend.load_balancing import LoadBalancingBackend

__all__ = ["Backend", "DistributeBackend", "LoadBalancingBackend"]
