"""What a job of ``psy doctor`` does on its machine: ``… FOLDER [FOLDER …]``."""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import time
from pathlib import Path

from psyrun.utils import __version__

NOTE, ANSWER = "note", "answer.json"
MARK = "PSYRUN_DOCTOR"
"""Environment variable that the job should find."""


def main(folders: list[str]) -> None:
    """Read the note in each folder, and leave an answer there."""
    answer = {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "psyrun": __version__,
        "path": os.environ.get("PATH", ""),
        "mark": os.environ.get(MARK),
        "time": time.time(),
    }
    for folder in map(Path, folders):
        try:
            answer["note"] = (folder / NOTE).read_text(encoding="utf-8")
        except OSError as error:
            print(f"{folder / NOTE}: {error.strerror}", file=sys.stderr)
            answer["note"] = None
        try:
            (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")
        except OSError as error:
            print(f"{folder / ANSWER}: {error.strerror}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
