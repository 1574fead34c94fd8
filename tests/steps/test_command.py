"""Commands of rules, as they are written now and as they were written before."""

import subprocess
from pathlib import Path

import pytest
from accepting import accept_plan
from projects import Project

from psyrun.queue.script import command, write_script
from psyrun.steps.command import StepCommand

TASK = """\
from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2


def execute(x):
    return {"y": x**2}
"""
SPLIT = StepCommand("split", Path("my work/a"), 2)
PROCESS = StepCommand("process", Path("my work/a"), 2, "3")
both = pytest.mark.parametrize("step", [SPLIT, PROCESS], ids=lambda s: s.step)


@both
def test_arguments_are_read_as_they_are_written(step: StepCommand) -> None:
    assert StepCommand.read(step.arguments) == step


@both
def test_arguments_of_before_name_the_frozen_space(step: StepCommand) -> None:
    former = [step.step, "my work/a/round-2/space.pkl", *filter(None, [step.block])]
    assert StepCommand.read(former) == step


@pytest.mark.parametrize("python", ["python3 -P", "python3"])
@pytest.mark.parametrize("where", ["'my work/a' 2", "'my work/a/round-2/space.pkl'"])
def test_the_command_of_a_rule_is_read(python: str, where: str) -> None:
    rule = f"{python} -m psyrun.steps process {where} 3 > 'my work/log' 2>&1"
    assert StepCommand.parse(rule) == PROCESS


@pytest.mark.parametrize("other", [None, "", "touch a", "echo '", "a -m b c > d"])
def test_other_commands_are_left_alone(other: str | None) -> None:
    assert StepCommand.parse(other) is None


def test_names_and_paths_follow_from_a_command() -> None:
    assert [SPLIT.name, PROCESS.name] == ["split", "process-3"]
    assert PROCESS.round.folder == Path("my work/a/round-2")
    assert PROCESS.log == Path("my work/a/a:process:3.log")


def test_commands_that_were_written_before_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "my project")
    project.write(TASK)
    monkeypatch.chdir(project.folder)
    task = accept_plan(Path("psy-tasks/task_a.py"))
    steps = ["split", "process 0", "process 1", "merge"]
    words = (step.partition(" ") for step in steps)
    commands = [
        f"python3 -m psyrun.steps {step} psy-work/a/round-1/space.pkl {block}"
        for step, _, block in words
    ]
    # As a job of a queue runs them.
    write_script(tmp_path, "key", commands, project.folder)
    for position, _ in enumerate(steps):
        subprocess.run([*command(tmp_path), str(position)], check=True)
    task.release()
    assert project.result() == {"x": [1, 2, 3, 4], "y": [1, 4, 9, 16]}
