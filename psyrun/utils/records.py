"""What was recorded as JSON, with each entry of the type that it is to have.

Disks and people damage files so that they still are JSON.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from psyrun.utils.files import damaged, read_json

_T = TypeVar("_T")
_LARGEST = 1 << 63
_OTHER = "has other entries than expected"


class RecordedTypeError(ValueError):
    """An entry of a record has another type than it is to have."""


def read_record(path: Path, kind: Any) -> Any:
    """Return what a JSON file holds, or None where there is no such file.

    `kind` is its type, such as ``dict[str, int]``, or a dataclass. Raises `StoreError`
    if the file is damaged.
    """
    record = read_json(path)
    return None if record is None else checked(path, record, kind)


def checked(path: Path, record: object, kind: Any) -> Any:
    """Return a record of a type; as `read_record`, for what was read of a file."""
    try:
        return of_kind(record, kind)
    except RecordedTypeError as error:
        raise damaged(path, f"{_OTHER} ({error})") from error


def of_record(kind: type[_T], record: object) -> _T:
    """Return the dataclass that a record has the entries of.

    Raises `RecordedTypeError` if it lacks one, has another, or one of another type.
    """
    if not isinstance(record, Mapping):
        raise RecordedTypeError("it is no object")
    known: Any = kind
    hints = _hints(known)
    if unknown := [name for name in record if name not in hints]:
        raise RecordedTypeError(f"unknown {unknown[0]!r}")
    if missing := [name for name in _required(known) if name not in record]:
        raise RecordedTypeError(f"no {missing[0]!r}")
    return kind(**{k: _entry(k, v, hints[k]) for k, v in record.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


@cache
def _required(kind: Any) -> list[str]:
    return [
        each.name
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    ]


def _entry(name: str, value: object, kind: Any) -> Any:
    try:
        return of_kind(value, kind)
    except RecordedTypeError as error:
        raise RecordedTypeError(f"{name}: {error}") from None


def of_kind(value: object, kind: Any) -> Any:
    """Return a value of JSON as one of a type, or raise `RecordedTypeError`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _of_one(value, arguments)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(of_kind(one, arguments[0]) for one in value)
    if origin is list and isinstance(value, list):
        return [of_kind(one, arguments[0]) for one in value]
    if origin is not None and isinstance(value, Mapping) and len(arguments) == 2:
        return {key: of_kind(one, arguments[1]) for key, one in value.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return of_record(kind, value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(value, kind)
    if not _is(value, kind):
        raise RecordedTypeError(f"{str(value)[:40]!r} is of another type")
    return value


def _member(value: object, kind: type[Enum]) -> Enum:
    try:
        return kind(value)
    except ValueError as error:
        raise RecordedTypeError(str(error)) from None


def _of_one(value: object, kinds: tuple[Any, ...]) -> Any:
    # Their texts alone: an error that is kept has the frames of all callers, with what
    # these hold, until cyclic garbage is collected.
    problems = []
    for kind in kinds:
        try:
            return of_kind(value, kind)
        except RecordedTypeError as error:
            problems.append(str(error))
    raise RecordedTypeError(problems[0])


def _is(value: object, kind: Any) -> bool:
    if kind is Any:
        return True
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind in (None, NoneType):
        return value is None
    if kind is float:
        return type(value) in (int, float) and _is_usual(value)
    if kind is int:
        return type(value) is int and _is_usual(value)
    return isinstance(kind, type) and isinstance(value, kind)


def _is_usual(number: Any) -> bool:
    return abs(number) < _LARGEST and math.isfinite(number)


def is_name(text: str) -> bool:
    """Whether a text can be the name of a file at all."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
