"""Users of the system, and whom files belong to."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def name_of_user(uid: int) -> str:
    """Return the name of a user, or the number of one without a name."""
    import pwd

    try:
        return f"user {pwd.getpwuid(uid).pw_name!r}"
    except KeyError:
        return f"user {uid}"


def own_uids(folder: Path) -> set[int]:
    """Return the numbers that files of this process have, in a folder and elsewhere.

    A network drive may give the files of root, for example, to nobody.
    """
    found = {os.geteuid()}
    probe = folder / f".user.{secrets.token_hex(8)}.tmp"
    with suppress(OSError):
        probe.touch(exist_ok=False)
        found.add(probe.stat().st_uid)
        probe.unlink()
    return found
