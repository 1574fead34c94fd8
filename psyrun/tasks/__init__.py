"""Task files: found, run, checked, and compared with what they were.

Public is `Config`, which documents the special variables of a task file. It is
imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psyrun.tasks.config import Config as Config

__all__ = ["Config"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from psyrun.tasks import config

        return getattr(config, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
