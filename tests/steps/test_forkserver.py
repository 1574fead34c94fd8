"""Jobs that a warm process runs: real servers, real clients."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest
from accepting import accept_plan
from projects import Project, descendants, wait_until

from psyrun.planning.prepare import TaskRun
from psyrun.run.forkservers import ForkServers
from psyrun.steps.forkclient import address, server_address
from psyrun.utils.environment import FOLDER_VARIABLE
from psyrun.workdir.plan import DEFAULT_PYTHON

TASK = """\
import time
from pathlib import Path
from psyrun import Param

with Path("imports").open("a") as file:
    file.write("x")
pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    while Path("sleep").exists():
        time.sleep(0.01)
    if Path("fail").exists():
        raise ValueError("no good")
    return {"y": x**2}
"""
LATE = """\
from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2


def execute(x):
    import late

    return {"y": late.Late() if x < 3 else x}
"""
AT_EXIT = """\
import atexit
import os
from pathlib import Path

from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2


def note():
    with Path(__file__).with_name("ended").open("a") as file:
        file.write(f"{os.getpid()} ")


os.register_at_fork(after_in_child=lambda: atexit.register(note))


def execute(x):
    return {"y": x}
"""
ROUND = ("psy-work/a", "1")
SPACE = "psy-work/a/round-1/space.pkl"


class Served:
    """A project whose task has a plan and a server.

    Parameters
    ----------
    project : Project
        The project.
    task : TaskRun
        Its task.
    """

    def __init__(self, project: Project, task: TaskRun) -> None:
        self.project = project
        self.folder = project.folder
        before = set(descendants(os.getpid()))
        self.servers = ForkServers(
            [(task.layout.folder, task.plan.taskfile, DEFAULT_PYTHON)]
        )
        (self.server,) = set(descendants(os.getpid())) - before

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a client."""
        return subprocess.Popen(
            [sys.executable, "-m", "psyrun.steps", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.servers.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ask(self, *arguments: str, status: int = 0) -> str:
        """Have a step run and return what it printed."""
        client = self.start(*arguments)
        output, _ = client.communicate(timeout=30)
        assert client.returncode == status, output
        return output

    def start_sleeping(self) -> subprocess.Popen[str]:
        """Start a client whose job does not end."""
        self.ask("split", *ROUND)
        (self.folder / "sleep").touch()
        client = self.start("process", *ROUND, "0")
        wait_until((self.folder / "calls").exists, 10)
        return client

    def jobs(self) -> list[int]:
        return descendants(self.server)

    def connect(self) -> socket.socket:
        """Connect to the server without asking for anything."""
        folder = self.servers.environment[FOLDER_VARIABLE].partition(":")[2]
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address(folder, str(self.folder / "psy-work/a")))
        return connection


@contextmanager
def serving(project: Project) -> Iterator[Served]:
    """Accept the plan of the task of a project, and start its server."""
    with chdir(project.folder):
        task = accept_plan(Path("psy-tasks/task_a.py"))
        (project.folder / "imports").unlink(missing_ok=True)
        served = Served(project, task)
        try:
            yield served
        finally:
            served.servers.stop()
            task.release()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A task with a server, in a folder whose name has blanks."""
    project = Project(tmp_path / "my project")
    project.write(TASK)
    with serving(project) as served:
        yield served


def open_files(pid: int) -> set[str]:
    return {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def state(pid: int) -> str:
    """Return the letter for the state of a process, see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def finish(client: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = client.communicate(timeout=30)
    return client.returncode, output


def test_jobs_run_and_the_task_is_imported_once(served: Served) -> None:
    assert "4 assignments" in served.ask("split", *ROUND)
    for block in "01":
        served.ask("process", *ROUND, block)
    assert "4 rows written" in served.ask("merge", *ROUND)
    assert served.project.result() == {"x": [1, 2, 3, 4], "y": [1, 4, 9, 16]}
    assert (served.folder / "imports").read_text() == "x"


def test_jobs_run_side_by_side(served: Served) -> None:
    served.ask("split", *ROUND)
    (served.folder / "sleep").touch()
    clients = [served.start("process", *ROUND, block) for block in "01"]
    wait_until(lambda: len(served.jobs()) == 4, 10)
    (served.folder / "sleep").unlink()
    assert [finish(client)[0] for client in clients] == [0, 0]


def test_a_failed_assignment_gives_exit_status_1(served: Served) -> None:
    served.ask("split", *ROUND)
    (served.folder / "fail").touch()
    assert "ValueError: no good" in served.ask("process", *ROUND, "0", status=1)
    (served.folder / "fail").unlink()
    served.ask("process", *ROUND, "0")


def test_what_the_user_must_change_gives_exit_status_2(served: Served) -> None:
    output = served.ask("split", "psy-work/a", "9", status=2)
    assert "another plan" in output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_ended_by_a_signal_gives_the_exit_status_of_a_shell(
    served: Served, number: int
) -> None:
    client = served.start_sleeping()
    job = served.jobs()[0]
    os.kill(job, number)
    assert finish(client)[0] == 128 + number
    wait_until(lambda: not served.jobs(), 10)


def test_a_killed_client_takes_its_job_along(served: Served) -> None:
    client = served.start_sleeping()
    jobs = served.jobs()
    assert len(jobs) == 2
    client.kill()
    client.communicate()
    wait_until(lambda: all(is_gone(pid) for pid in jobs), 10)
    (served.folder / "sleep").unlink()
    served.ask("process", *ROUND, "0")


def test_the_end_of_the_controller_ends_everything(served: Served) -> None:
    client = served.start_sleeping()
    jobs = served.jobs()
    served.servers.stop()
    status, output = finish(client)
    assert (status, output) == (70, "the run that this job belongs to has ended\n")
    assert is_gone(served.server)
    wait_until(lambda: all(is_gone(pid) for pid in jobs), 10)


def test_a_job_whose_server_dies_is_told(served: Served) -> None:
    client = served.start_sleeping()
    jobs = served.jobs()
    os.kill(served.server, signal.SIGKILL)
    status, output = finish(client)
    assert status == 70 and "has ended" in output
    wait_until(lambda: all(is_gone(pid) for pid in jobs), 10)


def test_without_a_server_no_job_runs(served: Served) -> None:
    os.kill(served.server, signal.SIGKILL)
    wait_until(
        lambda: Path(f"/proc/{served.server}/stat").read_text().split()[2] == "Z"
    )
    assert "refused" in served.ask("split", *ROUND, status=70)
    assert not (served.folder / SPACE).exists()


def test_what_is_no_request_does_no_harm(served: Served) -> None:
    for noise in [b"", b"\0", b"\xff" * 4, b"\5\0\0\0text"]:
        with served.connect() as connection:
            connection.sendall(noise)
    served.ask("split", *ROUND)


def test_a_client_that_dies_as_its_job_ends_does_no_harm(served: Served) -> None:
    client = served.start_sleeping()
    # The server waits for this request, and sees two ends at once after it.
    with served.connect():
        time.sleep(0.2)
        job, worker = served.jobs()
        (served.folder / "sleep").unlink()
        wait_until(lambda: is_gone(worker) and state(job) == "S", 10)
        client.kill()
        client.communicate()
    for block in "01":
        served.ask("process", *ROUND, block)


def test_a_copy_goes_on_with_the_next_block(served: Served) -> None:
    served.ask("split", *ROUND)
    copies = []
    for block in "01":
        served.ask("process", *ROUND, block)
        copies.append(served.jobs())
    assert len(copies[0]) == 1
    assert copies[0] == copies[1]


def test_a_copy_that_fails_is_not_used_again(served: Served) -> None:
    served.ask("split", *ROUND)
    (served.folder / "fail").touch()
    served.ask("process", *ROUND, "0", status=1)
    assert served.jobs() == []
    (served.folder / "fail").unlink()
    served.ask("process", *ROUND, "1")
    (copy,) = served.jobs()
    os.kill(copy, signal.SIGKILL)
    wait_until(lambda: is_gone(copy), 10)
    served.ask("process", *ROUND, "0")


def test_a_copy_that_imported_something_is_not_used_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    # Whoever reads the row imports the module of its class.
    (project.folder / "late.py").write_text("class Late:\n    pass\n")
    project.write(LATE)
    with serving(project) as served:
        served.ask("split", *ROUND)
        served.ask("process", *ROUND, "0")
        assert served.jobs() == []
        served.ask("process", *ROUND, "1")
        assert len(served.jobs()) == 1


def test_a_copy_does_at_its_end_what_python_does(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(AT_EXIT)
    with serving(project) as served:
        served.ask("split", *ROUND)
        for block in "01":
            served.ask("process", *ROUND, block)
        (copy,) = served.jobs()
    assert str(copy) in (project.folder / "psy-tasks/ended").read_text().split()


def test_files_of_a_job_are_closed_after_it(served: Served) -> None:
    served.ask("split", *ROUND)
    served.ask("process", *ROUND, "0")
    (copy,) = served.jobs()
    before = open_files(copy)
    served.ask("process", *ROUND, "1")
    assert open_files(copy) == before


def test_an_unexpected_error_is_seen_in_the_log(served: Served) -> None:
    served.ask("split", *ROUND)
    assert "ValueError" in served.ask("process", *ROUND, "no number", status=1)


def test_a_server_that_still_imports_its_task_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "task_slow.py"
    path.write_text("import time; time.sleep(8)")
    servers = ForkServers([(tmp_path, str(path), DEFAULT_PYTHON)])
    time.sleep(0.5)
    start = time.monotonic()
    servers.stop()
    assert time.monotonic() - start < 6


CONTROLLER = f"""\
import time
from pathlib import Path
from psyrun.run.forkservers import ForkServers

servers = ForkServers([(Path("work"), "task_a.py", {DEFAULT_PYTHON!r})])
time.sleep(1000)
"""
ENDLESS_IMPORT = """\
import os
import subprocess
import time
from pathlib import Path

child = subprocess.Popen(["sleep", "1000"])
Path("pids.new").write_text(f"{os.getpid()} {child.pid}")
Path("pids.new").rename("pids")
time.sleep(1000)
"""


def test_a_server_whose_import_hangs_ends_with_its_controller(tmp_path: Path) -> None:
    (tmp_path / "task_a.py").write_text(ENDLESS_IMPORT)
    command = [sys.executable, "-c", CONTROLLER]
    with subprocess.Popen(command, cwd=tmp_path) as controller:
        wait_until((tmp_path / "pids").exists)
        controller.kill()
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    wait_until(lambda: all(is_gone(pid) for pid in pids))


def test_a_task_that_cannot_be_imported_is_told_by_its_job(served: Served) -> None:
    served.servers.stop()
    served.project.write("raise ValueError('broken')")
    broken = ForkServers([(Path("psy-work/a"), "psy-tasks/task_a.py", DEFAULT_PYTHON)])
    served.servers = broken
    assert "broken" in served.ask("split", *ROUND, status=2)


def test_a_job_of_no_run_is_a_process_of_its_own(served: Served) -> None:
    served.servers.environment = {FOLDER_VARIABLE: ""}
    served.ask("split", *ROUND)
    assert (served.folder / "imports").read_text().count("x") >= 1


def test_a_job_of_a_task_without_server_is_a_process_of_its_own(
    served: Served,
) -> None:
    _, _, folder = served.servers.environment[FOLDER_VARIABLE].partition(":")
    Path(address(folder, str(served.folder / "psy-work/a"))).unlink()
    served.ask("split", *ROUND)
    assert (served.folder / SPACE).exists()


def test_a_task_for_a_queue_also_runs_here_with_plain_snakemake(
    tmp_path: Path,
) -> None:
    project = Project(tmp_path)
    project.write(TASK.replace("import Param", "import Param, Slurm"))
    project.write(project.taskfile().read_text() + "\n\nscheduler = Slurm()\n")
    project.snakemake()
    assert project.calls() == [1, 2, 3, 4]


def test_a_server_is_for_jobs_of_its_own_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, "elsewhere:/tmp/psyrun")
    assert server_address(["split", *ROUND]) is None
    monkeypatch.setenv(FOLDER_VARIABLE, f"{socket.gethostname()}:/tmp/gone")
    found = server_address(["split", *ROUND])
    assert found == address("/tmp/gone", "psy-work/a")


def test_addresses_are_short_however_long_the_path() -> None:
    assert len(address("/tmp/psyrun-12345678", "folder/" * 100)) < 100


def test_sockets_have_room_where_temporary_files_are_far_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    servers = ForkServers([])
    try:
        folder = servers.environment[FOLDER_VARIABLE].partition(":")[2]
        assert len(address(folder, "psy-work/a")) < 104
        assert list(deep.iterdir()) == []
    finally:
        servers.stop()
    assert not Path(folder).exists()


KILLED = """\
import os, signal
from psyrun.run.forkservers import ForkServers

ForkServers([])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_of_a_run_that_was_killed_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(tempfile.mkdtemp(dir="/tmp", prefix="t"))
    try:
        environment = {**os.environ, "TMPDIR": str(place)}
        subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
        (left,) = place.iterdir()
        (place / "psyrun-of-others").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(place))
        ForkServers([]).stop()
        assert [path.name for path in place.iterdir()] == ["psyrun-of-others"]
        assert not left.exists()
    finally:
        shutil.rmtree(place)
