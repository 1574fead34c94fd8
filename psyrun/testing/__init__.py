"""Contracts that plug-ins can be tested against.

A plug-in's own tests subclass a contract, and pytest runs it::

    from psyrun.testing import StoreContract


    class TestMyStore(StoreContract):
        store = MyStore()

`SchedulerContract` is the one for queues::

    class TestMyQueue(SchedulerContract):
        kind = MyQueue

Each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psyrun.testing.scheduler import SchedulerContract as SchedulerContract
    from psyrun.testing.store import StoreContract as StoreContract

_MODULES = {
    "SchedulerContract": "psyrun.testing.scheduler",
    "StoreContract": "psyrun.testing.store",
}

__all__ = ["SchedulerContract", "StoreContract"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
