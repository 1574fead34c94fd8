"""A run predicts when it will be done, now and then, and tells all who look."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import Project, wait_until

import psyrun
from psyrun.planning.prepare import PlanOptions, TaskRun, load_tasks
from psyrun.run.attach import Follower
from psyrun.run.display import PlainDisplay
from psyrun.run.expected_ends import ExpectedEnds, by_speed, efficiency_of
from psyrun.run.status import status_of
from psyrun.utils.typing import override
from psyrun.workdir.division import Division
from psyrun.workdir.expected_end import ExpectedEnd
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import Round
from psyrun.workdir.lock import Lock
from psyrun.workdir.progress import RoundProgress, Tally

TASK = """\
from psyrun import Param

pspace = Param(x=range(40))
max_jobs = 2


def execute(x):
    return {"y": x}
"""


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Running:
    """A task with one running job, of which this test writes the files."""

    def __init__(self, task: TaskRun) -> None:
        self.task, self.clock = task, Clock()
        self.round = task.layout.round(task.plan.round)
        Division(task.task.pspace, 2).save(self.round, task.plan)
        self.round.journals.mkdir(parents=True)
        self.lock = Lock(self.round.lock("process-0"), "process:0")
        self.lock.acquire()
        self.table = InFlightTable(self.round.in_flight(0, self.lock.session), 1)
        path = self.round.journal(0, 0, self.lock.session)
        session = {"host": "n", "fingerprint": task.plan.fingerprint}
        self.journal = Journal(path, session)
        self.ends = ExpectedEnds([task], self.clock)
        self.progress = RoundProgress(self.round)
        self.look()

    def evaluate(self, assignments: range, seconds: float) -> None:
        for x in assignments:
            self.journal.row(x, time.time(), seconds, 0, {"x": x, "y": x})
        self.table.set(0, assignments.stop, 0, 1)

    def look(self) -> ExpectedEnd | None:
        return self.ends.look([self.progress.tally()])

    def close(self) -> None:
        self.journal.close()
        self.table.close()
        self.lock.release()


@pytest.fixture
def running(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    project.write(TASK)
    monkeypatch.chdir(project.folder)
    (task,) = load_tasks([Path("psy-tasks/task_a.py")], PlanOptions())
    task.acquire()
    task.decide(print)
    task.accept()
    found = Running(task)
    yield found
    found.close()
    task.release()


def seconds_until(end: ExpectedEnd | None) -> float:
    assert end is not None
    return end.end - end.made


def test_nothing_is_said_until_some_have_ended(running: Running) -> None:
    running.clock.now = 60.0
    assert running.look() is None
    assert ExpectedEnd.load(running.round) is None


def test_all_who_look_are_told_the_same(running: Running) -> None:
    running.evaluate(range(4), 10.0)
    running.clock.now = 41.0
    end = running.look()
    assert seconds_until(end) == pytest.approx((16 + 20) * 10, rel=0.1)
    assert ExpectedEnd.load(running.round) == end
    status = status_of(Path("psy-tasks/task_a.py"), "a")
    assert (status.state, status.expected) == ("running", end)
    assert end is not None
    assert f"done at about {end.text()}" in repr(psyrun.Run("a"))


class EndingDisplay(PlainDisplay):
    """Ends the run that it shows as soon as it has shown how far that is."""

    interval = 0.0

    def __init__(self, run: TaskRun) -> None:
        super().__init__()
        self._run = run
        self.shown: list[tuple[int, int, ExpectedEnd | None]] = []

    @override
    def progress(self, tally: Tally, end: ExpectedEnd | None = None) -> None:
        self.shown.append((tally.done, tally.total, end))
        self._run.release()


def test_who_follows_the_run_is_told_the_same(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.evaluate(range(4), 10.0)
    running.clock.now = 41.0
    end = running.look()
    display = EndingDisplay(running.task)
    assert Follower(running.task.layout, display).follow() == 1
    assert display.shown == [(4, 40, end)]
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "a: ended before all was done; see 'psy status -v a'"


def test_it_is_predicted_again_only_as_more_ends(running: Running) -> None:
    running.evaluate(range(4), 10.0)
    running.clock.now = 41.0
    first = running.look()
    running.clock.now = 60.0
    assert running.look() == first
    running.evaluate(range(4, 10), 20.0)
    running.clock.now = 161.0
    again = running.look()
    assert again is not None
    assert again != first
    assert seconds_until(again) > 1.2 * seconds_until(first) * 30 / 36


def test_not_much_of_the_time_goes_into_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = iter([0.0, 3.0])
    running.evaluate(range(4), 10.0)
    running.clock.now = 41.0
    with monkeypatch.context() as patch:
        patch.setattr(time, "process_time", lambda: next(spent))
        first = running.look()
    running.evaluate(range(4, 8), 10.0)
    running.clock.now = 41.0 + 149.0
    assert running.look() == first
    running.clock.now = 41.0 + 151.0
    assert running.look() != first


def test_the_time_between_evaluations_counts(running: Running) -> None:
    """A job that spends half of its time otherwise needs twice as long."""
    running.evaluate(range(4), 10.0)
    running.clock.now = 80.0
    end = running.look()
    assert seconds_until(end) == pytest.approx(2 * 36 * 10, rel=0.1)


def test_what_is_damaged_does_not_end_a_run(running: Running) -> None:
    """The speed up to now is known all the same."""
    running.evaluate(range(4), 10.0)
    running.round.space.write_bytes(b"")
    running.clock.now = 40.0
    end = running.look()
    assert end is not None
    assert not end.fits
    assert seconds_until(end) == pytest.approx(360)


def test_what_was_expected_is_forgotten_at_the_end(running: Running) -> None:
    running.evaluate(range(4), 10.0)
    running.clock.now = 41.0
    running.look()
    running.ends.forget()
    assert not running.round.expected_end.exists()


def test_the_efficiency_is_that_of_all_times_and_varies_as_they_do() -> None:
    assert efficiency_of([]) == (1.0, 1.0, 1.0)
    assert efficiency_of([(10.0, 20.0), (30.0, 30.0)]) == (0.8, 0.5, 1.0)
    assert efficiency_of([(5.0, 20.0)]) == (0.25, 0.25, 0.5)
    # Of a worker that was not seen, and of a clock that was set back.
    assert efficiency_of([(90.0, 20.0), (0.0, -1.0)]) == (1.0, 1.0, 1.0)


def test_the_speed_of_all_the_time_and_of_late_make_an_interval() -> None:
    end = by_speed([(0.0, 0), (50.0, 80), (100.0, 100)], 140, now=1000.0)
    assert end is not None
    assert end.end == 1000 + 40 / 0.4
    assert end.earliest == 1000 + 0.9 * 40
    assert end.latest == pytest.approx(1000 + 1.1 * 100)


@pytest.mark.parametrize(
    ("seen", "total"), [([(0.0, 4), (9.0, 4)], 9), ([(0.0, 0), (9.0, 9)], 9)]
)
def test_without_progress_or_rest_no_speed_tells_an_end(
    seen: list[tuple[float, int]], total: int
) -> None:
    assert by_speed(seen, total) is None


GATED = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(x=range(60))
max_jobs = 1


def execute(x):
    if x < 6:
        time.sleep(0.5)
    while x == 6 and not Path("go-on").exists():
        time.sleep(0.01)
    return {"y": x}
"""


@pytest.mark.slow
def test_a_run_tells_when_it_will_be_done(project: Project) -> None:
    project.write(GATED)
    process = project.start("psyrun.cli", "run", "a")
    round_ = Round(project.work() / "round-1")
    wait_until(lambda: round_.expected_end.exists())
    table = project.psy("status", "a").stdout
    assert "done at about" in table
    (project.folder / "go-on").touch()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert not round_.expected_end.exists()
    assert "done at about" not in project.psy("status", "a").stdout
