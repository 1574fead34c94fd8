"""What a copy of the fork server does: its only step, or one after the other."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

from psyrun.steps.forkrequest import StepRequest, print_to
from psyrun.steps.job import ImportedTask
from psyrun.steps.main import run
from psyrun.utils.environment import FOLDER_VARIABLE
from psyrun.utils.process.isolation import isolated
from psyrun.utils.process.offspring import end_offspring

NOTHING = 0
"""Standard input, where copies have the null device."""


def do_only(request: StepRequest, task: ImportedTask | None) -> int:
    """Do the only step of this process and return its exit status."""
    with request:
        request.enter()
    arguments = request.arguments
    if task is not None and not task.is_forkable_for(arguments[0]):
        # What the import holds locked or open is not for copies.
        os.environ.pop(FOLDER_VARIABLE, None)
        command = [sys.executable, "-P", "-m", "psyrun.steps", *arguments]
        os.execve(sys.executable, command, isolated(os.environ))
    return run(arguments, task)


def do_all(channel: socket.socket, task: ImportedTask | None) -> int:
    """Do one step after the other, and return the exit status of the last one.

    A step that fails is the last one, and so is one that imported something: the next
    one is to find this process as it was.
    """
    n_modules = len(sys.modules)
    while True:
        try:
            with StepRequest.received(channel) as request:
                request.enter()
        except (OSError, ValueError):
            # The server has ended, or is about to.
            return 0
        code = run(request.arguments, task)
        if code or len(sys.modules) != n_modules:
            return code
        end_offspring()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Who reads what was printed may wait for its end.
        print_to(NOTHING, NOTHING)
        channel.sendall(b"\0")
