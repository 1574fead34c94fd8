"""Task files whose import does what a copy of a process cannot have."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from projects import Project

pytestmark = pytest.mark.slow

TASK = """\
import os
from pathlib import Path
from psyrun import Param

{top}

pspace = Param(x=range(6))
max_jobs = 1
pool_size = 2


def setup(proc_id):
    return {{"number": proc_id}}


def execute(x, number):
    {body}
    command = Path("/proc/self/cmdline").read_text()
    return {{"y": int(y), "number": number, "fresh": "freshworker" in command}}
"""

# At the import and in `execute`, which must give 2 * x.
USES = {
    "ThreadPoolExecutor": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "POOL = ThreadPoolExecutor(1)\nPOOL.submit(abs, 1).result()",
        "y = POOL.submit(abs, -2 * x).result()",
    ),
    "loky": (
        "from joblib import Parallel, delayed\n"
        "Parallel(n_jobs=2)(delayed(abs)(i) for i in range(2))",
        "y = sum(Parallel(n_jobs=2)(delayed(abs)(x) for _ in range(2)))",
    ),
    "a native thread": (
        "import ctypes\nlibrary = ctypes.CDLL('./libdoubling.so')\nlibrary.begin()",
        "y = library.twice(x)",
    ),
    "an exit handler": (
        "import atexit, shutil, tempfile\n"
        "SCRATCH = Path(tempfile.mkdtemp())\natexit.register(shutil.rmtree, SCRATCH)",
        "(SCRATCH / 'x').write_text(str(2 * x)); y = (SCRATCH / 'x').read_text()",
    ),
    "cross_val_score": (
        "from sklearn.dummy import DummyRegressor\n"
        "from sklearn.model_selection import cross_val_score\n"
        "def score(): return cross_val_score("
        "DummyRegressor(), [[0]] * 9, [0] * 9, cv=3, n_jobs=2)\n"
        "score()",
        "y = 2 * x * score().mean()",
    ),
}

# A thread that does all the work, as those of many libraries do.
DOUBLING = """\
#include <pthread.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int asked, answered, value;

static void *serve(void *unused)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        while (asked == answered) pthread_cond_wait(&changed, &lock);
        value *= 2;
        answered = asked;
        pthread_cond_broadcast(&changed);
    }
}

void begin(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, serve, 0);
}

int twice(int x)
{
    pthread_mutex_lock(&lock);
    value = x;
    asked++;
    pthread_cond_broadcast(&changed);
    while (asked != answered) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return value;
}
"""


def write(project: Project, name: str) -> None:
    if name == "cross_val_score":
        pytest.importorskip("sklearn")
    if name == "a native thread":
        build(project)
    text, (top, body) = TASK, USES[name]
    if "joblib" in top or "sklearn" in top:
        # Their processes take long to start.
        text = TASK.replace("pool_size = 2", "pool_size = 1")
    project.write(text.format(top=top, body=body))


def build(project: Project) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    (project.folder / "doubling.c").write_text(DOUBLING)
    command = [compiler, "-shared", "-fPIC", "-pthread", "doubling.c"]
    subprocess.run(
        [*command, "-o", "libdoubling.so"], cwd=project.folder, check=True, timeout=60
    )


@pytest.mark.parametrize("name", USES)
def test_workers_import_the_task_by_themselves(project: Project, name: str) -> None:
    write(project, name)
    assert "Traceback" not in project.psy("run").stderr
    result = project.result()
    assert all(result["fresh"])
    assert result["y"] == [2 * x for x in range(6)]
    assert set(result["number"]) <= {0, 1}
    log = (project.work() / "a:process:0.log").read_text()
    assert "each worker imports the task file by itself" in log


@pytest.mark.parametrize("top", ["import numpy", "import scipy.linalg, pandas, tables"])
def test_threads_of_numerical_libraries_are_no_reason(
    project: Project, top: str
) -> None:
    project.write(TASK.format(top=top, body="y = 2 * x"))
    project.psy("run")
    assert not any(project.result()["fresh"])


@pytest.mark.parametrize("backend", ["DistributeBackend", "LoadBalancingBackend"])
def test_a_worker_that_dies_costs_one_assignment(
    project: Project, backend: str
) -> None:
    top, _ = USES["ThreadPoolExecutor"]
    top += f"\nfrom psyrun import {backend}\nbackend = {backend}"
    body = "if x == 3: os.kill(os.getpid(), 9)\n    y = 2 * x"
    project.write(TASK.format(top=top, body=body))
    project.psy("run", status=1)
    assert "SIGKILL" in project.psy("failed", "a").stdout
    project.psy("run", "--accept-failures")
    assert project.result()["y"] == [0, 2, 4, 8, 10]


def test_a_setup_that_raises_is_told(project: Project) -> None:
    top, body = USES["ThreadPoolExecutor"]
    text = TASK.format(top=top, body=body)
    project.write(
        text.replace(
            'return {"number"', "raise ValueError('no device')\n    return {\"number\""
        )
    )
    errors = project.psy("run", status=2).stderr
    assert "`setup` raised ValueError: no device." in errors


@pytest.mark.parametrize(
    "top",
    [
        "import threading\nthreading.Thread(target=threading.Event().wait).start()",
        "import atexit, threading\natexit.register(threading.Event().wait)",
    ],
    ids=["thread", "exit handler"],
)
def test_what_never_ends_keeps_psy_from_ending_for_a_limited_time(
    project: Project, monkeypatch: pytest.MonkeyPatch, top: str
) -> None:
    monkeypatch.setenv("PSYRUN_EXIT_LIMIT", "1")
    project.write(TASK.format(top=top, body="y = 2 * x"))
    said = "did not come to its end within 1 s"
    tried = project.psy("test")
    assert "y = 0" in tried.stdout
    assert said in tried.stderr
    assert said in project.psy("run").stderr
    assert project.result()["y"] == [2 * x for x in range(6)]
