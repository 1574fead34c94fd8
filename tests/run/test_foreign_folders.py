"""Copies, folders of others and other tasks: `psy clean` and `psy kill` leave them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from projects import COUNTED, Project, wait_until

from psyrun.queue.ledger import Intent, Ledger
from psyrun.scheduler.jobs import Cause, Ending
from psyrun.utils.process.identity import process_start
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import Lock, live_holder
from psyrun.workdir.origin import original_of

pytestmark = pytest.mark.slow

SLEEPING = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(x=[1, 2])
max_jobs = 1


def execute(x):
    Path("started").touch()
    time.sleep(1000)
    return {"y": x}
"""

QUEUE = """\
from pathlib import Path
from psyrun.scheduler import Scheduler

Path("imported").touch()


class Queue(Scheduler):
    def submit(self, args, output_filename, name=None, depends_on=(), **_):
        raise NotImplementedError

    def get_status(self, jobid):
        return None

    def get_jobs(self):
        return []

    def kill(self, jobid):
        Path("killed").touch()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")


@pytest.fixture
def project(tmp_path) -> Project:
    """A project with a result outside of the work folder, by an absolute path."""
    project = Project(tmp_path / "project")
    project.write(COUNTED + f"resultfile = '{tmp_path}/data.pkl'\n")
    project.psy("run", "-q")
    project.calls()
    return project


def copied(project: Project, how: str) -> Project:
    there = project.folder.with_name("copy")
    commands = {"cp": ["cp", "-r"], "cp -a": ["cp", "-a"], "python": []}
    if command := commands[how]:
        subprocess.run([*command, project.folder, there], check=True)
    else:
        shutil.copytree(project.folder, there)
    return Project(there)


@pytest.mark.parametrize("how", ["cp", "cp -a", "python"])
def test_cleaning_a_copy_leaves_the_original_whole(project, tmp_path, how):
    copy = copied(project, how)
    out = copy.psy("clean", "a").stdout
    assert f"{tmp_path}/data.pkl: kept, as it is the result of {project.work()}" in out
    assert not copy.work().exists()
    assert (tmp_path / "data.pkl").exists()
    project.psy("run")
    assert project.calls() == []


def test_cleaning_a_moved_project_removes_its_result(project, tmp_path):
    project.folder.rename(tmp_path / "moved")
    moved = Project(tmp_path / "moved")
    moved.psy("clean", "a")
    assert not (tmp_path / "data.pkl").exists()
    assert not moved.work().exists()


def test_cleaning_through_a_link_removes_all(project, tmp_path):
    (tmp_path / "link").symlink_to(project.folder)
    Project(tmp_path / "link").psy("clean", "a")
    assert not (tmp_path / "data.pkl").exists()


def test_a_copy_whose_original_is_gone_is_what_was_moved(project, tmp_path):
    copy = copied(project, "cp")
    shutil.rmtree(project.folder)
    assert original_of(TaskLayout(copy.work())) is None
    copy.psy("clean", "a")
    assert not (tmp_path / "data.pkl").exists()


def test_an_original_that_was_moved_is_known_from_the_copy_in_its_place(project):
    aside = project.folder.with_name("aside")
    project.folder.rename(aside)
    shutil.copytree(aside, project.folder)
    assert original_of(TaskLayout(Project(aside).work())) is None


def test_a_copy_does_not_overwrite_the_result_of_the_original(project, tmp_path):
    before = (tmp_path / "data.pkl").read_bytes()
    copy = copied(project, "cp")
    copy.edit("x**2", "x**3")
    for option in ("--continue", "--move-aside"):
        error = copy.psy("run", option, status=2).stderr
        assert f"is the result of {project.work()}" in error
    assert (tmp_path / "data.pkl").read_bytes() == before
    copy.edit(f"{tmp_path}/data.pkl", "own.pkl")
    copy.psy("run")
    assert (copy.folder / "own.pkl").exists()


@pytest.mark.parametrize("into", ["/etc/hostname", "other.txt", "../thesis.pkl"])
def test_a_path_in_a_record_is_not_followed(project, into):
    path = project.folder / into
    if not into.startswith("/etc"):
        path.write_text("mine")
    before = path.read_bytes()
    record = project.work() / "round-1/merged.json"
    text = json.loads(record.read_text())
    text.pop("#crc32", None)
    record.write_text(json.dumps({**text, "into": into}))
    out = project.psy("clean", "a").stdout
    assert f"{into}: kept, as it is not what psyrun wrote" in out
    assert path.read_bytes() == before


def test_a_result_that_was_edited_is_kept(project, tmp_path):
    (tmp_path / "data.pkl").write_text("edited")
    assert "kept" in project.psy("clean", "a").stdout
    assert (tmp_path / "data.pkl").read_text() == "edited"


@pytest.mark.parametrize("verb", ["clean", "kill"])
def test_a_task_of_another_folder_with_the_same_name_is_left(project, verb, tmp_path):
    other = project.folder / "other"
    other.mkdir()
    (other / "task_a.py").write_text(COUNTED)
    error = project.psy(verb, "--taskdir", "other", "a", status=2).stderr
    assert "psy-tasks/task_a.py, not of the task in other" in error
    assert (tmp_path / "data.pkl").exists()
    assert project.work().exists()


def test_what_a_removal_left_that_was_killed_at_its_end_is_removed(project):
    shutil.rmtree(project.work())
    project.work().mkdir()
    holder = replace(Holder.me(), started="0")
    (project.work() / "lock").write_text(json.dumps(asdict(holder)))
    project.psy("clean", "a")
    assert not project.work().exists()
    assert not list((project.folder / "psy-tasks/.psyrun").glob("*.json"))


KILLER = """\
import os, sys
from psyrun.run import clean
from psyrun.cli.main import main

left = int(sys.argv[1])
remove = clean._remove


def counted(path):
    global left
    if left == 0:
        os._exit(9)
    left -= 1
    remove(path)


clean._remove = counted
sys.exit(main(["clean", "a"]))
"""


@pytest.mark.parametrize("after", [0, 1, 3, 5, 100])
def test_nothing_is_left_when_a_removal_is_killed_and_repeated(
    project, tmp_path, after
):
    before = {"task_a.py", ".gitignore"}
    command = [sys.executable, "-c", KILLER, str(after)]
    subprocess.run(command, cwd=project.folder, check=False)
    project.psy("clean", "a")
    left = {p.name for p in (project.folder / "psy-tasks").rglob("*") if p.is_file()}
    assert left == before
    assert not project.work().exists()
    assert not (tmp_path / "data.pkl").exists()


@pytest.fixture
def sleeping(tmp_path):
    """A project with a run that does not end by itself."""
    project = Project(tmp_path / "project")
    project.write(SLEEPING)
    run = project.start("psyrun.cli", "run", "-q")
    wait_until((project.folder / "started").exists)
    yield project, run
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGTERM)
    run.communicate()


def test_killing_and_cleaning_a_copy_does_not_end_the_run_of_the_original(sleeping):
    project, run = sleeping
    copy = copied(project, "cp -a")
    assert "running" not in copy.psy("status", "a").stdout
    assert "this is a copy of" in copy.psy("attach", "a", status=2).stderr
    assert "nothing is running" in copy.psy("kill", "a").stdout
    copy.psy("clean", "a")
    assert not copy.work().exists()
    assert run.poll() is None
    assert live_holder(TaskLayout(project.work()).lock) is not None
    assert "stopped" in project.psy("kill", "a").stdout
    assert run.wait(30) == 130


def test_a_copy_of_a_running_project_can_be_run(sleeping):
    project, run = sleeping
    copy = copied(project, "cp")
    copy.edit("time.sleep(1000)", "pass")
    copy.psy("run")
    assert copy.result()["y"] == [1, 2]
    assert run.poll() is None


def test_a_lock_of_the_copy_itself_counts(project):
    copy = copied(project, "cp")
    with Lock(copy.work() / "lock", "task 'a'"):
        assert "is run by" in copy.psy("clean", "a", status=2).stderr
    assert copy.work().exists()


def test_jobs_of_a_copied_ledger_are_those_of_the_original(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    layout = TaskLayout.of("psy-work", "a")
    one = ("a:process:0",)
    slurm = "psyrun.scheduler.slurm:Slurm"
    Ledger(layout).begin(Intent(one[0], one, one, ("true",), 1, slurm, {}))
    copy = copied(project, "cp -a")
    assert Ledger(layout).batches()
    monkeypatch.chdir(copy.folder)
    assert Ledger(layout).batches() == []


def with_queue(project: Project, monkeypatch, *, ended: bool) -> Path:
    """Record a job in a queue that a module of the project defines."""
    (project.folder / "psy-tasks/my_queue.py").write_text(QUEUE)
    monkeypatch.chdir(project.folder)
    one = ("a:process:0",)
    intent = Intent(one[0], one, one, ("true",), 1, "my_queue:Queue", {})
    batch = Ledger(TaskLayout.of("psy-work", "a")).begin(intent)
    batch.note_ids({0: "7"})
    if ended:
        batch.array.output(0).write_text("psyrun: start here 1\npsyrun: exit 0 2\n")
    return project.folder / "imported"


def test_a_task_in_a_queue_of_the_project_is_cleaned_without_importing_it(
    project, monkeypatch
):
    imported = with_queue(project, monkeypatch, ended=True)
    project.psy("clean", "a")
    assert not imported.exists()
    assert not project.work().exists()


def test_a_job_that_may_run_there_keeps_it_until_it_is_killed(project, monkeypatch):
    imported = with_queue(project, monkeypatch, ended=False)
    error = project.psy("clean", "a", status=2).stderr
    assert "psy kill a" in error
    assert "queue of 'my_queue.Queue'" in error
    assert not imported.exists()
    project.psy("kill", "a")
    assert imported.exists()
    project.psy("clean", "a")
    assert not project.work().exists()


@pytest.mark.parametrize("place", ["ledger", "module", "folder"])
def test_a_queue_that_others_may_have_written_is_not_imported(
    project, monkeypatch, place
):
    imported = with_queue(project, monkeypatch, ended=False)
    (batch,) = Ledger(TaskLayout.of("psy-work", "a")).batches()
    paths = {
        "ledger": batch.folder / "array.json",
        "module": project.folder / "psy-tasks/my_queue.py",
        "folder": project.work(),
    }
    paths[place].chmod(0o777)
    error = project.psy("kill", "a", status=2).stderr
    assert "can be written to by everybody" in error
    assert "psy kill --trust a" in error
    assert error.count("\n") == 1
    assert not imported.exists()
    project.psy("kill", "--trust", "a")
    assert imported.exists()


@pytest.mark.parametrize(("answer", "status"), [(b"n\n", 2), (b"yes\n", 0)])
def test_on_a_terminal_one_is_asked(project, monkeypatch, answer, status):
    imported = with_queue(project, monkeypatch, ended=False)
    project.work().chmod(0o777)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "psyrun.cli", "kill", "a"])
    os.write(terminal, answer)
    shown = b""
    # On Linux, it is an error to read from a terminal that nobody has open.
    with suppress(OSError):
        while data := os.read(terminal, 4096):
            shown += data
    os.close(terminal)
    assert b"Trust it now?" in shown
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
    assert imported.exists() == (status == 0)


@as_root
def test_a_queue_in_a_folder_of_another_user_is_not_imported(project, monkeypatch):
    imported = with_queue(project, monkeypatch, ended=False)
    for path in [project.folder, *project.folder.rglob("*")]:
        os.chown(path, 12345, 12345)
    error = project.psy("kill", "a", status=2).stderr
    assert "belongs to user 12345" in error
    assert not imported.exists()


def test_what_could_be_an_option_is_no_id(project, monkeypatch):
    with_queue(project, monkeypatch, ended=False)
    (batch,) = Ledger(TaskLayout.of("psy-work", "a")).batches()
    (batch.folder / "ids.json").write_text('{"0": "--user=me"}')
    assert "is damaged" in project.psy("kill", "a", status=2).stderr
    assert not (project.folder / "killed").exists()


AS_OTHER = """\
import os, sys, tempfile
from psyrun.cli.main import main

# Python itself may be hidden from other users: all that is needed is imported before.
with tempfile.TemporaryDirectory() as folder:
    here = os.getcwd()
    os.chdir(folder)
    main([sys.argv[1], "--all"])
    os.mkdir("psy-tasks")
    open("psy-tasks/task_a.py", "w").close()
    os.makedirs("psy-work/a")
    main(sys.argv[1:])
    os.chdir(here)
import psyrun.run.status, grp, pwd, psutil
os.setgroups([])
os.setgid(12345)
os.setuid(12345)
print("as other", file=sys.stderr)
sys.exit(main(sys.argv[1:]))
"""


@as_root
def test_another_user_is_told_to_ask_and_stops_nothing():
    # The folder of other tests is hidden from other users.
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        project.write(SLEEPING)
        run = project.start("psyrun.cli", "run", "-q")
        wait_until((project.folder / "started").exists)
        for path in [project.folder, *project.folder.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)
        command = [sys.executable, "-c", AS_OTHER, "kill", "a"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stderr
        assert "of user 'root'. Ask them to stop it" in done.stderr
        assert not (project.work() / "stop").exists()
        assert run.poll() is None
        project.psy("kill", "a")
        run.communicate()


@as_root
def test_a_lock_of_somebody_else_that_names_ones_own_process_is_not_followed(project):
    with subprocess.Popen(["sleep", "1000"]) as process:
        lock = project.work() / "lock"
        started = process_start(process.pid)
        holder = replace(Holder.me(), pid=process.pid, started=started)
        lock.write_text(json.dumps(asdict(holder)))
        os.chown(lock, 12345, 12345)
        error = project.psy("kill", "a", status=2).stderr
        assert "nothing was stopped" in error
        assert process.poll() is None
        process.kill()


def test_control_characters_of_records_do_not_reach_the_terminal(project, monkeypatch):
    red = "red\x1b[31m"
    monkeypatch.chdir(project.folder)
    names = (f"a:process:0 {red}",)
    slurm = "psyrun.scheduler.slurm:Slurm"
    intent = Intent(names[0], names, ("0.pkl",), ("true",), 1, slurm, {})
    batch = Ledger(TaskLayout.of("psy-work", "a")).begin(intent)
    batch.note_ids({0: "1"})
    batch.note_ending(0, Ending(Cause.MEMORY, red, 1))
    record = json.loads((project.work() / "run.json").read_text())
    record.pop("#crc32", None)
    (project.work() / "run.json").write_text(json.dumps({**record, "summary": red}))
    shown = [project.psy("status", "-v", "a"), project.psy("attach", "a")]
    for result in shown:
        assert "\x1b" not in result.stdout + result.stderr
        assert "red\\x1b" in result.stdout + result.stderr
