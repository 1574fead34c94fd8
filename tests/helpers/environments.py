"""A virtual environment with psyrun that can be removed, or break."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import venv
from pathlib import Path

from projects import TIMEOUT

import psyrun

_SOURCE = Path(psyrun.__file__).resolve().parent.parent


class Environment:
    """A virtual environment.

    Parameters
    ----------
    folder : Path
        Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin/python3"
        self.make()

    def make(self) -> None:
        """Make it, or make it again."""
        venv.create(self.folder, symlinks=True, clear=True)
        # What is loaded from below the environment is gone with it.
        self._psyrun = self.folder / "psyrun-source"
        self._psyrun.symlink_to(_SOURCE)
        libraries = next((self.folder / "lib").glob("python3*/site-packages"))
        paths = [self._psyrun, self._psyrun / "workflow/plugins", *_libraries()]
        text = "".join(f"{path}\n" for path in paths)
        (libraries / "all.pth").write_text(text)

    def remove(self) -> None:
        """Delete the whole folder."""
        shutil.rmtree(self.folder)

    def uninstall_psyrun(self) -> None:
        """Take psyrun out of it."""
        self._psyrun.unlink()

    def lose_base(self) -> None:
        """Do what an upgrade of the system's Python does."""
        for program in (self.folder / "bin").glob("python*"):
            program.unlink()
            program.symlink_to("/nothing/bin/python3.11")

    def start(
        self, folder: Path, *arguments: str, **variables: str
    ) -> subprocess.Popen[str]:
        """Start psy of this environment in a folder."""
        return subprocess.Popen(
            [str(self.python), "-P", "-m", "psyrun.cli", *arguments],
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def psy(self, folder: Path, *arguments: str, **variables: str) -> str:
        """Call psy of this environment, and return what it printed."""
        process = self.start(folder, *arguments, **variables)
        return process.communicate(timeout=TIMEOUT)[0]


def _libraries() -> list[Path]:
    return [Path(folder) for folder in site.getsitepackages()]
