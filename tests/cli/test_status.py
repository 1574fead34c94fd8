import os
import re
import shutil
import sys
import time
from pathlib import Path

import pytest
from accepting import finish_accepting_failures
from terminals import on_terminal

from psyrun.queue.ledger import Intent, Ledger
from psyrun.queue.waiting import WaitingReport
from psyrun.results.assignments import assignment_states
from psyrun.run.status import status_of
from psyrun.scheduler import Waiting
from psyrun.workdir.expected_end import ExpectedEnd
from psyrun.workdir.hanging import Hanging, note
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.journal import Journal
from psyrun.workdir.lock import Lock

FAILING = """\
from psyrun import Param

pspace = Param(x=range(10))
max_jobs = 2


def execute(x):
    if x == {bad}:
        raise ValueError("x is\\nbad")
    return {{"y": x}}
"""


def columns(result, name="square"):
    """Return the row of a task in the table."""
    line = next(row for row in result.out.splitlines() if row.startswith(name))
    return re.split(r"\s{2,}", line)


def test_a_task_that_was_never_run_is_new(psy, write_task):
    write_task()
    assert columns(psy("status")) == ["square", "new", "-", "-", "-"]


def test_a_new_task_is_not_imported(psy, write_task):
    write_task("square", "raise ValueError")
    assert columns(psy("status"))[1] == "new"


def test_a_finished_task_is_done(psy, write_task, finish):
    write_task()
    finish()
    assert columns(psy("status")) == ["square", "done", "10/10", "0", "2/2"]


def test_a_comment_leaves_a_task_done(psy, write_task, finish):
    path = write_task()
    finish()
    path.write_text(path.read_text() + "# A remark.\n")
    assert columns(psy("status"))[1] == "done"


def test_a_changed_task_is_outdated(psy, write_task, finish):
    path = write_task()
    finish()
    path.write_text(path.read_text().replace("x**2", "x**3"))
    assert columns(psy("status"))[1:3] == ["outdated", "10/10"]


def test_a_missing_result_makes_a_task_incomplete(psy, write_task, finish):
    write_task()
    Path(finish().plan.resultfile).unlink()
    assert columns(psy("status"))[1:3] == ["incomplete", "10/10"]


def test_finished_blocks_are_counted(psy, write_task, work):
    write_task()
    work("split", "process 1")
    row = columns(psy("status"))
    assert row == ["square", "incomplete", "5/10", "0", "1/2"]


def test_failures_are_counted(psy, write_task, work):
    write_task("square", FAILING.format(bad=3))
    work("split", "process 0", "process 1")
    row = columns(psy("status"))
    assert row == ["square", "incomplete", "9/10", "1", "1/2"]


def test_before_the_split_there_are_no_numbers(psy, write_task, work):
    write_task()
    work()
    assert columns(psy("status")) == ["square", "incomplete", "-", "-", "-"]


def test_before_the_split_of_a_continued_run_kept_rows_are_counted(
    psy, write_task, finish, work
):
    path = write_task()
    finish()
    path.write_text(path.read_text().replace("range(10)", "range(12)"))
    work(keep_going=True)
    result = psy("status", "-v")
    assert columns(result) == ["square", "incomplete", "-", "-", "-", "10 rows kept"]
    assert "square: the space is not divided yet" in result.out
    assert "not evaluated yet" not in result.out


def test_former_rows_are_counted_among_those_that_are_kept(
    psy, write_task, finish, work
):
    path = write_task()
    finish()
    path.write_text(path.read_text().replace("range(10)", "range(8)"))
    work("split", "merge", keep_going=True)
    path.write_text(path.read_text().replace("range(8)", "range(12)"))
    work(keep_going=True)
    assert columns(psy("status"))[-1] == "10 rows kept"


def test_before_the_split_it_is_said_that_rows_of_a_result_are_kept(
    psy, write_task, finish, work
):
    write_task()
    layout = finish().layout
    layout.state.unlink()
    shutil.rmtree(layout.round(1).folder)
    work(keep_going=True)
    assert columns(psy("status"))[-1] == f"rows of {layout.folder}/result.pkl kept"


def test_former_rows_and_those_by_older_code_are_mentioned(
    psy, write_task, finish, work
):
    path = write_task()
    finish()
    path.write_text(path.read_text().replace("range(10)", "range(3, 10)"))
    work("split", "merge", keep_going=True)
    assert columns(psy("status"))[-1] == "3 former rows"
    path.write_text(path.read_text().replace("x**2", "x**2 + 1"))
    work("split", "merge", keep_going=True)
    assert columns(psy("status"))[-1] == "7 rows by an earlier version, 3 former rows"


def test_who_runs_a_task_is_said(psy, write_task, work):
    write_task()
    lock = Lock(work("split").layout.lock, "task 'square'")
    with lock:
        row = columns(psy("status"))
    assert row[1] == "running"
    assert re.match(r"by process \d+ on \S+ since ", row[-1])


def note_hanging(layout, *pids):
    found = [Hanging(pid, time.time() - 3700, 0.0, "in setup") for pid in pids]
    note(layout.round(1).hanging_of("process-1"), found)


def test_what_seems_to_hang_is_said_as_long_as_it_does(psy, write_task, work):
    write_task()
    layout = work("split").layout
    with Lock(layout.lock, "task 'square'"):
        note_hanging(layout, 77)
        remark = columns(psy("status"))[-1]
        assert remark.endswith(", process:1 seems to hang: py-spy dump --pid 77")
        note_hanging(layout, 77, 78)
        remark = columns(psy("status"))[-1]
        assert remark.endswith(
            ", process:1 and 1 more seem to hang: py-spy dump --pid 77"
        )
        layout.round(1).hanging_of("process-1").unlink()
        assert "hang" not in psy("status").out


def test_before_the_split_what_seems_to_hang_is_said_too(psy, write_task, work):
    write_task()
    note_hanging(work().layout, 77)
    assert columns(psy("status"))[-1].startswith("process:1 seems to hang")


def test_details_of_what_seems_to_hang_are_said_on_request(psy, write_task, work):
    write_task()
    note_hanging(work("split").layout, 77, 78)
    lines = psy("status", "-v").out.splitlines()
    at = lines.index("square: 2 processes without progress")
    assert lines[at + 1].startswith(
        "  process:1: process 77 seems to hang: no CPU time used for 1 h 1 min in setup"
    )


def test_a_request_to_stop_an_earlier_run_is_not_about_this_one(psy, write_task, work):
    write_task()
    layout = work("split").layout
    layout.stop.touch()
    os.utime(layout.stop, (time.time() - 60,) * 2)
    with Lock(layout.lock, "task 'square'"):
        assert "being stopped" not in psy("status").out


def test_a_syntax_error_hides_neither_numbers_nor_other_tasks(psy, write_task, finish):
    path = write_task()
    finish()
    path.write_text("def execute(x:\n")
    write_task("other")
    result = psy("status")
    assert columns(result)[1:3] == ["unreadable", "10/10"]
    assert "task_square.py:1" in columns(result)[-1]
    assert columns(result, "other")[1] == "new"


def test_a_syntax_error_in_a_new_task_is_said_with_its_line(psy, write_task):
    write_task("square", "x = 1\nraise ValueError(\n")
    row = columns(psy("status", "-v"))
    assert row[1:5] == ["unreadable", "-", "-", "-"]
    assert row[5].startswith("psy-tasks/task_square.py:2: '(' was never closed")


def test_a_doubtful_text_in_a_new_task_is_no_error(psy, write_task):
    path = write_task()
    path.write_text(path.read_text() + 'text = "\\d"\n')
    result = psy("status")
    assert columns(result)[1] == "new"
    assert result.err == ""


def test_a_damaged_record_is_said(psy, write_task, finish):
    write_task()
    finish().layout.state.write_text("{")
    row = columns(psy("status"))
    assert row[1] == "unreadable"
    assert "state.json" in row[-1]


def test_only_named_tasks_are_shown(psy, write_task):
    write_task("square")
    write_task("circle")
    assert "circle" not in psy("status", "square").out


def test_a_folder_without_tasks_says_what_to_do(psy):
    assert "psy new-task" in psy("status").out


def test_verbose_shows_what_is_not_evaluated(psy, write_task, work):
    write_task()
    work("split", "process 0")
    out = psy("status", "-v").out
    assert "square: 5 not evaluated yet\n  x=5\n  x=6\n" in out


def test_verbose_shows_what_failed_and_why(psy, write_task, work):
    write_task("square", FAILING.format(bad=3))
    work("split", "process 0")
    out = psy("status", "-v").out
    assert "square: 1 failed\n  x=3: ValueError: x is bad\n" in out
    assert "square: 5 not evaluated yet\n" in out


def test_verbose_shows_the_assignments_of_a_new_task(psy, write_task):
    write_task()
    assert "square: 10 not evaluated yet\n  x=0\n" in psy("status", "-v").out


def test_verbose_tells_of_other_tasks_than_one_that_is_wrong(psy, write_task):
    write_task("empty").write_text(
        "from psyrun import Param\npspace = Param(x=[])\ndef execute(x): return {}\n"
    )
    write_task("square")
    result = psy("status", "-v")
    assert "\nempty: " in result.out
    assert "pspace is empty" in result.out
    assert "square: 10 not evaluated yet\n  x=0\n" in result.out


def test_verbose_shows_nothing_of_a_finished_task(psy, write_task, finish):
    write_task()
    finish()
    assert psy("status", "-v").out == psy("status").out


@pytest.mark.parametrize(("flag", "n_shown"), [("-v", 20), ("-vv", 50)])
def test_long_lists_are_cut_unless_asked_for(psy, write_task, flag, n_shown):
    path = write_task()
    path.write_text(path.read_text().replace("range(10)", "range(50)"))
    out = psy("status", flag).out
    assert out.count("  x=") == n_shown
    assert ("and 30 more" in out) == (flag == "-v")


def test_values_of_classes_of_the_task_file_are_shown(psy, write_task, work):
    text = "class Shape:\n    def __repr__(self):\n        return 'Shape'\n\n\n"
    path = write_task("square", text + FAILING.format(bad=3))
    path.write_text(path.read_text().replace("range(10)", "[Shape(), Shape()]"))
    work("split")
    del sys.modules["task_square"]
    assert "  x=Shape\n" in psy("status", "-v").out


def test_a_later_row_outweighs_a_failure(write_task, work):
    path = write_task("square", FAILING.format(bad=3))
    prepared = work("split", "process 0")
    again = Journal(prepared.layout.round(1).journal(0, 1), {})
    again.row(3, 0.0, 0.0, 0, {"x": 3, "y": 3})
    again.close()
    counts = status_of(path, "square").numbers
    assert counts is not None
    assert (counts.n_done, counts.n_failed) == (5, 0)
    assert assignment_states(path, "square").failures == []


def test_a_job_that_outlived_its_run_counts_as_running(psy, write_task, work):
    write_task()
    layout = work("split").layout
    with Lock(layout.round(1).lock("process-0"), "square:process:0"):
        assert columns(psy("status"))[1] == "running"


def test_it_is_said_when_a_running_task_will_be_done(psy, write_task, work):
    write_task()
    layout = work("split").layout
    with Lock(layout.lock, "task 'square'"):
        now = time.time()
        end = ExpectedEnd(now + 3600, now + 1800, now + 7200, made=now, fits=True)
        end.save(layout.round(1))
        row = columns(psy("status"))
    assert row[-1].startswith(f"done at about {end.text()}, by process")
    # What was expected of a run that was killed tells nothing.
    assert "done at about" not in psy("status").out


def test_details_tell_when_jobs_that_nobody_watches_will_be_done(psy, write_task, work):
    write_task()
    round_ = work("split").layout.round(1)
    round_.journals.mkdir()
    with Lock(round_.lock("process-1"), "square:process:1") as lock:
        journal = Journal(round_.journal(1, 0, lock.session), {"host": "n"})
        for x in range(5, 8):
            journal.row(x, time.time() - 600, 600.0, 0, {"x": x, "y": x})
        journal.close()
        out = psy("status", "-v").out
    assert "\nsquare: done at about " in out


def test_it_is_said_why_queued_jobs_wait(psy, write_task, work):
    write_task()
    layout = work("split").layout
    names = ("square:process:0", "square:process:1")
    intent = Intent("square:process", names, names, ("true",) * 2, 1, "x:Y", {})
    Ledger(layout).begin(intent).note_ids({0: "7_0", 1: "7_1"})
    waiting = [Waiting("Priority: others come first")] * 2
    WaitingReport.of(waiting).save(layout)
    row = columns(psy("status"))
    assert row[1] == "queued"
    assert row[-1].endswith("waiting (Priority: others come first)")


def test_accepted_failures_leave_a_task_done_and_are_said(psy, write_task):
    write_task("square", FAILING.format(bad=3))
    finish_accepting_failures()
    row = columns(psy("status"))
    assert row == ["square", "done", "9/10", "1", "2/2", "without 1 failed assignment"]


def test_while_a_task_runs_its_assignments_are_running_or_queued(psy, write_task, work):
    write_task()
    layout = work("split").layout
    with Lock(layout.round(1).lock("process-1"), "square:process:1"):
        out = psy("status", "-v").out
    assert "square: 5 in running jobs\n  x=5\n" in out
    assert "square: 5 queued\n  x=0\n" in out
    assert "not evaluated yet" not in out


def test_where_jobs_fetch_work_only_what_is_evaluated_now_is_running(write_task, work):
    text = "from psyrun.backend import LoadBalancingBackend\n" + FAILING.format(bad=3)
    path = write_task("square", text + "\n\nbackend = LoadBalancingBackend\n")
    round_ = work("split").layout.round(1)
    round_.journals.mkdir()
    table = InFlightTable(round_.in_flight(0), 1)
    table.set(0, 7, 7, 8)
    with Lock(round_.lock("process-0"), "square:process:0"):
        details = assignment_states(path, "square")
    table.close()
    assert details.running == [7]
    assert len(details.queued) == 9


def test_what_jobs_have_used_of_what_was_reserved_is_shown(
    psy, write_task, work, tmp_path, monkeypatch
):
    write_task()
    layout = work("split", "process 0").layout
    (tmp_path / "bin").mkdir()
    sacct = tmp_path / "bin/sacct"
    sacct.write_text(
        "#!/bin/sh\n"
        "echo '7_0|COMPLETED|2460|00:16:00||1|1|16G|240'\n"
        "echo '7_0.batch|COMPLETED|2460|00:16:00|900M|1|1||'\n"
    )
    sacct.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sacct.parent}:/usr/bin:/bin")
    scheduler = "psyrun.scheduler.slurm:Slurm"
    where = (("square:process:0",), ("block",), ("true",), 1, scheduler)
    batch = Ledger(layout).begin(Intent("square:process", *where, {"memory": "16G"}))
    batch.note_ids({0: "7_0"})
    batch.array.output(0).write_text("psyrun: start n1 1\npsyrun: exit 0 2461\n")
    assert "reserved" not in psy("status").out
    assert (
        "\nsquare: used of what was reserved, as the queue counts it\n"
        "  process: 1 job, 0.267 of 0.683 core-hours used (39 %)\n"
        "    memory 900 MiB of 16 GiB at most, time 41 min of 4 h at most\n"
        "    could be lower: memory 1.25G, timelimit 1h15m\n"
    ) in psy("status", "-v").out


LONG = "a message of an exception that has so many words that no line has room for it"


def test_lines_fit_the_terminal(write_task, work):
    source = FAILING.format(bad="x").replace("x is\\nbad", LONG)
    path = write_task("square", source)
    work("split", "process 0", "process 1")
    path.write_text(source.replace("x == x", "x >= x"))
    for columns in (45, 70, 90):
        command = [sys.executable, "-m", "psyrun.cli", "status", "-v"]
        status, out = on_terminal(command, Path.cwd(), columns)
        assert status == 0 and max(map(len, out.splitlines())) <= columns
        words = " ".join(out.split())
        assert words.count(f"ValueError: {LONG}") == 10
        assert "execute changed (task_square.py:7)" in words


def test_long_names_have_a_line_of_their_own_where_there_is_no_room(
    psy, write_task, monkeypatch
):
    names = ["short", "a_long_name_" * 5, "another_long_name_" * 4]
    for name in names:
        write_task(name)
    for width in (60, 80):
        monkeypatch.setattr("psyrun.cli.status.width_of", lambda _, found=width: found)
        lines = psy("status").out.splitlines()
        assert max(map(len, lines)) <= max(width, 72) and all(map(str.strip, lines))
        rows = [line.split() for line in lines[1:]]
        cells = ["new", "-", "-", "-"]
        long, other = [names[1]], [names[2]]
        assert rows == [long, cells, other, cells, ["short", *cells]]
    monkeypatch.setattr("psyrun.cli.status.width_of", lambda _: None)
    lines = psy("status").out.splitlines()
    assert [line.split()[0] for line in lines] == ["task", *sorted(names)]
