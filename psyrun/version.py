"""The version, where psyrun 0.8 had it."""

from psyrun.utils import __version__ as version

__all__ = ["version"]
