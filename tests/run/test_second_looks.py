"""Situations in which a first look at what is on disk would mislead."""

import json
import os
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from projects import Project, wait_until

from psyrun.workdir.holder import Holder

pytestmark = pytest.mark.slow

ALL = [1, 2, 3, 4]


def test_a_copied_project_evaluates_nothing(project) -> None:
    # Snakemake compares contents of small files only.
    project.edit("Param(x=[1, 2, 3, 4])", "Param(x=[1, 2, 3, 4], pad=PAD)")
    project.edit("pspace =", "PAD = [str(i) * 300_000 for i in range(4)]\npspace =")
    project.edit("execute(x)", "execute(x, pad)")
    project.edit("max_jobs = 2", "max_jobs = 2\nexclude_from_result = ['pad']")
    project.psy("run")
    project.calls()
    (project.work() / "round-1/space.pkl").touch()
    (project.work() / "result.pkl").unlink()
    project.psy("run")
    assert project.calls() == []


def test_a_merge_that_fails_after_its_record_is_done_again(project) -> None:
    project.psy("run")
    project.edit("x**2", "x**3")
    project.edit("from pathlib", HOLDING_MERGE + "from pathlib")
    process = project.start("psyrun.cli", "run")
    wait_until(lambda: (project.folder / "merging").exists())
    pid = int((project.folder / "merging").read_text())
    os.kill(pid, 9)
    process.communicate(timeout=60)
    (project.folder / "held").touch()
    project.psy("run")
    assert project.result()["y"] == [1, 8, 27, 64]


# Stops the merge once its record is there, the first time.
HOLDING_MERGE = """\
import os
import time
import psyrun.steps.merge as merging
from pathlib import Path

clean_up = merging._clean_up


def hold(job):
    Path("merging").write_text(str(os.getpid()))
    while not Path("held").exists():
        time.sleep(0.01)
    clean_up(job)


merging._clean_up = hold
"""


def test_a_block_without_failures_holds_all_its_rows(project) -> None:
    project.edit("return", "if x == 1 and not Path('ok').exists(): 1 / 0\n    return")
    project.psy("run", "--accept-failures")
    (project.folder / "ok").touch()
    (project.work() / "round-1/blocks/0.pkl").unlink()
    project.psy("run")
    assert project.result()["x"] == ALL


LOAD_BALANCING = (
    "from psyrun.backend import LoadBalancingBackend\nbackend = LoadBalancingBackend\n"
)


# Lets each of the jobs fetch something.
BOTH_BEGIN = """\
def wait_for_the_other_job():
    import time

    while Path("both").exists() and len(Path("calls").read_text().split()) < 2:
        time.sleep(0.02)


"""


def test_a_deleted_block_of_fetched_work_is_evaluated_alone(project) -> None:
    project.edit("max_jobs", LOAD_BALANCING + "max_jobs")
    project.edit("def execute", BOTH_BEGIN + "def execute")
    project.edit("    return", "    wait_for_the_other_job()\n    return")
    (project.folder / "both").touch()
    project.psy("run", "-j", "2")
    project.calls()
    (project.folder / "both").unlink()
    (project.work() / "round-1/blocks/0.pkl").unlink()
    project.psy("run")
    assert len(project.calls()) < len(ALL)
    assert project.result()["x"] == ALL


@pytest.mark.parametrize("backend", ["", LOAD_BALANCING], ids=["divided", "fetched"])
def test_a_late_job_of_a_finished_block_does_nothing(project, backend) -> None:
    project.edit("max_jobs", backend + "max_jobs")
    project.edit("return", "if x == 1: 1 / 0\n    return")
    project.psy("run", "--accept-failures")
    project.calls()
    before = {p: p.stat().st_mtime_ns for p in _blocks(project)}
    told = project.run("psyrun.steps", "process", "psy-work/a", "1", "0").stderr
    assert "block 0 is finished already" in told
    assert project.calls() == []
    assert {p: p.stat().st_mtime_ns for p in _blocks(project)} == before
    assert not list(project.work().glob("round-1/journal/*"))


def _blocks(project: Project) -> list[Path]:
    return sorted((project.work() / "round-1/blocks").iterdir())


def test_a_block_that_snakemake_is_told_to_make_again_is_in_the_result(project) -> None:
    project.psy("run")
    project.calls()
    project.snakemake("--forcerun", "process_a")
    assert project.calls() == []


def test_a_lost_space_does_not_lose_the_result(project) -> None:
    project.psy("run")
    project.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    project.psy("run", "--continue")
    project.calls()
    (project.work() / "round-2/space.pkl").unlink()
    project.psy("run", "--continue")
    assert project.calls() == []
    assert project.result()["x"] == [*ALL, 5]


def test_continue_counts_after_an_interrupted_run_without_it(project) -> None:
    project.psy("run")
    project.calls()
    project.edit("x**2", "x**3")
    # The state after a run that was killed before it had divided the space.
    _python(
        project,
        "from pathlib import Path; from accepting import accept_plan;"
        "accept_plan(Path('psy-tasks/task_a.py'))",
    )
    project.psy("run", "--continue")
    assert project.calls() == []
    assert project.result()["y"] == [1, 4, 9, 16]


def _python(project: Project, command: str) -> None:
    helpers = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "helpers")}
    subprocess.run(
        [sys.executable, "-c", command], cwd=project.folder, env=helpers, check=True
    )


def test_threads_of_the_task_file_serve_its_workers(project) -> None:
    project.edit("pspace =", THREAD + "pspace =")
    project.edit("return", "QUESTIONS.put(x)\n    ANSWERS.get(timeout=10)\n    return")
    project.psy("run")
    assert project.calls() == ALL


def test_workers_that_import_the_task_file_again_draw_different_numbers(
    project,
) -> None:
    project.edit("pspace =", THREAD + SEEDED + "pspace =")
    project.edit("max_jobs = 2", "max_jobs = 4")
    project.edit("x**2", "(random.random(), own.random(), rng.random())")
    project.psy("run")
    for drawn in zip(*project.result()["y"], strict=True):
        assert len(set(drawn)) == 4


SEEDED = """\
import random
import numpy as np

random.seed(1)
own = random.Random(1)
rng = np.random.default_rng(1)
"""


THREAD = """\
import threading
from queue import Queue

QUESTIONS, ANSWERS = Queue(), Queue()


def answer():
    while True:
        ANSWERS.put(QUESTIONS.get())


threading.Thread(target=answer, daemon=True).start()
"""


def test_a_task_file_can_use_openmp_and_its_workers_too(project) -> None:
    pytest.importorskip("sklearn")
    project.edit("return", "signal.alarm(60)\n    cluster(x)\n    return")
    project.edit("pspace =", CLUSTERS + "pspace =")
    project.psy("run")
    assert project.calls() == ALL


CLUSTERS = """\
import signal
import numpy as np
from sklearn.cluster import KMeans

POINTS = np.random.rand(20000, 10)


def cluster(k):
    return KMeans(k, n_init=1).fit(POINTS).inertia_


cluster(5)
"""


@pytest.mark.parametrize("cause", ["os.abort()", "os._exit(75)"])
def test_dying_workers_count_as_failures(project, cause) -> None:
    project.edit("return", f"{cause}\n    return")
    project.edit("from pathlib", "import os\nfrom pathlib")
    project.psy("run", "--max-failures", "0", status=1)
    assert len(project.calls()) <= 2
    project.psy("run", status=1)
    assert set(project.calls()) == set(ALL)


def test_a_second_try_that_succeeds_is_a_success(project) -> None:
    project.edit("return", "if not Path('ok').exists():\n        fail()\n    return")
    fail = "def fail():\n    Path('ok').touch()\n    1 / 0\n\n\n"
    project.edit("def execute", f"{fail}def execute")
    project.psy("run", "--", "--retries", "2")
    assert project.result()["x"] == ALL


def test_a_log_that_cannot_be_written_costs_nothing(project) -> None:
    project.edit("return", "print('noise')\n    return")
    project.edit("max_jobs = 2", "max_jobs = 1\npool_size = 2")
    project.psy("run")
    project.calls()
    project.lose_block(0)
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "psyrun.steps", "process", "psy-work/a", "1", "0"],
            cwd=project.folder,
            stdout=full,
            stderr=full,
            env=environment,
        )
    assert done.returncode == 0
    assert project.calls() == ALL


@pytest.mark.parametrize("command", ["psy", "snakemake"])
def test_what_was_whole_when_snakemake_was_killed_is_not_made_again(
    project, command
) -> None:
    project.psy("run")
    project.calls()
    round_ = project.work() / "round-1"
    for path in (project.work() / "result.pkl", round_ / "blocks/1.pkl"):
        path.unlink()
    # Snakemake notes so what it has started and did not see end.
    notes = project.folder / ".snakemake/incomplete"
    notes.mkdir(exist_ok=True)
    for made in ("space.pkl", "blocks/0.pkl"):
        name = f"psy-work/a/round-1/{made}"
        (notes / urlsafe_b64encode(name.encode()).decode()).write_text("null")
    if command == "psy":
        project.psy("run")
    else:
        project.snakemake()
    assert project.calls() == []
    assert project.result()["y"] == [1, 4, 9, 16]


@pytest.mark.parametrize("command", ["psy", "snakemake"])
def test_a_run_goes_on_if_the_clock_was_set_back_since_it_was_killed(
    project, command
) -> None:
    project.edit("max_jobs = 2", "max_jobs = 2\nkeep_blocks = True")
    project.psy("run")
    project.calls()
    (project.work() / "result.pkl").unlink()
    project.lose_block(0)
    for path in project.work().rglob("*"):
        os.utime(path, (time.time() + 7200,) * 2)
    if command == "psy":
        project.psy("run")
    else:
        project.snakemake()
    assert project.calls() == [1, 2]
    assert project.result()["y"] == [1, 4, 9, 16]
    project.psy("run")
    assert project.calls() == []


def test_a_lock_of_a_killed_job_goes_even_if_nothing_is_to_be_done(project) -> None:
    project.psy("run")
    died = subprocess.Popen(["true"])
    died.wait()
    path = project.work() / "round-1/locks/process-0"
    path.write_text(json.dumps(asdict(replace(Holder.me(), pid=died.pid))))
    assert "process" not in project.psy("run").stderr
    assert list(path.parent.iterdir()) == []
