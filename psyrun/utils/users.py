"""Users of the system, and whom files belong to."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from psyrun.utils.leftovers import probe


def name_of_user(uid: int) -> str:
    """Return the name of a user, or the number of one without a name."""
    import pwd

    try:
        return f"user {pwd.getpwuid(uid).pw_name!r}"
    except KeyError:
        return f"user {uid}"


def name_for_libraries() -> dict[str, str]:
    """Return a variable of the environment that names a user who has no name.

    As in containers that run with any number. `getpass.getuser`, which libraries call,
    raises an error without. It is empty for users who have one.
    """
    import getpass

    try:
        getpass.getuser()
    except (KeyError, OSError):
        return {"LOGNAME": f"uid-{os.getuid()}"}
    return {}


def own_uids(folder: Path) -> set[int]:
    """Return the numbers that files of this process have, in a folder and elsewhere.

    A network drive may give the files of root, for example, to nobody.
    """
    found = {os.geteuid()}
    with suppress(OSError), probe(folder) as file:
        found.add(os.fstat(file).st_uid)
    return found
