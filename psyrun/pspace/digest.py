"""A digest of an assignment, the same wherever and by whatever Python it is computed.

What `psyrun.pspace.equality` takes for equal has the same digest: 1, 1.0 and
``np.float32(1)``, nan and nan, a parameter that is nan and one that is absent, lists
and arrays of equal items. The order of the parameters does not matter.

The digest is BLAKE2b (RFC 7693) of 128 bits, of this for each parameter that is not
nan, in the order of their names::

    name, value    both in the form below; all sizes and numbers are little-endian

    f  a number that is exact as float64: 8 bytes; one zero, one nan
    r  another rational number: numerator / denominator in decimals
    x  one of which either has more than 4300 of these: the same in hexadecimals
    c  a complex number: its real and imaginary part
    v  a list of numbers of kind f: how many, and 8 bytes each
    l  any other list: how many, and its items
    e  a set: how many, and its items in the order of their forms
    h  what would be longer than 1024 bytes: the BLAKE2b of 256 bits of that
    s  text in UTF-8;  b bytes;  n a name, as of a class or None;  p a path
    d  a date or time in microseconds;  o other objects: what they are pickled as

Text, bytes and names follow their length.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.identity import (
    ComparedByValue,
    IncomparableError,
    by_content,
    identity_of,
    module_of,
)

_WORDS = struct.Struct("<4I")
_DOUBLE = struct.Struct("<d")
_SIZE = struct.Struct("<Q")
_NAN = b"f" + _DOUBLE.pack(float("nan"))
_PERSON = b"psyrun digest 1"
_LONGEST = 1024  # bytes of the form of a value
_MOST_KNOWN = 16  # values
_FLOAT_EXACT = 2**53
_LARGE = 10**4300  # from which on decimals take long, so that Python refuses them
_DIGITS = 600  # of which no setting of Python refuses any
_AT_ONCE = 10**_DIGITS
_NUMBERS = (int, float, complex)


class Digests:
    """Digests of assignments, which may have a few large values in common.

    The form of a large value is computed once, as long as it is the same object.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}

    def __reduce__(self) -> tuple[type[Digests], tuple[()]]:
        return Digests, ()

    def words(self, point: Mapping[str, Any]) -> tuple[int, int, int, int]:
        """Return the digest of an assignment as four integers of 32 bits.

        Raises `PsyrunError` if a value can neither be compared by value nor has a name.
        """
        digest = hashlib.blake2b(digest_size=_WORDS.size, person=_PERSON)
        for key in sorted(point):
            try:
                encoded = self._form(point[key])
            except IncomparableError as error:
                raise PsyrunError(f"parameter {key!r} {error}") from error.__cause__
            if encoded != _NAN:
                digest.update(_text(b"s", key.encode("utf-8", "surrogatepass")))
                digest.update(encoded)
        first, second, third, fourth = _WORDS.unpack(digest.digest())
        return first, second, third, fourth

    def _form(self, value: Any) -> bytes:
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        encoded = _encoded(value)
        if len(encoded) > _LONGEST:
            encoded = b"h" + hashlib.blake2b(encoded, digest_size=32).digest()
            # Other threads may do the same.
            for oldest in list(self._known)[: 1 - _MOST_KNOWN]:
                self._known.pop(oldest, None)
            # No other one can have its id as long as it is here.
            self._known[id(value)] = value, encoded
        return encoded


def digest_words(point: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return the digest of one assignment; see `Digests.words`."""
    return Digests().words(point)


def _encoded(value: Any) -> bytes:
    kind = type(value)
    if kind is float or kind is int:
        return _number(value)
    if kind is str:
        return _text(b"s", value.encode("utf-8", "surrogatepass"))
    if kind is np.ndarray and value.dtype.kind in "fiub" and value.dtype.itemsize <= 8:
        encoded = _array(value)
        if encoded is not None:
            return encoded
    return _of_identity(identity_of(value))


def _of_identity(value: Any) -> bytes:
    """Return the form of what `identity_of` has returned, or of a part of it."""
    if isinstance(value, tuple):
        return _list([_of_identity(each) for each in value])
    if isinstance(value, frozenset):
        return _items(b"e", sorted(map(_of_identity, value)))
    if isinstance(value, ComparedByValue):
        value = value.value
    if isinstance(value, str):
        return _text(b"s", value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return _text(b"b", value)
    if isinstance(value, type):
        return _name(value)
    if isinstance(value, _NUMBERS) or hasattr(value, "as_integer_ratio"):
        return _number(value)
    return _of_object(value)


def _of_object(value: Any) -> bytes:
    if value is None or value is ...:
        return _text(b"n", repr(value).encode())
    if isinstance(value, PurePath):
        return _text(b"p", value.as_posix().encode("utf-8", "surrogateescape"))
    if isinstance(value, Enum):
        return _name(type(value), f".{value.name}")
    if isinstance(value, np.datetime64):
        return _time(value)
    if isinstance(value, range):
        return b"o" + _list(list(map(_number, (len(value), *value[:2]))))
    if hasattr(value, "__qualname__"):
        return _name(value)
    return b"o" + _of_identity(by_content(value))


def _number(value: Any) -> bytes:
    if value != value:
        return _NAN
    if isinstance(value, complex):
        if value.imag:
            return b"c" + _number(value.real) + _number(value.imag)
        value = value.real
    try:
        number = float(value)
        if number == value:
            # There are two zeros.
            return b"f" + _DOUBLE.pack(number + 0.0)
    except OverflowError:
        pass
    numerator, denominator = value.as_integer_ratio()
    if max(abs(numerator), denominator) >= _LARGE:
        return _text(b"x", f"{numerator:x}/{denominator:x}".encode())
    sign = "-" if numerator < 0 else ""
    text = f"{sign}{_decimals(abs(numerator))}/{_decimals(denominator)}"
    return _text(b"r", text.encode())


def _decimals(number: int) -> str:
    """Return a number that is not negative, in few enough digits at a time.

    Python refuses many of them; how many that are depends on its settings.
    """
    parts = list[str]()
    while number >= _AT_ONCE:
        number, part = divmod(number, _AT_ONCE)
        parts.append(f"{part:0{_DIGITS}d}")
    return "".join([f"{number:d}", *reversed(parts)])


def _array(array: NDArray[Any]) -> bytes | None:
    """Return the form of an array of numbers as of a list; None if some are no f."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        low, high = array.min(initial=0), array.max(initial=0)
        if low < -_FLOAT_EXACT or high > _FLOAT_EXACT:
            return None
    floats = np.asarray(array, dtype="<f8") + 0.0
    floats = np.where(np.isnan(floats), np.nan, floats)
    return _of_floats(floats.astype("<f8", copy=False))


def _of_floats(floats: NDArray[np.float64]) -> bytes:
    if floats.ndim > 1:
        return _items(b"l", map(_of_floats, floats), len(floats))
    if floats.ndim == 0:
        return b"f" + floats.tobytes()
    return (b"v" if len(floats) else b"l") + _SIZE.pack(len(floats)) + floats.tobytes()


def _list(items: list[bytes]) -> bytes:
    if items and all(item[:1] == b"f" for item in items):
        return _items(b"v", (item[1:] for item in items), len(items))
    return _items(b"l", items)


def _items(kind: bytes, items: Iterable[bytes], number: int | None = None) -> bytes:
    parts = list(items)
    return kind + _SIZE.pack(len(parts) if number is None else number) + b"".join(parts)


def _text(kind: bytes, text: bytes) -> bytes:
    return kind + _SIZE.pack(len(text)) + text


def _name(value: Any, end: str = "") -> bytes:
    name = str(value.__qualname__)
    if "<" in name:
        raise IncomparableError(
            f"holds {name}, which has no name that tells it from others; define it at "
            "the top level of a module."
        )
    return _text(b"n", f"{module_of(value)}.{name}{end}".encode())


def _time(value: np.datetime64) -> bytes:
    is_micro = np.datetime_data(value.dtype)[0] == "us"
    return _text(b"d", str(value.astype(np.int64) if is_micro else value).encode())
