import subprocess
import sys
from pathlib import Path

import pytest

from psyrun.store import PickleStore

SNAKEFILE = Path("workflow", "Snakefile")


def test_the_folders_are_made(psy, project):
    Path("psy-tasks").rmdir()
    result = psy("init")
    assert result.status == 0
    assert "created  psy-tasks\ncreated  workflow/Snakefile\n" in result.out
    assert "Next: psy new-task NAME\n" in result.out
    assert Path("psy-tasks").is_dir()


def test_what_exists_is_left_as_it_is(psy, write_task):
    path = write_task()
    SNAKEFILE.parent.mkdir()
    SNAKEFILE.write_text("# Mine.\n")
    result = psy("init")
    assert "exists   psy-tasks\nexists   workflow/Snakefile\n" in result.out
    assert "Next: psy run\n" in result.out
    assert SNAKEFILE.read_text() == "# Mine.\n"
    assert path.exists()


def test_the_snakefile_is_formatted(psy):
    psy("init")
    command = [sys.executable, "-m", "snakefmt", "--check", str(SNAKEFILE)]
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_the_snakefile_follows_best_practices(psy, write_task):
    write_task()
    psy("init")
    command = [sys.executable, "-m", "snakemake", "--lint"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("taskdir", ["psy-tasks", "my tasks"])
def test_plain_snakemake_runs_the_tasks(psy, write_task, taskdir):
    write_task()
    Path("psy-tasks").rename(taskdir)
    psy("init", "--taskdir", taskdir)
    profile = psy("profile", "local").out.strip()
    command = [sys.executable, "-m", "snakemake", "--profile", profile, "--cores", "2"]
    subprocess.run(command, check=True, capture_output=True)
    assert PickleStore().load("psy-work/square/result.pkl")["y"][-1] == 81
