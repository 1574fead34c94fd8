"""Values as messages show them."""

from __future__ import annotations

import reprlib
import sys
from typing import Any

from psyrun.failures import shortened

_LONGEST = 200  # characters
_MOST = _LONGEST // 3 + 1  # entries of a container: more would not fit
_MOST_OF_ARRAY = 20  # numbers


def text_of(value: Any) -> str:
    """Return a short text of a value.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    str
        Its repr. Scalars of NumPy look like the Python values they stand for, with
        all their digits. Large arrays are summarised as NumPy does, and the end of
        what is long shows as ``…``.
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
