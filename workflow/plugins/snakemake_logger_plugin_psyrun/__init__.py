"""Snakemake logger plug-in that tells `psy run` how a run goes on.

It writes one JSON object per line to the file descriptor in the environment
variable ``PSYRUN_EVENTS``, and nothing where that is not set.
"""

from __future__ import annotations

import json
import os
import sys
from logging import ERROR, LogRecord
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from psyrun.utils.environment import OWN_RULES_VARIABLE

_WANTED = {
    LogEvent.JOB_INFO: ("jobid", "rule_name", "wildcards"),
    LogEvent.JOB_FINISHED: ("job_id",),
    LogEvent.JOB_ERROR: ("jobid", "rule_name", "wildcards"),
}


class LogHandler(LogHandlerBase):
    """Hands Snakemake's events on to the process that started it."""

    def __post_init__(self) -> None:
        descriptor = os.environ.get("PSYRUN_EVENTS")
        self._stream = None if descriptor is None else int(descriptor)
        if OWN_RULES_VARIABLE in os.environ:
            _leave_out_pandas()

    def emit(self, record: LogRecord) -> None:
        """Write one event."""
        event = getattr(record, "event", None)
        if self._stream is None:
            return
        if event in _WANTED:
            told: dict[str, Any] = {"event": str(event)}
            told |= {name: getattr(record, name, None) for name in _WANTED[event]}
        elif record.levelno >= ERROR and record.msg:
            told = {"event": "error", "text": record.getMessage()}
            # What the controller shows of it is shorter.
            print(record.getMessage(), file=sys.stderr)
        elif getattr(record, "psyrun", False):
            told = {"event": "warning", "text": record.getMessage()}
        else:
            return
        line = json.dumps(told, default=_plain)
        try:
            os.write(self._stream, line.encode() + b"\n")
        except OSError:
            # Nobody listens any more; the run goes on all the same.
            self._stream = None

    @property
    def writes_to_stream(self) -> bool:
        """Whether this takes the place of Snakemake's own output."""
        return self._stream is not None

    @property
    def writes_to_file(self) -> bool:
        """Whether this writes to a log file that Snakemake should name."""
        return False

    @property
    def has_filter(self) -> bool:
        """Whether events that the user wants to be quiet about arrive too."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Whether records need no formatting by Snakemake."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """Whether Snakemake has to compute the graph of rules."""
        return False


def _leave_out_pandas() -> None:
    """Have Snakemake do without pandas, whose import takes as long as a small run.

    Snakemake imports it, where it is installed, as `params` of rules may be data
    frames; those of psyrun's rules are text. Plug-ins are imported already.
    """
    sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """Return what JSON can hold for what it can't: Snakemake's mappings."""
    return dict(value.items()) if hasattr(value, "items") else str(value)
