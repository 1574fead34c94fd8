"""What jobs found out that their run has to say, in `TaskLayout.notices`.

Their logs are read only where something failed.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from psyrun.utils.files import write_text
from psyrun.workdir.layout import TaskLayout


def leave_notice(layout: TaskLayout, text: str) -> None:
    """Have the run of a task say a line, or the next one if there is none now."""
    write_text(layout.notices / f"{secrets.token_hex(6)}.txt", text)


def take_notices(layout: TaskLayout) -> list[str]:
    """Return the lines that are to be said, once; paths as in `layout`."""
    found = []
    for path in layout.notices.glob("[!.]*.txt"):
        # Whoever removes it first says it.
        with suppress(FileNotFoundError, UnicodeDecodeError):
            text = path.read_text(encoding="utf-8")
            path.unlink()
            found.append(text)
    whole = str(layout.folder.absolute())
    # Many jobs may have found the same.
    return sorted({text.replace(whole, str(layout.folder)) for text in found})
