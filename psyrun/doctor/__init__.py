"""Whether this machine and its queue have what runs need, and what to mend."""

from __future__ import annotations

from psyrun.doctor.finding import Finding, Level

__all__ = ["Finding", "Level"]
