"""What psyrun relies on in a scheduler, as tests."""

# The names of the tests say what they are about.
# ruff: noqa: D102

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from psyrun.errors import JobError, SchedulerError
from psyrun.scheduler import Cause, JobArray, JobId, Scheduler

_STATUSES = {"Q", "*Q", "R", "Z", "D"}
_WORDS = ["a b", "$HOME", "'\"", "%a %%", "ä", "*", ""]


class SchedulerContract:
    """What psyrun relies on in a `psyrun.scheduler.Scheduler`.

    Subclasses set `kind`, or override `scheduler`. The tests submit short
    jobs for real and write to pytest's `tmp_path`, which all machines of the
    queue have to see.

    Attributes
    ----------
    kind : type of Scheduler
        The scheduler to test; made with a work folder.
    scheduler_args : mapping of str to object
        Arguments for the jobs.
    goes_on : bool
        Whether `submit` returns before the job has ended.
    unknown_id : int or str
        A job that the queue has never had.
    patience : float
        Seconds within which a short job ends.
    """

    kind: ClassVar[type[Scheduler]]
    scheduler_args: ClassVar[Mapping[str, Any]] = {}
    goes_on: ClassVar[bool] = True
    unknown_id: ClassVar[JobId] = "999999"
    patience: ClassVar[float] = 60.0

    def scheduler(self, folder: Path) -> Scheduler:
        """Return the scheduler to test.

        Parameters
        ----------
        folder : Path
            Work folder.

        Returns
        -------
        Scheduler
            A new one.
        """
        make: Callable[..., Scheduler] = self.kind
        return make(folder / "work") if self.goes_on else make()

    # What jobs do.

    def test_a_job_runs_its_command(self, tmp_path: Path) -> None:
        output = self._run(tmp_path, "print('it ran')")
        assert "it ran\n" in output

    def test_standard_error_is_in_the_output(self, tmp_path: Path) -> None:
        output = self._run(tmp_path, "import sys; print('problem', file=sys.stderr)")
        assert "problem\n" in output

    def test_arguments_arrive_as_they_are(self, tmp_path: Path) -> None:
        code = "import sys, json; print(json.dumps(sys.argv[1:]))"
        output = self._run(tmp_path, code, *_WORDS)
        assert json.dumps(_WORDS) in output

    def test_any_path_takes_the_output(self, tmp_path: Path) -> None:
        folder = tmp_path / "a b" / "100%a $x 'y'"
        folder.mkdir(parents=True)
        assert "it ran\n" in self._run(folder, "print('it ran')")

    def test_a_job_runs_where_it_was_submitted(self, tmp_path: Path) -> None:
        output = self._run(tmp_path, "import os; print(os.getcwd())")
        assert f"{Path.cwd()}\n" in output

    # What is told about jobs.

    def test_jobs_have_ids_of_their_own(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        jobs = [self._submit(scheduler, tmp_path, "") for _ in range(2)]
        assert jobs[0] != jobs[1]
        self._await_end(scheduler, *jobs)

    def test_a_living_job_has_a_status(self, tmp_path: Path) -> None:
        if not self.goes_on:
            return
        scheduler = self.scheduler(tmp_path)
        job = self._submit(scheduler, tmp_path, "import time; time.sleep(600)")
        try:
            status = scheduler.get_status(job)
            assert status is not None
            assert status.id == job
            assert status.status in _STATUSES - {"D"}
            assert status.name == "contract:job"
            assert job in scheduler.get_jobs()
        finally:
            scheduler.kill(job)

    def test_a_job_that_ended_is_not_listed(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        job = self._submit(scheduler, tmp_path, "")
        self._await_end(scheduler, job)
        assert job not in scheduler.get_jobs()

    def test_an_unknown_job_has_no_status(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        assert scheduler.get_status(self.unknown_id) is None
        assert scheduler.get_statuses([self.unknown_id]) == {}
        assert scheduler.get_statuses([]) == {}
        assert scheduler.get_usages([self.unknown_id]) == {}

    def test_another_scheduler_knows_the_job(self, tmp_path: Path) -> None:
        if not self.goes_on:
            return
        job = self._submit(
            self.scheduler(tmp_path), tmp_path, "import time; time.sleep(600)"
        )
        other = self.scheduler(tmp_path)
        assert job in other.get_jobs()
        other.kill(job)
        self._await_end(other, job)

    def test_a_job_waits_for_others(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        mark = tmp_path / "mark"
        code = f"import time; time.sleep(1); open({str(mark)!r}, 'w').close()"
        first = self._submit(scheduler, tmp_path, code)
        look = f"import os; print('first', os.path.exists({str(mark)!r}))"
        assert "first True" in self._run(tmp_path, look, depends_on=[first])

    # Endings.

    def test_a_killed_job_ends(self, tmp_path: Path) -> None:
        if not self.goes_on:
            return
        scheduler = self.scheduler(tmp_path)
        mark = tmp_path / "mark"
        code = f"import time; time.sleep(4); open({str(mark)!r}, 'w').close()"
        job = self._submit(scheduler, tmp_path, code)
        scheduler.kill(job)
        self._await_end(scheduler, job)
        time.sleep(4.5)
        assert not mark.exists()
        ending = scheduler.get_endings([job]).get(job)
        assert ending is None or ending.cause is Cause.CANCELLED

    def test_a_job_that_ended_can_be_killed(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        job = self._submit(scheduler, tmp_path, "")
        self._await_end(scheduler, job)
        scheduler.kill(job)
        scheduler.kill_all([job])
        scheduler.kill_all([])

    def test_the_ending_of_a_failed_job_is_known_or_left_out(
        self, tmp_path: Path
    ) -> None:
        scheduler = self.scheduler(tmp_path)
        try:
            job = self._submit(scheduler, tmp_path, "raise SystemExit(3)")
        except JobError:
            assert not self.goes_on
            return
        self._await_end(scheduler, job)
        ending = scheduler.get_endings([job, self.unknown_id]).get(job)
        assert ending is None or ending[::2] == (Cause.FAILED, 3)

    # Arrays.

    def test_each_job_of_an_array_runs_once(self, tmp_path: Path) -> None:
        scheduler, array = self.scheduler(tmp_path), self._array(tmp_path, 4)
        jobs = scheduler.submit_array(array)
        assert len(set(jobs)) == 4
        self._await_end(scheduler, *jobs)
        for position in range(4):
            assert self._waited(array.output(position), f"at {position}\n") == 1

    def test_a_submitted_array_is_found_again(self, tmp_path: Path) -> None:
        scheduler, array = self.scheduler(tmp_path), self._array(tmp_path, 3)
        jobs = scheduler.submit_array(array)
        assert self.scheduler(tmp_path).find(array) == dict(enumerate(jobs))
        self._await_end(scheduler, *jobs)

    def test_an_array_that_was_not_submitted_is_not_found(self, tmp_path: Path) -> None:
        assert self.scheduler(tmp_path).find(self._array(tmp_path, 3)) == {}

    def test_an_array_is_killed(self, tmp_path: Path) -> None:
        if not self.goes_on:
            return
        scheduler = self.scheduler(tmp_path)
        jobs = scheduler.submit_array(self._array(tmp_path, 3, "time.sleep(600)"))
        statuses = scheduler.get_statuses([*jobs, self.unknown_id])
        assert list(statuses) == list(jobs)
        assert all(status.id == job for job, status in statuses.items())
        scheduler.kill_all(jobs)
        self._await_end(scheduler, *jobs)

    def test_a_part_of_an_array_is_killed(self, tmp_path: Path) -> None:
        if not self.goes_on:
            return
        scheduler = self.scheduler(tmp_path)
        jobs = scheduler.submit_array(self._array(tmp_path, 3, "time.sleep(600)"))
        scheduler.kill_all([jobs[0], jobs[2]])
        self._await_end(scheduler, jobs[0], jobs[2])
        assert scheduler.get_statuses(jobs)[jobs[1]].status != "D"
        scheduler.kill_all(jobs)
        self._await_end(scheduler, *jobs)

    def test_the_size_of_arrays_is_a_number(self, tmp_path: Path) -> None:
        size = self.scheduler(tmp_path).max_array_size()
        assert size is None or size > 0

    # Arguments.

    def test_it_is_made_without_arguments(self, tmp_path: Path) -> None:
        assert isinstance(type(self.scheduler(tmp_path))(), Scheduler)

    def test_default_arguments_of_new_tasks_are_accepted(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        scheduler.validate(scheduler.USER_DEFAULT_ARGS, "a:split")

    def test_what_was_checked_passes_the_check(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        values = scheduler.validate(self.scheduler_args, "a:split")
        assert scheduler.validate(values, "a:split") == values
        assert scheduler.validate(json.loads(json.dumps(values)), "a:split") == values

    def test_functions_take_the_name_of_the_job(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        names: list[str] = []

        def noted(value: Any) -> Callable[[str], Any]:
            def of(name: str) -> Any:
                names.append(name)
                return value

            return of

        given = {key: noted(value) for key, value in self.scheduler_args.items()}
        values = scheduler.validate(given, "a:process:7")
        assert values == scheduler.validate(self.scheduler_args, "a:process:7")
        assert set(names) <= {"a:process:7"}

    def test_an_unknown_argument_is_an_error(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        if scheduler.OPTIONS is None:
            return
        given = {**self.scheduler_args, "no-such-argument": 1}
        try:
            scheduler.validate(given, "a:split")
        except SchedulerError as error:
            assert len(str(error).splitlines()) == 1
            assert "no-such-argument" in str(error)
        else:
            raise AssertionError("expected a SchedulerError")

    def test_resources_are_plain(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        values = scheduler.validate(self.scheduler_args, "a:split")
        for value in scheduler.resources(values).values():
            assert type(value) in (int, str)

    def test_arguments_that_were_raised_are_accepted(self, tmp_path: Path) -> None:
        scheduler = self.scheduler(tmp_path)
        values = scheduler.validate(self.scheduler_args, "a:split")
        for cause in (Cause.MEMORY, Cause.TIME):
            more = scheduler.raised(values, cause, 2)
            if more is not None:
                assert scheduler.validate(more, "a:split") != values

    # What the tests above do.

    def _submit(
        self,
        scheduler: Scheduler,
        folder: Path,
        code: str,
        *words: str,
        depends_on: Sequence[JobId] | None = None,
    ) -> JobId:
        return scheduler.submit(
            [sys.executable, "-c", code, *words],
            str(folder / "job.out"),
            name="contract:job",
            depends_on=depends_on,
            scheduler_args=self.scheduler_args,
        )

    def _run(
        self,
        folder: Path,
        code: str,
        *words: str,
        depends_on: Sequence[JobId] | None = None,
    ) -> str:
        scheduler = self.scheduler(folder)
        job = self._submit(scheduler, folder, code, *words, depends_on=depends_on)
        self._await_end(scheduler, job)
        self._waited(folder / "job.out", "\n")
        return (folder / "job.out").read_text(encoding="utf-8")

    def _array(self, folder: Path, size: int, code: str = "pass") -> JobArray:
        where = folder / "the %a array"
        where.mkdir()
        text = f"import sys, time; print('at', sys.argv[1], flush=True); {code}"
        return JobArray(
            args=(sys.executable, "-c", text),
            name="contract:process",
            names=tuple(f"contract:process:{i}" for i in range(size)),
            folder=where,
            scheduler_args=self.scheduler(folder).validate(self.scheduler_args, "a"),
            key=f"psyrun {uuid.uuid4().hex}",
        )

    def _await_end(self, scheduler: Scheduler, *jobs: JobId) -> None:
        deadline = time.monotonic() + self.patience
        while any(s.status != "D" for s in scheduler.get_statuses(jobs).values()):
            assert time.monotonic() < deadline, scheduler.get_statuses(jobs)
            time.sleep(0.2)

    def _waited(self, path: Path, text: str) -> int:
        """Count a text in a file that another machine may have written just now."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if path.exists() and text in path.read_text(encoding="utf-8"):
                break
            time.sleep(0.1)
        return path.read_text(encoding="utf-8").count(text) if path.exists() else 0
