import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from accepting import accept_plan

from psyrun.steps.main import run


def told(path="report.html"):
    """Return what a page says of each task."""
    text = Path(path).read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    return {each["name"]: each for each in json.loads(found[1])["tasks"]}


def test_a_page_shows_all_tasks_that_were_run(write_task, finish, psy):
    write_task()
    write_task("cube")
    finish()
    result = psy("report")
    assert result.status == 0
    path = Path("report.html").absolute()
    assert re.fullmatch(rf"1 task in {re.escape(str(path))} \(0\.1 MB\)\n", result.out)
    assert result.err == "psy: not in the report, as never run: cube\n"
    square = told()["square"]
    assert (square["state"], square["counts"]["done"]) == ("done", 10)
    assert [each["name"] for each in square["results"]] == ["y"]


def test_some_tasks_in_another_file(write_task, finish, psy):
    for name in ("square", "cube", "root"):
        write_task(name)
        finish(name)
    assert psy("report", "cube", "square", "cube", "-o", "a.html").status == 0
    assert list(told("a.html")) == ["cube", "square"]


def test_the_file_is_in_the_folder_where_it_is_asked_for(
    write_task, finish, psy, project, monkeypatch
):
    write_task()
    finish()
    (project / "notes").mkdir()
    monkeypatch.chdir(project / "notes")
    assert psy("report", "square").status == 0
    assert told(project / "notes/report.html")["square"]["n"] == 10


def test_a_task_that_runs_is_shown_as_far_as_it_is(write_task, work, psy):
    write_task()
    work("split", "process 1")
    assert psy("report").status == 0
    square = told()["square"]
    assert square["state"] == "incomplete"
    assert square["counts"] == {"done": 5, "failed": 0, "running": 0, "to_do": 5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no task of psy-tasks was run yet"),
        (("square",), "task 'square': was never run"),
        (("squares",), "there is no task 'squares'. Did you mean 'square'?"),
    ],
)
def test_nothing_to_show_is_said_in_one_line(write_task, psy, arguments, message):
    write_task()
    result = psy("report", *arguments)
    assert result.status == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not Path("report.html").exists()


@pytest.mark.parametrize("out", ["none/report.html", "psy-tasks", "/proc/report.html"])
def test_a_place_where_no_file_can_be_is_said_in_one_line(write_task, finish, psy, out):
    write_task()
    finish()
    result = psy("report", "-o", out)
    assert result.status == 2
    assert str(Path(out)) in result.err
    assert result.err.count("\n") == 1


def refresh_of(path="report.html"):
    return json.loads(re.search(r'"refresh":([^,]+),', Path(path).read_text())[1])


def test_watching_ends_when_no_task_runs(write_task, finish, psy):
    write_task()
    finish()
    result = psy("report", "--watch")
    assert result.status == 0
    assert result.out.startswith("1 task in ")
    assert refresh_of() is None


def test_watching_writes_again_until_it_is_interrupted(write_task, psy, monkeypatch):
    task = accept_plan(write_task())
    run(["split", str(task.layout.folder), str(task.plan.round)])
    seen = []

    def sleep(seconds):
        seen.append((refresh_of(), told()["square"]["counts"]["done"]))
        if len(seen) == 2:
            raise KeyboardInterrupt
        run(["process", str(task.layout.folder), str(task.plan.round), "0"])

    monkeypatch.setattr("psyrun.cli.report.time", SimpleNamespace(sleep=sleep))
    result = psy("report", "--watch")
    task.release()
    assert result.status == 130
    assert seen == [(10.0, 0), (10.0, 5)]
    assert refresh_of() is None
    assert told()["square"]["counts"]["done"] == 5
