"""What came out of a run, for its analysis.

Reading results is public as `psyrun.load`, `psyrun.export` and `psyrun.failed`, and as
`Result` here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psyrun.results.result import Result as Result

__all__ = ["Result"]


def __getattr__(name: str) -> Any:
    # Who only counts failures need not wait for what reads rows.
    if name == "Result":
        from psyrun.results.result import Result

        return Result
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
