"""What stands in for the main program in Pythons that a task starts.

`multiprocessing` and its like import the main program of the process that starts
another one. That of a job would import much, and libraries that it needs would be
searched in the project first.
"""

from __future__ import annotations

import importlib.util
import sys


def take_the_place_of_main() -> None:
    """Have this module imported by processes that this one spawns."""
    main = sys.modules["__main__"]
    if getattr(main, "__spec__", None) is not None:
        main.__spec__ = importlib.util.find_spec(__name__)


if __name__ == "__mp_main__":
    # The folders of the task file and of the project, see `add_to_import_path`.
    first, sys.path[:2] = sys.path[:2], []
    from pathlib import Path

    from psyrun.tasks.import_path import add_to_import_path

    sys.path[:0] = first
    add_to_import_path(Path(first[0]))
