"""``psy list``: the names of all tasks."""

from __future__ import annotations

import argparse

from psyrun.tasks.discovery import find_tasks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def execute(args: argparse.Namespace) -> int:
    """Print one name per line; no task file is run."""
    for name in find_tasks(args.taskdir):
        print(name)
    return 0
