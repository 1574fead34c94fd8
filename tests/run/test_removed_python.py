"""The virtual environment of a run is removed, or breaks, while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import Environment
from projects import TIMEOUT, Project, wait_until
from slurm_stand_in import SlurmStandIn

pytestmark = pytest.mark.slow

TASK = """\
import time
from pathlib import Path
from psyrun import Param{imports}

pspace = Param(x=range(4))
max_jobs = 2
{scheduler}

def execute(x):
    Path(f"begun-{{x}}").touch()
    while {waits} and not Path("go").exists():
        time.sleep(0.05)
    return {{"y": x**2}}
"""
QUEUED = TASK.format(imports=", Slurm", scheduler="scheduler = Slurm()\n", waits=False)
LOCAL = TASK.format(imports="", scheduler="", waits=True)

CAUSES: list[tuple[Callable[[Environment], None], str]] = [
    (Environment.remove, "python3: is gone. Make its virtual environment again"),
    (Environment.lose_base, "links to /nothing/bin/python3.11. Make its virtual"),
    (Environment.uninstall_psyrun, "cannot import psyrun. Install it there again"),
]
NAMES = ["removed", "base removed", "psyrun removed"]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "venv")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def queue(tmp_path: Path) -> SlurmStandIn:
    return SlurmStandIn(tmp_path / "queue")


def let_go(queue: SlurmStandIn) -> None:
    """Run the jobs that were held, and wait for their ends."""
    threads = [threading.Thread(target=queue.run, args=(j,)) for j in queue.ids("PD")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(("breaks", "said"), CAUSES, ids=NAMES)
def test_queued_jobs_say_once_that_their_python_is_gone(
    environment: Environment,
    project: Project,
    queue: SlurmStandIn,
    breaks: Callable[[Environment], None],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue.environment()
    # Without a Python of the tests' own, which has psyrun, too.
    monkeypatch.setenv("PATH", f"{queue.folder}/bin:/usr/bin:/bin")
    project.write(QUEUED)
    queue.hold("a:process")
    run = environment.start(project.folder, "run")
    wait_until(lambda: len(queue.ids("PD")) == 2)
    breaks(environment)
    let_go(queue)
    printed, _ = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 2
    lines = [line for line in printed.splitlines() if said in line]
    assert len(lines) == 1
    assert f" and 1 other job did not start: {environment.python}: " in lines[0]
    assert "Traceback" not in printed
    (status,) = [li for li in project.psy("status").stdout.splitlines() if said in li]
    assert "jobs did not start: " in status
    assert all(said in log.read_text() for log in project.work().glob("*process*.log"))
    queue.hold("nothing")
    environment.make()
    environment.psy(project.folder, "run")
    assert project.result()["y"] == [0, 1, 4, 9]
    assert "did not start" not in project.psy("status").stdout


@pytest.mark.parametrize(("breaks", "said"), CAUSES, ids=NAMES)
def test_what_a_run_has_evaluated_is_kept_if_its_python_goes(
    environment: Environment,
    project: Project,
    breaks: Callable[[Environment], None],
    said: str,
) -> None:
    project.write(LOCAL)
    run = environment.start(project.folder, "run")
    wait_until(lambda: list(project.folder.glob("begun-*")))
    breaks(environment)
    (project.folder / "go").touch()
    printed, _ = run.communicate(timeout=TIMEOUT)
    assert "Traceback" not in printed
    # What had been imported by then may suffice for the rest of the run.
    assert run.returncode == 0 or printed.count(said) == 1
    environment.make()
    before = {path: path.stat().st_mtime for path in project.folder.glob("begun-*")}
    environment.psy(project.folder, "run")
    assert project.result()["y"] == [0, 1, 4, 9]
    again = [path for path, time in before.items() if path.stat().st_mtime != time]
    assert not again


@pytest.mark.parametrize(("breaks", "said"), CAUSES, ids=NAMES)
def test_a_controller_in_a_queue_whose_python_is_gone_is_told_of(
    environment: Environment,
    project: Project,
    queue: SlurmStandIn,
    breaks: Callable[[Environment], None],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue.environment()
    monkeypatch.setenv("PATH", f"{queue.folder}/bin:/usr/bin:/bin")
    project.write(QUEUED)
    queue.hold("a:controller")
    environment.psy(project.folder, "run", "--detach=job")
    assert "the controller waits" in project.psy("status").stdout
    breaks(environment)
    let_go(queue)
    # Another environment, whose own Python is there.
    cause = f"its controller ended ({environment.python}: "
    status = project.psy("status").stdout
    assert cause in status
    assert said.partition(".")[0] in status
    told = project.psy("attach", "a", status=1).stderr
    assert said in told
    assert "'psy run a'" in told
    project.psy("run", "a")
    assert project.result()["y"] == [0, 1, 4, 9]
