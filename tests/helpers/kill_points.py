"""A job that is killed before the n-th change of a name in the work folder."""

import signal
import subprocess
import sys
from collections.abc import Iterator

from projects import Project

KILLING = """\
import os
import signal
import sys
from pathlib import Path

CHANGES = ("os.rename", "os.link", "os.remove", "os.rmdir", "os.truncate")
seen = {}


def kill(event, arguments):
    if event in CHANGES and any("psy-work" in str(each) for each in arguments):
        seen[os.getpid()] = seen.get(os.getpid(), 0) + 1
        if seen[os.getpid()] == int(Path("kill-at").read_text()):
            os.rename("kill-at", "killed")
            os.kill(os.getpid(), signal.SIGKILL)


if Path("kill-at").exists():
    sys.addaudithook(kill)
"""
"""The beginning of a task file whose jobs are killed if a file says so."""


def killed(
    project: Project, step: str, *block: str, every: int = 1, of_round: int = 1
) -> Iterator[Project]:
    """Yield copies of a project in which a job was killed, each at another point.

    Files with two names have them in the copy, too.
    """
    number = 1
    while True:
        copy = Project(project.folder.with_name(f"{project.folder.name}-{number}"))
        subprocess.run(["cp", "-a", f"{project.folder}/.", copy.folder], check=True)
        (copy.folder / "kill-at").write_text(str(number))
        arguments = [step, "psy-work/a", str(of_round), *block]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "psyrun.steps", *arguments],
            cwd=copy.folder,
            capture_output=True,
            check=False,
            timeout=60,
        )
        if (copy.folder / "kill-at").exists():
            assert number > 1, "nothing was counted"
            assert done.returncode == 0, done.stderr
            return
        assert done.returncode in (0, 1, -signal.SIGKILL), done.stderr
        yield copy
        number += every
