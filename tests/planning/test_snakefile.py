"""Generated Snakefiles, read by Snakemake and snakefmt themselves."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from plans import DESIRED as SMALL

from psyrun.errors import TaskError
from psyrun.planning.decide import decide
from psyrun.planning.snakefile import (
    FORBIDDEN,
    check_path,
    check_taskfile,
    environment,
    render,
    rule_suffix,
)
from psyrun.planning.states import Current
from psyrun.utils.resources import shipped
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.plan import Plan

TEMPLATE = shipped("workflow", "task.smk.template").read_text()
DESIRED = replace(
    SMALL,
    fingerprint="0123456789abcdef",
    n_items=100,
    max_jobs=100,
    resultfile="psy-work/square/result.pkl",
)
PLAN = decide(DESIRED, Current(), keep_going=False).plan
LONG = "long/" * 40
PLANS = {
    "usual": PLAN,
    "no blocks": replace(PLAN, n_blocks=0),
    "one block": replace(PLAN, n_blocks=1),
    "dash and dot": replace(PLAN, task="a-b.c"),
    "a digit in front": replace(PLAN, task="3d"),
    "blanks": replace(PLAN, workdir="my work", resultfile="my results/a b.pkl"),
    "long": replace(PLAN, workdir=f"{LONG}work", resultfile=f"{LONG}result.pkl"),
    "other stores": replace(PLAN, block_ext=".npz", resultfile="r.h5"),
    "workers": replace(PLAN, pool_size=8),
    "other Python": replace(PLAN, python="/opt/my python/bin/python3"),
    "quote and dollar": replace(PLAN, workdir="$HOME & more;"),
    "accents": replace(PLAN, workdir="Größe", resultfile="Größe/é.pkl"),
}
plans = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())


def write(folder: Path, plan: Plan) -> Path:
    """Write a plan's files as a run does, and the inputs of its rules."""
    path = folder / TaskLayout.of(plan.workdir, plan.task).snakefile
    path.parent.mkdir(parents=True)
    path.write_text(render(plan, TEMPLATE))
    path.with_name("environment.yaml").write_text(environment("1.0"))
    return path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": ""}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def assert_formatted(folder: Path) -> None:
    ended = run(folder, "snakefmt", "--check", "--diff", ".")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_snakefmt_changes_nothing(tmp_path: Path) -> None:
    for name, plan in PLANS.items():
        if name != "long":
            (tmp_path / f"{name}.smk").write_text(render(plan, TEMPLATE))
    workflow = shipped("workflow", "Snakefile").read_text()
    (tmp_path / "Snakefile").write_text(workflow)
    assert_formatted(tmp_path)


def test_snakefmt_changes_nothing_about_long_paths(tmp_path: Path) -> None:
    (tmp_path / "long.smk").write_text(render(PLANS["long"], TEMPLATE))
    assert_formatted(tmp_path)


@pytest.mark.parametrize("name", ["usual", "dash and dot", "no blocks"])
def test_lint_finds_nothing(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, PLANS[name])
    ended = run(tmp_path, "snakemake", "--lint", "--snakefile", str(path))
    text = ended.stdout + ended.stderr
    assert ended.returncode == 0 and "Congratulations" in text, text


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["no blocks", "one block", "blanks", "long", "quote and dollar", "accents"]
)
def test_snakemake_plans_the_jobs(tmp_path: Path, name: str) -> None:
    plan = PLANS[name]
    path = write(tmp_path, plan)
    options = ["--dry-run", "--printshellcmds", "--cores", "1"]
    ended = run(tmp_path, "snakemake", "--snakefile", str(path), *options)
    text = ended.stdout + ended.stderr
    assert ended.returncode == 0, text
    n_jobs = re.search(r"^total\s+(\d+)$", text, re.MULTILINE)
    assert n_jobs is not None and int(n_jobs[1]) == plan.n_blocks + 3
    commands = set(re.findall(r"-m psyrun\.steps (\w+)", text))
    assert commands == (
        {"split", "process", "merge"} if plan.n_blocks else {"split", "merge"}
    )


def test_files_side_by_side_share_nothing(tmp_path: Path) -> None:
    tasks = ["a", "b", "a-b.c", "a_b"]
    made = [replace(PLAN, task=t, resultfile=f"{t}.pkl", n_blocks=2) for t in tasks]
    paths = [write(tmp_path, plan) for plan in made]
    includes = "".join(f'include: "{path}"\n' for path in paths)
    targets = [plan.resultfile for plan in made]
    (tmp_path / "Snakefile").write_text(f"rule all:\n    input: {targets}\n{includes}")
    ended = run(tmp_path, "snakemake", "--dry-run", "--cores", "1")
    text = ended.stdout + ended.stderr
    assert ended.returncode == 0, text
    assert re.search(r"^total\s+17$", text, re.MULTILINE), text


@plans
def test_no_name_is_set_and_no_function_made(plan: Plan) -> None:
    lines = render(plan, TEMPLATE).splitlines()
    outside = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert all(re.fullmatch(r"rule \w+:", line) for line in outside)
    assert "lambda" not in "".join(lines)


@plans
def test_every_placeholder_is_filled(plan: Plan) -> None:
    text = render(replace(plan, workdir="work"), TEMPLATE)
    assert "$" not in text.replace("$HOME", "")


@plans
def test_paths_are_literals_of_the_plan(plan: Plan) -> None:
    text = render(plan, TEMPLATE)
    strings = set(re.findall(r'"([^"\n]*)"', text))
    layout = TaskLayout.of(plan.workdir, plan.task)
    round_ = layout.round(plan.round)
    expected = {
        plan.resultfile,
        str(round_.space),
        str(round_.block("{block}", plan.block_ext)),
        *map(str, [layout.log("split"), layout.log("merge")]),
        str(layout.log("process", "{block}")),
    }
    assert expected <= strings


@plans
def test_names_of_rules_are_identifiers(plan: Plan) -> None:
    assert f"rule_{rule_suffix(plan.task)}".isidentifier()


def test_what_may_not_change_the_rules_is_not_in_them() -> None:
    other = replace(
        PLAN, division="other", same_space=True, keep="round", keep_rounds=(1,)
    )
    assert render(other, TEMPLATE) == render(PLAN, TEMPLATE)


def test_a_new_merge_only_concerns_the_rule_that_merges() -> None:
    before, after = (render(replace(PLAN, merge=m), TEMPLATE) for m in ("one", "two"))
    assert before.replace("merged-one", "merged-two") == after
    assert before != after


@pytest.mark.parametrize("char", FORBIDDEN, ids=repr)
def test_a_path_that_snakemake_would_misread_is_refused(char: str) -> None:
    with pytest.raises(TaskError, match=r"^task_a\.py: workdir is ") as error:
        check_path(f"work{char}dir", "workdir", "task_a.py")
    assert repr(char) in str(error.value) and "\n" not in str(error.value)


def test_an_ordinary_path_is_accepted() -> None:
    check_path("/scratch/a b/Größe-1.2_$x", "workdir", "task_a.py")


def test_the_environment_names_this_version() -> None:
    import yaml

    found = yaml.safe_load(environment("1.2.3"))
    assert {"pip": ["psyrun ==1.2.3"]} in found["dependencies"]


@pytest.mark.parametrize("character", ["\n", "\r", "\x0b", "\x1b", "\x85"])
def test_a_path_cannot_end_the_comment_that_names_it(character: str) -> None:
    path = f"tasks{character}import os/task_a.py"
    with pytest.raises(TaskError, match="must not contain"):
        check_taskfile(path)
    with pytest.raises(TaskError, match="must not contain"):
        check_path(path, "workdir", "task_a.py")
