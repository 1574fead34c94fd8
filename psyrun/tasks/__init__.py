"""Task files: found, run, checked, and compared with what they were.

Public is `Config`, which documents the special variables of a task file. It is
imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psyrun.utils.former import former_names

if TYPE_CHECKING:
    from psyrun.tasks.config import Config as Config

__all__ = ["Config"]

_former = former_names(
    __name__,
    {
        "PackageLoader": "psyrun.tasks.former:PackageLoader 'psy list'",
        "TaskDef": "psyrun.tasks.former:TaskDef psyrun.load(task) for its results",
    },
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        from psyrun.tasks import config

        return getattr(config, name)
    return _former(name)
