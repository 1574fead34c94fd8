"""Functions for examples; they can be imported and therefore pickled."""

from __future__ import annotations

from typing import Any


def square(x: Any) -> dict[str, Any]:
    """Return the square of `x`.

    Parameters
    ----------
    x : number or array
        What to square.

    Returns
    -------
    dict
        ``{'y': x**2}``.
    """
    return {"y": x**2}
