"""Calls of the scripts beside, which look at what whole runs print."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def expect_no_fault(script: str, *options: str) -> None:
    """Fail, with all that a script has printed, if it finds a fault."""
    paths = [str(HERE.parent / "helpers"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, HERE / script, *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        check=False,
        text=True,
    )
    said = f"{script} {' '.join(options)}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
