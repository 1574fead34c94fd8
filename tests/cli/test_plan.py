"""``psy plan`` as a user calls it."""

import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from projects import kill_all_of, wait_until
from readers import ROOT

from psyrun.cli.main import parser_for
from psyrun.queue.ledger import QueueReport
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
    # What else the machine does is no less than the difference to the slowest one.
    assert re.search(r"slowest .* with n=(1\d\d|200), s='", result.out)
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
    text = Path("psy-tasks/task_a.py").read_text()
    written = psy("plan", "a", "--pilots", "6", "--write")
    assert "pilots, evaluated" not in written.out
    assert "psy-tasks/task_a.py: " in written.out
    assert Path("psy-tasks/task_a.py").read_text().count("def") == text.count("def")
    assert f"{record.n_known}/400" in psy("status", "a").out


@pytest.mark.slow
def test_it_is_said_that_nothing_ended_within_the_budget(psy, write_task) -> None:
    write_task("a", TASK.replace("time.sleep(1e-4 * n)", "time.sleep(1000)"))
    result = psy("plan", "a", "--budget", "0.3s", "--pilots", "2")
    assert result.status == 1
    assert "1 pilot ended by the budget:" in result.out
    assert "failed" not in result.out
    assert "no pilot ended within the budget" in result.err
    assert "--budget 1h" in result.err


@pytest.mark.parametrize("text", ["", "0", "-1", "soon", "nan", "5x"])
def test_a_budget_is_a_time(psy, text) -> None:
    result = psy("plan", "a", f"--budget={text}")
    assert result.status == 2
    assert f"{text!r} is not a time such as '90s', '10m' or '1h30m'" in result.err
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


QUEUED = """\
import time
from pathlib import Path

from local_queue import LocalQueue
from psyrun import Param
from psyrun.errors import QueueFullError


class SmallQueue(LocalQueue):
    def submit(self, args, *more, **options):
        if self.get_jobs():
            raise QueueFullError("one job at a time")
        return super().submit(args, *more, **options)


pspace = Param(n=range(1, 201))
scheduler = LocalQueue("my queue")
max_jobs = 2


def execute(n):
    while Path("stop").exists():
        time.sleep(0.05)
    return {"y": n}
"""


@pytest.fixture
def queued(project, write_task) -> Path:
    """Write a task whose queue runs its jobs in the background of this machine."""
    shutil.copy(ROOT / "tests" / "scheduler" / "local_queue.py", "psy-tasks")
    sys.modules.pop("local_queue", None)
    return write_task("a", QUEUED)


@pytest.mark.slow
def test_pilots_are_jobs_of_the_queue_or_not(psy, queued) -> None:
    result = psy("plan", "a", "--pilots", "2")
    assert result.status == 0, result.err
    assert "a: 1 pilot, evaluated in the queue (LocalQueue)" in result.out
    n_jobs = len(list(Path("my queue").iterdir()))
    assert n_jobs == 2
    result = psy("plan", "a", "--pilots", "4", "--local")
    assert result.status == 0, result.err
    assert "more pilot, evaluated on this machine" in result.out
    assert len(list(Path("my queue").iterdir())) == n_jobs


@pytest.mark.slow
def test_pilots_wait_for_a_place_in_a_queue_that_is_full(psy, queued) -> None:
    queued.write_text(QUEUED.replace("= LocalQueue(", "= SmallQueue("))
    result = psy("plan", "a", "--pilots", "4")
    assert result.status == 0, result.err
    assert "a: 2 pilots, evaluated in the queue (SmallQueue)" in result.out
    assert "the queue takes no more jobs" in result.out
    assert "costs of 4 of 200" in result.out


@pytest.mark.slow
def test_failures_are_not_blamed_on_pilots_that_never_began(psy, queued) -> None:
    text = QUEUED.replace("= LocalQueue(", "= SmallQueue(")
    text = text.replace("import QueueFullError", "import SchedulerError")
    text = text.replace("if self.get_jobs()", "if True").replace("Full", "")
    queued.write_text(text.replace('QueueError("one', 'SchedulerError("never: one'))
    result = psy("plan", "a", "--pilots", "2")
    assert result.status in (1, 2)
    assert "never: one job" in result.err
    assert "no pilot was evaluated" in result.err
    assert "psy failed" not in result.err


@pytest.mark.slow
def test_a_task_with_jobs_in_a_queue_is_refused(psy, queued, start_psy) -> None:
    Path("stop").touch()
    run = start_psy("run", "a")
    wait_until(lambda: len(list(Path("my queue").glob("*/pid"))) >= 2)
    running = psy("plan", "a")
    assert running.status == 2
    assert "Follow it with 'psy attach a'" in running.err
    kill_all_of(run)
    left = psy("plan", "a")
    assert left.status == 2
    assert "Go on with 'psy run a', or end them with 'psy kill a'." in left.err
    assert left.err.count("\n") == 1
    assert psy("kill", "a").status == 0


@pytest.mark.slow
def test_pilots_in_a_queue_outlive_an_interruption(psy, queued, start_psy) -> None:
    Path("stop").touch()
    process = start_psy("plan", "a", "--pilots", "2")
    layout = TaskLayout(Path("psy-work", "a"))
    wait_until(lambda: QueueReport.of(layout).text)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with 'psy plan a' when its jobs have ended." in err
    assert "'psy kill a' ends them." in err
    assert psy("plan", "a").status == 2
    assert psy("kill", "a").status == 0


STOPPED = """\
import time
from pathlib import Path

from psyrun import Param

pspace = Param(n=range(1, 201))


def execute(n):
    with open("calls", "a") as file:
        file.write(f"{n}\\n")
    while n > 60 and Path("stop").exists():
        time.sleep(0.05)
    return {"y": n}
"""


@pytest.mark.slow
def test_an_interruption_loses_no_row(psy, write_task, start_psy) -> None:
    write_task("a", STOPPED)
    Path("stop").touch()
    process = start_psy("plan", "a", "--pilots", "8")
    wait_until(lambda: Path("calls").exists() and has_begun_long_one())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "psy: interrupted; " in err
    assert "Go on with 'psy plan a'." in err
    done = [n for n in called() if n <= 60]
    Path("stop").unlink()
    Path("calls").unlink()
    assert psy("plan", "a", "--pilots", "8").status == 0
    assert not set(done).intersection(called())


def called() -> list[int]:
    return [int(line) for line in Path("calls").read_text().split()]


def has_begun_long_one() -> bool:
    return any(n > 60 for n in called())
