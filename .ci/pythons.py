"""Print the Pythons of this machine that psyrun supports, other than this one.

One path per line and one Python per minor version, named as in
``/usr/bin/python3.12``. Looked at are the folders of PATH and the versions that
pyenv has installed. What does not run, or cannot make a virtual environment, is
passed over: a shim of pyenv, for example, stands for a Python that may not be
there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST = (3, 11)
NAME = re.compile(r"python3\.(\d+)")
PROBE = (
    "import ensurepip, sys, venv; "
    "print(sys.implementation.name, sys.version_info.releaselevel)"
)


def folders() -> list[Path]:
    """Return the folders in which Pythons are looked for."""
    listed = [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [*listed, *sorted(pyenv.glob("versions/*/bin"), reverse=True)]


def candidates() -> Iterator[tuple[tuple[int, int], Path]]:
    """Yield files named like a Python, with the version that they promise."""
    for folder in folders():
        for path in sorted(folder.glob("python3.*")):
            if match := NAME.fullmatch(path.name):
                yield (3, int(match[1])), path


def is_usable(path: Path) -> bool:
    """Whether a file is a released CPython that runs."""
    try:
        answer = subprocess.run(
            [path, "-c", PROBE], capture_output=True, text=True, timeout=60
        )
    except OSError:
        return False
    return answer.stdout.split() == ["cpython", "final"]


def main() -> None:
    """Print what was found, older versions first."""
    found: dict[tuple[int, int], Path] = {}
    for version, path in candidates():
        wanted = version >= OLDEST and version != sys.version_info[:2]
        if wanted and version not in found and is_usable(path):
            found[version] = path
    for version in sorted(found):
        print(found[version])


if __name__ == "__main__":
    main()
