"""Keys as names of HDF5 nodes.

PyTables wants Python identifiers without some reserved beginnings. Other
characters are written as ``_x<code point in hexadecimal>_``, the way Office
Open XML escapes them (ST_Xstring, ECMA-376 part 1, section 22.9.2.19).
"""

from __future__ import annotations

import keyword
import re

from psyrun.errors import StoreError

_ESCAPE = re.compile(r"_x([0-9a-f]{1,5}|10[0-9a-f]{4})_")
# An underscore that would make the text after it look like an escape, too.
_TO_ESCAPE = re.compile(r"[^A-Za-z0-9_]|_(?=x[0-9a-f]+(?:_|[^A-Za-z0-9_]))|^[0-9]")
_EMPTY = "_x_"
_RESERVED = re.compile(r"_[cfgvip]_|(__members__|_x_)$")


def node_name(key: str) -> str:
    """Return the name of the node that holds a key.

    Parameters
    ----------
    key : str
        Any text.

    Returns
    -------
    str
        The key itself if it is an ordinary identifier.

    Raises
    ------
    StoreError
        If the key is not text.
    """
    check_key(key)
    name = _TO_ESCAPE.sub(lambda match: _escaped(match[0]), key)
    if keyword.iskeyword(name) or _RESERVED.match(name):
        return _escaped(name[0]) + name[1:]
    return name or _EMPTY


def check_key(key: object) -> None:
    """Refuse a key that is not text.

    Parameters
    ----------
    key : object
        A key of a row.

    Raises
    ------
    StoreError
        Naming the key and a store that takes it.
    """
    if not isinstance(key, str):
        raise StoreError(
            f"key {key!r} cannot be a name in an HDF5 file; use text, or "
            "PickleStore (.pkl)."
        )


def key_of(name: str) -> str:
    """Return the key that a node holds.

    Parameters
    ----------
    name : str
        A name from `node_name`.

    Returns
    -------
    str
        The key.
    """
    if name == _EMPTY:
        return ""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)


def _escaped(character: str) -> str:
    return f"_x{ord(character):x}_"
