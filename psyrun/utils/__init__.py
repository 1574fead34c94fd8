"""Helpers that know nothing of tasks."""

__version__ = "1.0.0.dev0"
