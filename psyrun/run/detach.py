"""A controller that goes on as a process of its own, out of reach of a logout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from psyrun.run.log import RunLog
from psyrun.run.options import RunOptions
from psyrun.utils.process.isolation import isolated


def start(options: RunOptions) -> int:
    """Start a process that runs tasks, and return once it has locked them.

    The exit status is that of the process if it had nothing to run.
    """
    read_end, write_end = os.pipe()
    arguments = options.command_line(options.tasks, controller=str(write_end))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "psyrun.cli", *arguments],
        env=isolated(os.environ),
        stdin=subprocess.DEVNULL,
        pass_fds=[write_end],
        start_new_session=True,
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end, "rb") as pipe:
            text = pipe.read()
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
    print(next_commands(begun["tasks"]))
    return int(begun["status"])


def next_commands(tasks: Sequence[str]) -> str:
    """Return what to type while tasks run elsewhere."""
    names = " ".join(tasks)
    return (
        f"Follow with 'psy attach {tasks[0]}', look with 'psy status {names}', stop "
        f"with 'psy kill {names}'."
    )


def ignore_hangup() -> None:
    """Have a logout ignored; other requests to end interrupt the process."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def report_start(descriptor: int, log: RunLog, status: int) -> None:
    """Let the process that waits in `start` return; from here on, print to the log.

    Parameters
    ----------
    descriptor : int
        What that process reads from.
    log : RunLog
        Log of the run.
    status : int
        Exit status as far as it is known: some tasks may not be run.
    """
    begun = {"tasks": list(log.record.tasks), "log": log.record.log, "status": status}
    log.become_output()
    with os.fdopen(descriptor, "w") as pipe:
        json.dump(begun, pipe)
