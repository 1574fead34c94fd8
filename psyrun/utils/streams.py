"""What a process gets from who starts it: streams, signals and the umask.

Standard streams may be closed, full, or have an encoding that lacks characters.

Each job imports this module, so it imports next to nothing.
"""

from __future__ import annotations

import os
import sys

_STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def open_standard_streams() -> None:
    """Let those that are closed lead nowhere.

    Else the next files that are opened would take their places, and what is printed
    would end up in these.
    """
    for number, name, mode in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            stream = open(number, mode, closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def print_anything() -> None:
    """Have what cannot be encoded printed in ASCII, as Python does in errors.

    Texts of exceptions are the user's, and so is what a task prints.
    """
    # It may be another kind of stream, of a test for example.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        # In a copy of a process whose output was a file, it may be a pipe by now.
        try:  # noqa: SIM105 - contextlib is no little import
            reconfigure(errors="backslashreplace")
        except OSError:
            pass


def is_of_standard_output(error: OSError) -> bool:
    """Whether an error is that of the standard output, such as a full disk."""
    if error.filename is not None:
        return False
    try:
        sys.stdout.flush()
        os.write(sys.stdout.fileno(), b"\n")
    except OSError as again:
        return again.errno == error.errno
    return False


def close_standard_output() -> None:
    """Let the standard output lead nowhere: Python flushes it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def receive_signals() -> None:
    """Unblock the signals that whoever started this process has blocked.

    Without SIGCHLD, the end of a job is not noticed, and without the others nothing
    can be asked to end. Only SIGHUP may be meant to be held back.
    """
    import signal

    wanted = signal.valid_signals() - {signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, wanted)


def keep_own_rights() -> None:
    """Let the umask leave this user what he may do with his own new files.

    Else psyrun could not read its records, not even when the umask is another one.
    """
    mask = os.umask(0o077)
    os.umask(mask & ~0o700)
