"""Snakemake's import begins early where it is likely to be needed."""

import os
import signal
from pathlib import Path

import pytest
from projects import Project, wait_until

from psyrun.run.early_snakemake import EarlySnakemake, is_likely_needed
from psyrun.run.snakemake import Snakemake, command


@pytest.fixture
def early():
    begun = EarlySnakemake()
    yield begun
    begun.close()


def is_likely(project: Project, monkeypatch, *names: str) -> bool:
    monkeypatch.chdir(project.folder)
    return is_likely_needed(Path("psy-tasks"), names)


@pytest.mark.parametrize("names", [(), ("a",)])
def test_it_is_likely_needed_until_the_task_is_merged(
    project, monkeypatch, names
) -> None:
    assert is_likely(project, monkeypatch, *names)
    project.psy("run")
    assert not is_likely(project, monkeypatch, *names)
    os.utime(project.taskfile(), (2**32, 2**32))
    assert is_likely(project, monkeypatch, *names)


def test_a_task_that_does_not_exist_is_told_of_later(project, monkeypatch) -> None:
    assert not is_likely(project, monkeypatch, "none")


def test_what_is_not_needed_ends_without_a_word(project) -> None:
    project.psy("run")
    os.utime(project.taskfile(), (2**32, 2**32))
    ended = project.psy("run")
    assert ended.stderr == ""
    assert project.calls()
    assert not processes_in(project.folder)


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of processes whose current folder is this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cwd").readlink() == folder.resolve():
                found.append(process.joinpath("cmdline").read_text())
        except OSError:
            continue
    return found


def test_it_is_snakemake_with_the_arguments_that_come_later(early, tmp_path) -> None:
    (tmp_path / "Snakefile").write_text(
        "import os\nrule all:\n    shell: 'echo $COLOUR > seen'\n"
    )
    arguments = [*command([], jobs=1, profile="local")[:3], "--cores=1"]
    arguments += [f"--directory={tmp_path}", f"--snakefile={tmp_path}/Snakefile"]
    with (tmp_path / "log").open("wb") as log:
        begun = Snakemake(arguments, {"COLOUR": "blue"}, log, early)
    assert begun.wait() == 0, (tmp_path / "log").read_text()
    os.close(begun.events)
    assert (tmp_path / "seen").read_text() == "blue\n"
    assert "1 of 1 steps (100%) done" in (tmp_path / "log").read_text()


def test_another_takes_the_place_of_one_that_was_killed(early, tmp_path) -> None:
    os.kill(early.pid, signal.SIGKILL)
    wait_until(lambda: early.has_ended)
    arguments = [*command([], jobs=1, profile="local")[:3], "--version"]
    with (tmp_path / "log").open("wb") as log:
        begun = Snakemake(arguments, {}, log, early)
    assert begun.wait() == 0
    os.close(begun.events)
    assert (tmp_path / "log").read_text()[0].isdecimal()


LOOKS_AT_SNAKEMAKE = """\
from pathlib import Path

import psutil

from psyrun import Param

pspace = Param(x=[1])


def execute(x):
    above = psutil.Process().parents()
    (controller,) = [p for p in above if "psyrun.cli" in p.cmdline()]
    others = [p for p in controller.children() if p.status() != "zombie"]
    (snakemake,) = [p for p in others if "early_snakemake" in p.cmdline()[-1]]
    maps = Path(f"/proc/{snakemake.pid}/maps").read_text()
    return {"has_pandas": "/pandas/" in maps}
"""


@pytest.mark.parametrize(("extra", "has_pandas"), [([], 0), (["--", "--verbose"], 1)])
def test_snakemake_does_without_pandas_if_all_rules_are_of_psyrun(
    project, extra, has_pandas
) -> None:
    pytest.importorskip("pandas")
    project.write(LOOKS_AT_SNAKEMAKE)
    project.psy("run", "a", *extra)
    assert project.result()["has_pandas"] == [has_pandas]
    assert "Nothing to be done" in project.snakemake("-n").stdout
