"""Errors in the code of schedulers that are not psyrun's own.

Whatever such a scheduler raises or returns by mistake is told as an error of
psyrun's, which names the method and its line.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from types import FunctionType
from typing import Any, NamedTuple

from psyrun.errors import BrokenSchedulerError, PsyrunError, one_line
from psyrun.scheduler.jobs import Ending, JobStatus, Obstacle, Usage, Waiting
from psyrun.scheduler.limits import Limits
from psyrun.utils.text import text_of
from psyrun.utils.tracebacks import place, user_place

_OWN = "psyrun.scheduler."


class _Promise(NamedTuple):
    """What a method has to return."""

    is_kept: Callable[[Any], bool]
    text: str


def _is_id(value: object) -> bool:
    return isinstance(value, int | str)


def _are(kind: type) -> Callable[[Any], bool]:
    def is_kept(value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            isinstance(one, kind) for one in value.values()
        )

    return is_kept


_PROMISES = {
    "submit": _Promise(_is_id, "what the queue calls the job, an int or a str"),
    "submit_array": _Promise(
        lambda value: isinstance(value, list | tuple) and all(map(_is_id, value)),
        "a list of what the queue calls the jobs",
    ),
    "get_status": _Promise(
        lambda value: isinstance(value, JobStatus | None), "a JobStatus or None"
    ),
    "get_statuses": _Promise(_are(JobStatus), "a dict of jobs to JobStatus"),
    "get_waiting": _Promise(_are(Waiting), "a dict of jobs to Waiting"),
    "get_obstacles": _Promise(_are(Obstacle), "a dict of jobs to Obstacle"),
    "get_endings": _Promise(_are(Ending), "a dict of jobs to Ending"),
    "get_usages": _Promise(_are(Usage), "a dict of jobs to Usage"),
    "why_not_begun": _Promise(_are(Ending), "a dict of jobs to Ending"),
    "limits": _Promise(lambda value: isinstance(value, Limits), "a Limits"),
    "explain": _Promise(
        lambda value: isinstance(value, Ending | None), "an Ending or None"
    ),
}

_is_inside: ContextVar[bool] = ContextVar("_is_inside", default=False)


def guard(kind: type, names: Iterable[str]) -> None:
    """Have methods of a user's scheduler raise no errors but psyrun's own."""
    if kind.__module__.startswith(_OWN):
        return
    for name in names:
        method = kind.__dict__.get(name)
        is_abstract = getattr(method, "__isabstractmethod__", False)
        if isinstance(method, FunctionType) and not is_abstract:
            setattr(kind, name, _guarded(method, f"{kind.__name__}.{name}"))


def _guarded(method: FunctionType, called: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        returned = _call(method, called, args, kwargs)
        promise = _PROMISES.get(method.__name__)
        if promise is not None and not promise.is_kept(returned):
            raise BrokenSchedulerError(
                f"{_beginning(method)}: {called} returned {text_of(returned)}; it "
                f"must return {promise.text}."
            )
        return returned

    return guarded


def _call(
    method: FunctionType, called: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    # What methods of a scheduler raise for one another is their own business.
    if _is_inside.get():
        return method(*args, **kwargs)
    token = _is_inside.set(True)
    try:
        return method(*args, **kwargs)
    except PsyrunError:
        raise
    except Exception as error:
        raise BrokenSchedulerError(_told(error, method, called)) from error
    finally:
        _is_inside.reset(token)


def _told(error: Exception, method: FunctionType, called: str) -> str:
    where = user_place(error)
    if where:
        return f"{where}: {called} raised {one_line(error)}."
    # It did not even begin.
    return (
        f"{_beginning(method)}: {called} must take the parameters of "
        f"Scheduler.{method.__name__} ({one_line(error)})."
    )


def _beginning(method: FunctionType) -> str:
    code = method.__code__
    return place(f'File "{code.co_filename}", line {code.co_firstlineno}')
