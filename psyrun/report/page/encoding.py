"""Columns of numbers as text that a browser reads quickly.

Each is a dict for JSON. Its ``data`` is base64 of gzip of little-endian numbers, of
which the first bytes come first, then the second ones, as these compress better so.
``type`` is ``u1``, ``u2`` or ``u4`` (whole numbers of so many bytes) or ``f8``. Numbers
that are stored as codes have a ``scale``:

=========  =====================================  =====================
``kind``   number of a code                       exact
=========  =====================================  =====================
linear     ``low + code * step``                  to half a step
log        ``exp(low + code * step)``             to half a step, relative
list       ``values[code]``                       yes
=========  =====================================  =====================

The three largest codes of the type stand for -inf, inf and nan, in this order.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Column: TypeAlias = dict[str, Any]

N_SPECIAL = 3  # codes of -inf, inf and nan
FINEST = 2**16 - N_SPECIAL
"""The largest number of steps of a scale."""
COARSEST = 2**8 - N_SPECIAL
"""The smallest one."""
_MOST_LISTED = 4096  # values; their list is small beside the codes
_WIDE = 1e3  # ratio from which on relative precision is wanted
_FINEST_STEP = 1e-290  # below, numbers lose digits
_ESCAPED = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def encoded_codes(codes: NDArray[Any], n_levels: int) -> Column:
    """Return codes of levels, ``0 ≤ code < n_levels``, as they are."""
    for kind in ("u1", "u2", "u4"):
        if n_levels <= np.iinfo(kind).max + 1:
            break
    return _column(codes, kind)


def encoded_exactly(values: NDArray[Any]) -> Column:
    """Return floating-point numbers as they are, 8 bytes each before compression."""
    return _column(values, "f8")


def encoded_numbers(values: NDArray[np.float64], n_steps: int = FINEST) -> Column:
    """Return numbers as codes, with a scale that fits them.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        The numbers, also nan and inf.
    n_steps : int
        How many codes there may be, from `COARSEST` to `FINEST`.

    Returns
    -------
    dict
        The column; see `psyrun.report.page.encoding`. It is exact if there are few
        different numbers, or whole ones that are not far apart. Else the error is at
        most half a step: that is the range of the numbers by ``2 * (n_steps - 1)``, or
        of their logarithms if they are positive and span more than a factor of 1000.
    """
    is_finite = np.isfinite(values)
    finite = values[is_finite]
    scale, found = _scaled(finite, n_steps)
    kind = "u1" if len(found) == 0 or found.max() < COARSEST else "u2"
    codes = np.empty(len(values), np.int64)
    codes[is_finite] = found
    largest = np.iinfo(kind).max
    codes[np.isneginf(values)] = largest - 2
    codes[np.isposinf(values)] = largest - 1
    codes[np.isnan(values)] = largest
    return {**_column(codes, kind), "scale": scale}


def _scaled(
    finite: NDArray[np.float64], n_steps: int
) -> tuple[Column, NDArray[np.int64]]:
    """Return a scale, and the codes of finite numbers on it."""
    distinct, codes = _distinct(finite)
    if len(distinct) <= min(_MOST_LISTED, n_steps):
        return _listed(distinct), codes
    low, high = distinct[0], distinct[-1]
    if _are_whole(distinct) and high / 2 - low / 2 < n_steps / 2:
        scale = {"kind": "linear", "low": float(low), "step": 1.0}
        return scale, (finite - low).astype(np.int64)
    kind = "linear"
    if low > 0 and np.log(high) - np.log(low) > np.log(_WIDE):
        low, high, finite = np.log(low), np.log(high), np.log(finite)
        kind = "log"
    # Not of the difference, which may be infinite.
    step = high / (n_steps - 1) - low / (n_steps - 1)
    if low + step == low or high - step == high or step < _FINEST_STEP:
        # They lie about as close together as numbers can.
        return _nearest_listed(distinct, codes, n_steps)
    found = np.rint(finite / step - low / step).astype(np.int64)
    scale = {"kind": kind, "low": float(low), "step": float(step)}
    return scale, np.clip(found, 0, n_steps - 1)


def _distinct(
    finite: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    distinct, codes = np.unique(finite, return_inverse=True)
    return distinct, codes.astype(np.int64)


def _are_whole(values: NDArray[np.float64]) -> bool:
    return bool(np.all(values == np.rint(values)))


def _listed(values: NDArray[np.float64]) -> Column:
    return {"kind": "list", "values": encoded_exactly(values), "n": len(values)}


def _nearest_listed(
    distinct: NDArray[np.float64], codes: NDArray[np.int64], n_steps: int
) -> tuple[Column, NDArray[np.int64]]:
    """Return a list of some of the numbers, and codes of those nearest in order."""
    stride = -(-len(distinct) // n_steps)
    return _listed(distinct[::stride]), codes // stride


def is_exact(column: Mapping[str, Any]) -> bool:
    """Whether a column has its numbers as they were."""
    scale = column.get("scale")
    return (
        scale is None
        or scale["kind"] == "list"
        or (scale["kind"], scale["step"]) == ("linear", 1.0)
    )


def _column(values: NDArray[Any], kind: str) -> Column:
    array = np.ascontiguousarray(values, f"<{kind}")
    bytes_of_each = array.view(np.uint8).reshape(-1, array.itemsize)
    planes = np.ascontiguousarray(bytes_of_each.T).tobytes()
    data = base64.b64encode(gzip.compress(planes, 6, mtime=0)).decode("ascii")
    return {"type": kind, "n": len(array), "data": data}


def size_of(column: Mapping[str, Any]) -> int:
    """Return how many characters of a page a column takes, about."""
    scale = column.get("scale") or {}
    listed: Mapping[str, Any] = scale.get("values") or {}
    return len(column["data"]) + len(listed.get("data", "")) + 100


def script_text(value: Any) -> str:
    """Return JSON that can stand in a ``<script>`` of a page, whatever texts it has.

    Nothing in it ends the script or begins any markup. Raises `ValueError` for nan
    and inf.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPED)
