"""Values as messages show them."""

from __future__ import annotations

import datetime
import math
import reprlib
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psyrun.errors import visible
from psyrun.utils.ranges import Range

_LONGEST = 200  # characters
_MOST = _LONGEST // 3 + 1  # entries of a container: more would not fit
_MOST_OF_ARRAY = 20  # numbers
_MOST_LISTED = 3


def text_of(value: Any) -> str:
    """Return a short text of a value: its repr on one line.

    Scalars of NumPy look like the Python values they stand for, with all their
    digits. Large arrays are summarised as NumPy does, and the end of what is long
    shows as ``…``.
    """
    return shortened(_texts.repr(value), _LONGEST)


class _Texts(reprlib.Repr):
    """As its parent, but nothing is left out in the middle of a value."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = _MOST
        self.maxset = self.maxfrozenset = self.maxdeque = self.maxarray = _MOST
        self.maxlong = self.maxstring = self.maxother = sys.maxsize

    def repr_str(self, x: str, level: int) -> str:
        return repr(x[: _LONGEST + 1])

    def repr_instance(self, x: Any, level: int) -> str:
        # Whoever has a value of NumPy has imported it; others do without.
        numpy = sys.modules.get("numpy")
        if numpy is None:
            text = super().repr_instance(x, level)
        elif isinstance(x, numpy.generic):
            return _text_of_scalar(x)
        else:
            with numpy.printoptions(threshold=_MOST_OF_ARRAY):
                text = super().repr_instance(x, level)
        # Those of arrays have several lines.
        return " ".join(text.split())


def _text_of_scalar(value: Any) -> str:
    # Not item() of numbers: float32 would get digits that it does not have, and
    # longdouble, which has no counterpart, would lose some.
    is_text = value.dtype.kind in "SU"
    return repr(value.item()) if is_text else str(value)


_texts = _Texts()


def value_text(value: Any) -> str:
    """Return a short text of a parameter, as it is given to ``psy run -p``.

    That is ``2024-03-01``, ``12:30``, ``1h30m``, ``1/3`` or ``0.10`` for dates, times,
    lengths of time, and numbers of `Fraction` and `Decimal`; others are as in
    `text_of`.
    """
    if isinstance(value, datetime.datetime | datetime.time):
        return _without_seconds(value)
    kind = type(value)
    write = _WRITTEN.get((kind.__module__, kind.__name__))
    return text_of(value) if write is None else shortened(write(value), _LONGEST)


def _without_seconds(value: Any) -> str:
    # Those of `pandas` may have nanoseconds.
    parts = (value.second, value.microsecond, getattr(value, "nanosecond", 0))
    is_rough = not any(parts)
    text: str = value.isoformat(timespec="minutes" if is_rough else "auto")
    return text


def _text_of_duration(value: Any) -> str:
    # It takes long to import.
    from fractions import Fraction

    from psyrun.utils.durations import written_duration

    micro = (value.days * 86400 + value.seconds) * 10**6 + value.microseconds
    return written_duration(Fraction(micro, 10**6))


def _text_of_numpys_duration(value: Any) -> str:
    from psyrun.utils.durations import seconds_of_numpy, written_duration

    seconds = seconds_of_numpy(value)
    return str(value) if seconds is None else written_duration(seconds)


# By the names of types, as whoever has a value of one has imported it.
_WRITTEN: dict[tuple[str, str], Callable[[Any], str]] = {
    ("datetime", "date"): str,
    ("datetime", "timedelta"): _text_of_duration,
    ("decimal", "Decimal"): str,
    ("fractions", "Fraction"): str,
    ("numpy", "timedelta64"): _text_of_numpys_duration,
}


def describe_parameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return short texts of an assignment's values."""
    return {key: value_text(value) for key, value in parameters.items()}


def describe_exit(code: int) -> str:
    """Return how a process ended, given its exit status or minus its signal."""
    if code >= 0:
        return f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
    hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
    return f"signal {-code} ({name}{hint})"


def parameters_text(parameters: Mapping[str, str]) -> str:
    """Return texts of parameters on one line, such as ``x=1, y=2``."""
    pairs = (f"{name}={text}" for name, text in parameters.items())
    # The repr of an array has several lines.
    return " ".join(visible(", ".join(pairs)).split())


def assignment_text(parameters: Mapping[str, Any]) -> str:
    """Return the values of an assignment on one line, such as ``x=1, y=2``."""
    return parameters_text(describe_parameters(parameters))


def shortened(text: str, length: int) -> str:
    """Return a text of at most `length` characters; what is cut off shows as ``…``."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def listed(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    shown = ", ".join(names[:_MOST_LISTED])
    hidden = len(names) - _MOST_LISTED
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def counted(count: int, noun: str) -> str:
    """Return a number and its noun, such as ``1 row`` or ``2 rows``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """Return a length of time for people, such as ``3 h 20 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def short_duration(seconds: float) -> str:
    """Return a length of time with two digits, such as ``0.25 s``."""
    if seconds >= 60:
        return duration(seconds)
    return f"{seconds:.2g} s" if seconds >= 0.001 else "< 1 ms"


def mebibytes(kibibytes: float) -> str:
    """Return an amount of memory, such as ``512 MiB``."""
    return f"{kibibytes / 1024:.0f} MiB"


def memory_size(size: float) -> str:
    """Return a number of bytes with two or three digits, such as ``1.5 GiB``."""
    unit, step = "B", "KMGTPE"
    while size >= 1000 and step:
        size, unit, step = size / 1024, f"{step[0]}iB", step[1:]
    return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"


def range_text(found: Range, shown: Callable[[float], str]) -> str:
    """Return a number with its interval, such as ``12 s (10 s to 15 s)``."""
    value, low, high = shown(found.value), shown(found.low), found.high
    if not math.isfinite(high):
        return f"{value} ({low} or more)"
    if low == value == shown(high):
        return value
    return f"{value} ({low} to {shown(high)})"


def number_text(number: float) -> str:
    """Return a number with three digits."""
    if 0 < number < 0.001:
        return "< 0.001"
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def rough_duration(seconds: float) -> str:
    """Return a length of time with two digits or so, such as ``12 min``."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds >= 0.001 else "< 1 ms"
    if seconds < 600:
        return duration(seconds).removesuffix(" 0 s")
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 36000:
        return duration(60 * round(seconds / 60)).removesuffix(" 0 min")
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 100 else f"{hours / 24:.0f} days"


def wrapped(
    text: str,
    width: int | None,
    indent: str = "",
    hanging: str | None = None,
    *,
    breaks_words: bool = False,
) -> list[str]:
    """Return a text as lines of at most `width` characters, unless a word is longer.

    With `breaks_words`, words that are longer are broken. The first line begins with
    `indent`, and the others with `hanging`, by default the same. Without a width it is
    one line.
    """
    if width is None or len(indent) + len(text) <= width:
        return [f"{indent}{text}"]
    import textwrap

    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=breaks_words,
        break_on_hyphens=False,
    )


def side_by_side(sentences: Sequence[str], width: int | None) -> list[str]:
    """Return sentences on one line if they fit on it, else each on its own."""
    line = " ".join(sentences)
    return [line] if width is None or len(line) <= width else list(sentences)


def limit_text(seconds: float) -> str:
    """Return a time limit as short as it can be, such as ``10 min`` or ``0.5 s``."""
    if seconds < 60:
        return f"{seconds:g} s"
    return duration(seconds).removesuffix(" 0 s").removesuffix(" 0 min")
