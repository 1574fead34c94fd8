"""Errors that a user can fix; each carries one line that says how."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager

_LONGEST_TEXT = 200  # characters of an exception's text in a message


class PsyrunError(Exception):
    """A mistake that the user can fix.

    The message is a single line: where, what is wrong, what is allowed and
    what to do next. `psy` prints it without a traceback and exits with
    `exit_status`.
    """

    exit_status = 2


class TaskError(PsyrunError):
    """A task file or a special variable in it is not usable."""


class StoreError(PsyrunError, OSError):
    """A data file cannot be read, or data cannot be held by a store.

    Where the system gives a reason, `errno` is its number.
    """


class DamagedFileError(StoreError):
    """A file is not what was written."""


class NoSuchFileError(StoreError, FileNotFoundError):
    """There is no data file of that name."""


class UnsupportedTypeError(StoreError, NotImplementedError):
    """A store takes no values of some type, whatever they are."""


class SchedulerError(PsyrunError):
    """A scheduler cannot be used as asked."""


class UntrustedError(SchedulerError):
    """A scheduler would have to be imported that somebody else may have written."""


class BrokenSchedulerError(SchedulerError):
    """The code of a scheduler is wrong, so that asking again does not help."""


class QueueError(SchedulerError):
    """A queue cannot do now what it may do later."""

    exit_status = 1


class QueueUnreachableError(QueueError):
    """A queue does not answer. Whether it did what was asked is not known."""


class QueueFullError(QueueError):
    """A queue takes no more jobs now, or not as many at once."""


class RunningError(PsyrunError):
    """Another run holds the lock that this one needs."""


class LostLockError(RunningError):
    """Somebody else took the lock of this run over, or removed it."""


class RecordError(PsyrunError):
    """What is recorded of a round is damaged, whichever assignment finds that."""


class JobError(PsyrunError):
    """Some assignment or job failed."""

    exit_status = 1


class OutOfTimeError(JobError):
    """A job stopped early, as the next assignment might not end in its time."""


class FailedAssignmentsError(JobError):
    """Some assignments of a job failed; the records of each tell why."""


class ResultError(JobError):
    """What `execute` returned cannot be kept."""


class SpaceWarning(UserWarning):
    """A parameter space may not be what was meant."""


class IneffectiveExcludeWarning(UserWarning):
    """A key that is to be left out of a result is in none of its rows.

    Attributes
    ----------
    key : str
        The key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"{key!r} is to be left out of the result, but no row has it. Check its "
            "spelling."
        )
        self.key = key


def did_you_mean(
    name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6
) -> str:
    """Return `` Did you mean 'x'?`` for up to `most` nearest names, or nothing.

    `cutoff` is the least similarity of a name, from 0 to 1 as `difflib` has it.
    """
    close = difflib.get_close_matches(name, sorted(known), n=most, cutoff=cutoff)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def message_of(error: BaseException) -> str:
    """Return the text of an exception, also if its class fails to make one."""
    try:
        return visible(str(error))
    except Exception:
        return "<exception str() failed>"


_CONTROLS = {
    number: f"\\x{number:02x}"
    for number in (*range(0x20), *range(0x7F, 0xA0))
    if chr(number) not in "\n\t"
}


def visible(text: str) -> str:
    r"""Return a text whose control characters show as in ``\x1b``.

    A terminal would do what they say: hide lines, or show others. Line breaks and tabs
    stay.
    """
    return text.translate(_CONTROLS)


def one_line(error: BaseException) -> str:
    """Return ``ValueError: text`` of an exception on one line; a long text is cut."""
    text = " ".join(message_of(error).split())
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_ADVICE = {
    errno.EMFILE: "Allow this process more open files, for example 'ulimit -n 4096'",
    errno.ENFILE: "Close other programs: this machine has no more open files to give",
    errno.EAGAIN: "This user may start no more processes: end some, or allow more, "
    "see 'ulimit -u'",
    errno.ENOMEM: "End other programs, or allow this one more memory, see 'ulimit -v'",
    errno.ENOSPC: "Make room on its disk, see 'df -h', and 'df -i' for files",
    errno.EDQUOT: "Make room: your quota on its disk is used up, see 'quota -s'",
    errno.EFBIG: "Allow larger files, see 'ulimit -f'",
    errno.EROFS: "Its disk can only be read: use a folder on another one",
    errno.EACCES: "Check the permissions of the file and its folders",
    errno.EPERM: "Check the permissions of the file and its folders",
    errno.EIO: "Check its disk, which does not work",
    errno.ENAMETOOLONG: "Choose a shorter name",
    errno.ELOOP: "Mend the links on the path, which lead in a circle",
}
_NO_THREAD = "can't start new thread"
# What the content of a file, or what stands in its place, has the system say.
_OF_THE_FILE = frozenset(
    getattr(errno, name)
    for name in (
        "ENOENT",
        "ENOTDIR",
        "EISDIR",
        "ELOOP",
        "ENAMETOOLONG",
        "EINVAL",
        "EBADMSG",
        "EUCLEAN",
        "ENXIO",
        "ENODEV",
    )
    if hasattr(errno, name)
)


def reason_of(error: OSError) -> str:
    """Return why the system refuses something, and what can be done: two sentences."""
    number = error.errno
    why = error.strerror or (os.strerror(number) if number else str(error))
    advice = _ADVICE.get(number or 0, "Check its folder, and the disk that it is on")
    return f"{why}. {advice}, then try again."


def _as_text(filename: object) -> str:
    return os.fsdecode(filename) if isinstance(filename, bytes) else str(filename)


def is_refusal(error: BaseException) -> bool:
    """Whether a file could not be read for a reason that is none of its own.

    So are too many open files, no permission, a file server that does not answer and
    a disk that gives nothing (EIO): the file may be whole, and be read again later.
    """
    each: BaseException | None = error
    while each is not None:
        number = each.errno if isinstance(each, OSError) else None
        if number is not None and number not in _OF_THE_FILE:
            return True
        each = each.__cause__
    return False


def refusal_of(error: BaseException) -> str:
    """Return what the system refuses, and what can be done; empty for other errors."""
    if isinstance(error, OSError) and not isinstance(error, PsyrunError):
        place = "" if error.filename is None else f"{_as_text(error.filename)}: "
        return f"{place}{reason_of(error)}"
    if isinstance(error, MemoryError):
        return f"There is not enough memory. {_ADVICE[errno.ENOMEM]}, then try again."
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        number = errno.ENOMEM if _is_memory_limited() else errno.EAGAIN
        return f"No thread can be started. {_ADVICE[number]}, then try again."
    return ""


def _is_memory_limited() -> bool:
    """Whether a thread may lack memory for its stack."""
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def refusal_in(text: str) -> str:
    """Return the same of an error that is only known by what was printed of it."""
    is_memory = "MemoryError" in text or "Cannot allocate memory" in text
    return refusal_of(MemoryError() if is_memory else RuntimeError(text))


@contextmanager
def enough_memory_for(space: Sized, taskfile: object) -> Iterator[None]:
    """Raise a `PsyrunError` where a list of all assignments exceeds the memory."""
    try:
        yield
    except MemoryError as error:
        raise PsyrunError(
            f"{taskfile}: pspace has {len(space)} assignments, and a list of them "
            "takes more memory than there is. Make it smaller, for example with fewer "
            "values for each parameter or as several tasks."
        ) from error
