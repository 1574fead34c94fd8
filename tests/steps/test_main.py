"""How a step tells what keeps it from its work."""

import subprocess
import sys
from pathlib import Path


def test_a_note_that_cannot_be_removed_is_told_in_one_line(tmp_path: Path) -> None:
    errors = tmp_path / "psy-work/a/round-1/errors"
    errors.parent.mkdir(parents=True)
    errors.write_text("a file has taken the place of the folder")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "psyrun.steps", "split", "psy-work/a", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    said = (done.stdout + done.stderr).splitlines()
    assert len(said) == 1
    assert "Not a directory" in said[0] and str(errors) in said[0]
