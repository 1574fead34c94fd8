"""Python processes that no file of the project can disturb.

The project may hold modules that are called as those of Python or of a library.
So processes are started with ``python -P``, without the current folder on
``sys.path``, and what PYTHONPATH names below the current folder is kept from
them until it is their turn, see `psyrun.tasks.import_path`.

Each job imports this module, so it imports next to nothing.
"""

from __future__ import annotations

import os
import sys

_VARIABLE = "PYTHONPATH"
_KEPT = "PSYRUN_PYTHONPATH"
"""Holds the variable as the user set it."""

_SAFE_PATH = "PYTHONSAFEPATH"
_KEPT_SAFE_PATH = "PSYRUN_PYTHONSAFEPATH"
_PACKAGES = ("psyrun", "snakemake_executor_plugin_psyrun")

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping


def isolate() -> None:
    """Take the folders of the project out of ``sys.path``.

    The user's PYTHONPATH is there again, for programs that the task starts.
    """
    kept = os.environ.pop(_KEPT, None)
    if kept is not None:
        os.environ[_VARIABLE] = kept
    try:
        ours = project_entries()
        # That of ``python -m``.
        if sys.path[:1] == [os.getcwd()] and _is_of_project(sys.path[0]):
            del sys.path[0]
    except OSError:
        # The current folder was removed, which is told of elsewhere.
        return
    sys.path[:] = [entry for entry in sys.path if entry not in ours]


def without_current_folder(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment that does for ``python -m`` what ``-P`` does.

    The process should call `restore_safe_path` before it starts others.
    """
    kept = environment.get(_SAFE_PATH, "")
    return {**environment, _SAFE_PATH: "1", _KEPT_SAFE_PATH: kept}


def restore_safe_path() -> None:
    """Let other Pythons find what is in the folder of their script again."""
    kept = os.environ.pop(_KEPT_SAFE_PATH, None)
    if kept:
        os.environ[_SAFE_PATH] = kept
    elif kept is not None:
        os.environ.pop(_SAFE_PATH, None)


def project_entries() -> list[str]:
    """Return the folders in PYTHONPATH that are the current one or below it."""
    named = os.environ.get(_KEPT, os.environ.get(_VARIABLE, ""))
    return [os.path.abspath(entry) for entry in _split(named) if _is_of_project(entry)]


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a Python that calls `isolate`, or starts those."""
    named = environment.get(_VARIABLE, "")
    rest = [entry for entry in _split(named) if not _is_of_project(entry)]
    if len(rest) == len(_split(named)):
        return dict(environment)
    changed = {_VARIABLE: os.pathsep.join(rest), _KEPT: named}
    return {**environment, **changed}


def _split(text: str) -> list[str]:
    return text.split(os.pathsep) if text else []


def _is_of_project(entry: str) -> bool:
    here, folder = os.path.realpath(""), os.path.realpath(entry)
    if not f"{folder}{os.sep}".startswith(f"{here.rstrip(os.sep)}{os.sep}"):
        return False
    # psyrun itself may be used from its source folder.
    is_psyrun = any(os.path.exists(f"{folder}/{name}") for name in _PACKAGES)
    return not is_psyrun and not has_installed_packages(folder)


def has_installed_packages(folder: str) -> bool:
    """Whether an installer put libraries into a folder, which are to be shared."""
    try:
        return any(name.endswith(".dist-info") for name in os.listdir(folder))
    except OSError:
        return False
