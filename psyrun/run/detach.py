"""A controller that goes on as a process of its own, out of reach of a logout."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from psyrun.run.log import RunLog


def words(args: argparse.Namespace, controller: str) -> list[str]:
    """Return the arguments of ``psy`` with which another process does the same.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of ``psy run``.
    controller : str
        What that process is to be: ``job``, or the number of the file that it
        tells its beginning to.
    """
    flags = {
        "--continue": args.keep_going,
        "--accept-failures": args.accept_failures,
        "--quiet": args.quiet,
        "--debug": args.debug,
    }
    values = {
        "--controller": controller,
        "--taskdir": args.taskdir,
        "--jobs": args.jobs,
        "--max-failures": args.max_failures,
    }
    return [
        "run",
        *(flag for flag, is_given in flags.items() if is_given),
        *(f"{name}={v}" for name, v in values.items() if v is not None),
        *args.task,
        *(["--", *args.snakemake_args] if args.snakemake_args else []),
    ]


def start(args: argparse.Namespace) -> int:
    """Start a process that runs tasks, and return once it has locked them.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of ``psy run``.

    Returns
    -------
    int
        Exit status: that of the process if it had nothing to run.
    """
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "psyrun.cli", *words(args, str(write_end))],
        stdin=subprocess.DEVNULL,
        pass_fds=[write_end],
        start_new_session=True,
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end, "rb") as told:
            text = told.read()
        if not text:
            status = process.wait()
            return status if status >= 0 else 128 - status
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    # It is not waited for: it is not ours any more.
    process.returncode = 0
    begun: dict[str, Any] = json.loads(text)
    names = " ".join(begun["tasks"])
    print(
        f"{names}: runs on as process {process.pid}; what it says is in {begun['log']}"
    )
    print(advice(begun["tasks"]))
    return int(begun["status"])


def advice(names: Sequence[str]) -> str:
    """Return what to type while tasks run elsewhere."""
    every = " ".join(names)
    return (
        f"Follow with 'psy attach {names[0]}', look with 'psy status {every}', stop "
        f"with 'psy kill {every}'."
    )


def heed_signals() -> None:
    """Have a logout ignored; other requests to end interrupt the process."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def let_go(descriptor: int, log: RunLog, status: int) -> None:
    """Tell whoever started this process that it goes on by itself.

    Parameters
    ----------
    descriptor : int
        What it listens to.
    log : RunLog
        Of the run; takes what this process prints from here on.
    status : int
        Exit status, as far as it is known: some tasks may not be run.
    """
    begun = {"tasks": list(log.record.tasks), "log": log.record.log, "status": status}
    log.become_output()
    with os.fdopen(descriptor, "w") as told:
        json.dump(begun, told)
