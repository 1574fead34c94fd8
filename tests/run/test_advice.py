"""What is said to type next has the options of the run, and names its command."""

from pathlib import Path

import pytest
from projects import COUNTED, Project

from psyrun.planning.desired import PlanOptions
from psyrun.planning.prepare import load_tasks
from psyrun.run.advice import Advice


def advice_for(
    project: Project, monkeypatch: pytest.MonkeyPatch, part: tuple[str, ...]
) -> Advice:
    monkeypatch.chdir(project.folder)
    for name in ("a", "b"):
        project.write(COUNTED, name)
    paths = [project.taskfile(name) for name in ("a", "b")]
    return Advice.of(load_tasks(paths, PlanOptions(part=part)))


def test_a_run_goes_on_with_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = advice_for(Project(tmp_path), monkeypatch, ("x=2",))
    assert advice.go_on == advice.after_jobs == "Go on with 'psy run -p x=2 a b'."
    assert advice.when_fixed == "then 'psy run --continue -p x=2 a b'."
    assert advice.keeping.endswith("'psy run --continue -p x=2 a b' keeps them.")
    assert "'psy run --detach=job -p x=2 a b'" in advice.in_queue
    assert "'psy run --detach -p x=2 a b'" in advice.detached


def test_pilots_go_on_with_psy_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = advice_for(Project(tmp_path), monkeypatch, ("assignments 1,3",))
    assert advice == Advice(
        go_on="Go on with 'psy plan a b'.",
        after_jobs="Go on with 'psy plan a b' when its jobs have ended.",
        when_fixed="then 'psy plan a b'.",
    )
