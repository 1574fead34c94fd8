"""Docstrings, as psyrun 0.8 passed them on."""

from __future__ import annotations

import inspect
from typing import TypeVar

from psyrun.utils.former import warn_former

T = TypeVar("T", bound=type)


def inherit_docs(cls: T) -> T:
    """Give methods of a class the docstrings of those that they override.

    Parameters
    ----------
    cls : type
        The class.

    Returns
    -------
    type
        The same class.
    """
    warn_former("psyrun.utils.doc.inherit_docs", "inspect.getdoc, which finds them")
    for member in vars(cls).values():
        if inspect.isfunction(member) and member.__doc__ is None:
            overridden = (vars(base).get(member.__name__) for base in cls.__mro__[1:])
            docs = (getattr(method, "__doc__", None) for method in overridden)
            member.__doc__ = next(filter(None, docs), None)
    return cls
