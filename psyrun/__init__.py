"""Evaluate one function over a large space of parameters.

The names below are the public interface. Each is imported when it is first
used, so that ``psy --help`` does not wait for NumPy.
"""

from __future__ import annotations

from psyrun.utils import __version__ as __version__

# A constant of one's own does what the one of `typing` does, without the import:
# this file is read at the start of each job.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from psyrun.backend import DistributeBackend as DistributeBackend
    from psyrun.backend import LoadBalancingBackend as LoadBalancingBackend
    from psyrun.mapper import map_pspace as map_pspace
    from psyrun.mapper import map_pspace_hdd_backed as map_pspace_hdd_backed
    from psyrun.mapper import map_pspace_parallel as map_pspace_parallel
    from psyrun.pspace import Param as Param
    from psyrun.report.plot import plot as plot
    from psyrun.results.export import export as export
    from psyrun.results.failed import failed as failed
    from psyrun.results.load import load as load
    from psyrun.results.provenance import provenance as provenance
    from psyrun.results.spaces import done as done
    from psyrun.results.spaces import stale as stale
    from psyrun.run.notebook import Run as Run
    from psyrun.scheduler import ImmediateRun as ImmediateRun
    from psyrun.scheduler import Scheduler as Scheduler
    from psyrun.scheduler import Slurm as Slurm
    from psyrun.scheduler import Sqsub as Sqsub
    from psyrun.store import AutodetectStore as AutodetectStore
    from psyrun.store import H5Store as H5Store
    from psyrun.store import NpzStore as NpzStore
    from psyrun.store import PickleStore as PickleStore

_NAMES = {
    "DistributeBackend": "psyrun.backend",
    "LoadBalancingBackend": "psyrun.backend",
    "done": "psyrun.results.spaces",
    "export": "psyrun.results.export",
    "failed": "psyrun.results.failed",
    "load": "psyrun.results.load",
    "plot": "psyrun.report.plot",
    "stale": "psyrun.results.spaces",
    "provenance": "psyrun.results.provenance",
    "map_pspace": "psyrun.mapper",
    "map_pspace_hdd_backed": "psyrun.mapper",
    "map_pspace_parallel": "psyrun.mapper",
    "Param": "psyrun.pspace",
    "Run": "psyrun.run.notebook",
    "ImmediateRun": "psyrun.scheduler",
    "Scheduler": "psyrun.scheduler",
    "Slurm": "psyrun.scheduler",
    "Sqsub": "psyrun.scheduler",
    "AutodetectStore": "psyrun.store",
    "H5Store": "psyrun.store",
    "NpzStore": "psyrun.store",
    "PickleStore": "psyrun.store",
}
_MODULES = ("backend", "mapper", "pspace", "scheduler", "store", "tasks")
__all__ = [*_NAMES, *_MODULES]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"psyrun.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    from psyrun.utils.former import former_names

    return former_names("psyrun", {"DefaultStore": "psyrun.store:PickleStore"})(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
