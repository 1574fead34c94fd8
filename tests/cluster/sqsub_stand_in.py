"""What tests do with the stand-ins of sqsub, sqjobs and sqkill."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

COMMANDS = Path(__file__).parent / "sqsub"


class SqsubStandIn:
    """A queue of Sharcnet's for one test.

    Parameters
    ----------
    folder : Path
        Where calls are written down; must not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which the commands are found."""
        return {
            "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}",
            "SQSUB_STAND_IN_FOLDER": str(self.folder),
            "SQSUB_STAND_IN_QUEUE": str(self.folder),
        }

    def fail(self, command: str, times: int) -> None:
        """Let the next calls of a command fail, as if the queue did not answer."""
        (self.folder / f"fail.{command}").write_text(str(times))

    def lose_answers(self, times: int) -> None:
        """Let the next calls of sqsub submit, but fail before they say the job's id."""
        (self.folder / "late.sqsub").write_text(str(times))

    def end_jobs(self) -> None:
        """Cancel what is left."""
        for command in ("sqjobs", "sqkill"):
            self.fail(command, times=0)
        env = {**os.environ, **self.environment()}
        sqjobs = subprocess.run("sqjobs", env=env, stdout=subprocess.PIPE, text=True)
        jobids = [line.split()[0] for line in sqjobs.stdout.splitlines()[2:]]
        if jobids:
            # Some may end before they are cancelled, which sqkill takes for an error.
            subprocess.run(["sqkill", *jobids], env=env, check=False)

    def calls(self, command: str) -> list[list[str]]:
        """Return the arguments of each call of a command so far."""
        try:
            lines = (self.folder / "calls").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [words for name, *words in map(json.loads, lines) if name == command]
