"""``psy plan`` as a user calls it."""

from pathlib import Path

import pytest

from psyrun.cli.main import parser_for
from psyrun.run.pilots import PilotOptions
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.prediction import PredictionRecord

TASK = """\
import time

from psyrun import Param

pspace = Param(n=range(1, 201)) * Param(s=["a", "b"])
max_jobs = 3


def execute(n, s):
    if s == "b" and n > 150:
        raise ValueError("b diverges")
    time.sleep(1e-4 * n)
    return {"y": n}
"""


@pytest.mark.slow
def test_pilots_tell_the_costs_and_are_rows_of_the_task(psy, write_task) -> None:
    write_task("a", TASK)
    result = psy("plan", "a", "--pilots", "12", "-j", "2")
    assert "a: 6 pilots, evaluated on this machine" in result.out
    assert "a:process" not in result.out
    assert "of 400 assignments are known" in result.out
    assert " with n=200" in result.out
    assert result.status == int("failed:" in result.out)
    if result.status:
        assert "s='b': ValueError: b diverges" in result.out
    record = PredictionRecord.load(TaskLayout(Path("psy-work/a")))
    assert record is not None
    assert record.n_assignments == 400
    assert not Path("psy-work/a/result.pkl").exists()
    status = psy("status", "a").out
    assert f"{record.n_known}/400" in status
    assert "left after the pilots of 'psy plan'" in status
    again = psy("run", "-n", "a").out
    assert f"{record.n_known} rows kept, with pilots of 'psy plan'," in again
    shown = psy("plan", "a", "--pilots", "6")
    assert "pilots, evaluated" not in shown.out


@pytest.mark.slow
def test_it_is_said_that_nothing_ended_within_the_budget(psy, write_task) -> None:
    write_task("a", TASK.replace("time.sleep(1e-4 * n)", "time.sleep(1000)"))
    result = psy("plan", "a", "--budget", "0.3s", "--pilots", "2")
    assert result.status == 1
    assert "no pilot ended within the budget" in result.err
    assert "--budget 1h" in result.err


@pytest.mark.parametrize("text", ["", "0", "-1", "soon", "nan", "5x"])
def test_a_budget_is_a_time(psy, text) -> None:
    result = psy("plan", "a", f"--budget={text}")
    assert result.status == 2
    assert "a time such as '90s', '10m' or '1h30m'" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["plan"], ["plan", "a", "b"], ["plan", "a", "--pilots", "0"], ["plan", "nobody"]],
)
def test_what_cannot_be_planned_is_refused_in_a_line(
    psy, write_task, arguments
) -> None:
    write_task("a", TASK)
    result = psy(*arguments)
    assert result.status == 2
    assert result.err.count("\n") == 1


def test_the_defaults_are_those_of_the_pilots() -> None:
    args = parser_for("plan")[0].parse_args(["plan", "a"])
    options = PilotOptions(args.pilots, args.budget, args.jobs, args.local)
    assert options == PilotOptions()
