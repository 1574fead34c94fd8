"""Checks of this machine."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from psyrun.cli.doctor.finding import Finding, ok, problem, warning
from psyrun.errors import PsyrunError, one_line
from psyrun.tasks.discovery import find_tasks
from psyrun.tasks.module import check_syntax
from psyrun.utils import __version__
from psyrun.utils.leftovers import probe

_PLUGINS = (
    "snakemake_executor_plugin_psyrun",
    "snakemake_executor_plugin_psyrun_local",
    "snakemake_logger_plugin_psyrun",
    "snakemake_scheduler_plugin_psyrun",
)
_STORES = {"psyrun.store.pickle": ".pkl", "psyrun.store.npz": ".npz"}
_STORES |= {"psyrun.store.h5": ".h5"}
_LEAST_SPACE = 1 << 30  # bytes
CLOCK_TOLERANCE = 5.0  # seconds


def check_machine(taskdir: Path, workdir: Path) -> Iterator[Finding]:
    """Check what runs on this machine need."""
    yield ok(
        "Python", f"{platform.python_version()}, {sys.executable}; psyrun {__version__}"
    )
    yield _snakemake()
    yield _stores()
    yield from _folder(workdir)
    yield from _tasks(taskdir)


def _snakemake() -> Finding:
    try:
        found = version("snakemake")
    except PackageNotFoundError:
        return problem("Snakemake", "is not installed. Run 'pip install snakemake'.")
    missing = [name for name in _PLUGINS if find_spec(name) is None]
    if missing:
        return problem(
            "Snakemake",
            f"{found} does not find {', '.join(missing)}. Install psyrun again.",
        )
    return ok("Snakemake", f"{found}, with psyrun's plug-ins")


def _stores() -> Finding:
    for module, ext in _STORES.items():
        try:
            import_module(module)
            if ext == ".h5":
                import_module("tables")
        except Exception as error:
            # Compiled libraries fail in ways of their own.
            return problem(
                "stores",
                f"{ext} files cannot be read or written: {one_line(error)}. Install "
                "psyrun again, or choose another store.",
            )
    return ok("stores", ", ".join(_STORES.values()))


def _folder(workdir: Path) -> Iterator[Finding]:
    """Check that files can be written where the work folder is, or will be."""
    place = next(path for path in (workdir, *workdir.parents) if path.exists())
    try:
        with probe(place) as file:
            skew = os.fstat(file).st_mtime - time.time()
        free = shutil.disk_usage(place).free
    except OSError as error:
        yield problem(
            "work folder",
            f"{place} cannot be written to: {error.strerror}. Choose another workdir, "
            "or ask for the rights.",
        )
        return
    if free < _LEAST_SPACE:
        yield warning(
            "work folder",
            f"{place} has {free >> 20} MB left. Make room, or choose another workdir.",
        )
    else:
        yield ok("work folder", f"{place} can be written to, {free >> 30} GB are free")
    if abs(skew) > CLOCK_TOLERANCE:
        yield warning(
            "clock",
            f"that of the file server is {skew:+.0f} s off this machine's. Ask for "
            "both to be set by NTP.",
        )


def _tasks(taskdir: Path) -> Iterator[Finding]:
    """Check what can be known of task files without running them."""
    found: list[Finding] = []

    def refuse(path: Path, error: Exception) -> None:
        found.append(problem("task file", str(error)))

    try:
        tasks = find_tasks(taskdir, refuse=refuse)
    except PsyrunError as error:
        if not taskdir.exists():
            yield ok("tasks", f"none yet in {taskdir}; see 'psy new-task --help'")
        else:
            yield problem("tasks", str(error))
        return
    n_readable = 0
    for path in tasks.values():
        try:
            check_syntax(path)
            n_readable += 1
        except PsyrunError as error:
            refuse(path, error)
    yield from found
    yield ok("tasks", f"{n_readable} in {taskdir}")
