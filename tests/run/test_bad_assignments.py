"""Assignments that raise, crash, leave or eat all memory: only they are lost."""

from collections import Counter
from subprocess import CompletedProcess

import pytest
from projects import Project

from psyrun.workdir import frames, journal

TASK = """\
import ctypes
import os
import resource
import signal

from psyrun import Param
from psyrun.backend import {backend}

pspace = Param(x=range(400))
backend = {backend}
max_jobs = 2
pool_size = 2
ADDRESS_SPACE = 4 << 30


def setup(proc_id):
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def execute(x):
    if x % 20 == 3:
        raise ValueError(f"no result for {{x}}")
    if x % 100 == 50:
        ctypes.string_at(0)
    if x == 77:
        os._exit(0)
    if x == 110:
        bytearray(2 * ADDRESS_SPACE)
    if x == 111:
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel ends the largest process
    return {{"y": x**2}}
"""

RAISE = set(range(3, 400, 20))
CRASH = set(range(50, 400, 100))
BAD = RAISE | CRASH | {77, 110, 111}
GOOD = set(range(400)) - BAD


BACKENDS = ["DistributeBackend", "LoadBalancingBackend"]


@pytest.fixture(scope="module", params=BACKENDS)
def project(request, tmp_path_factory) -> Project:
    project = Project(tmp_path_factory.mktemp("project"))
    project.write(TASK.format(backend=request.param))
    return project


@pytest.fixture(scope="module")
def first_run(project) -> CompletedProcess[str]:
    return project.psy("run", "-j", "2", status=1)


def failures(project: Project) -> dict[int, dict[str, str]]:
    """Return what the journals tell of failed assignments."""
    known = journal.latest(project.work().glob("round-*/journal/*.journal"))
    failed = [entry for entry in known.values() if entry.kind == frames.FAILURE]
    told = journal.failures(failed)
    return {entry.index: why for entry, why in zip(failed, told, strict=True)}


def test_bad_assignments_are_reported_with_their_cause(project, first_run) -> None:
    failed = failures(project)
    assert set(failed) == BAD
    assert {x for x in failed if failed[x]["type"] == "ValueError"} == RAISE
    assert all(failed[x]["message"] == f"no result for {x}" for x in RAISE)
    assert all("SIGSEGV" in failed[x]["message"] for x in CRASH)
    assert "exit status 0" in failed[77]["message"]
    assert failed[110]["type"] == "MemoryError"
    assert "SIGKILL, as the kernel does when memory" in failed[111]["message"]
    assert all(failed[x]["parameters"] == {"x": str(x)} for x in BAD)


def test_run_and_status_count_bad_assignments(project, first_run) -> None:
    assert f"{len(GOOD)} of 400 assignments are kept" in first_run.stderr
    status = project.psy("status").stdout
    assert f"{len(GOOD)}" in status and f"{len(BAD)}" in status


def test_only_bad_assignments_are_evaluated_again(project, first_run) -> None:
    project.psy("run", "-j", "2", status=1)
    journals = project.work().glob("round-*/journal/*.journal")
    entries = [entry for path in journals for entry in journal.scan(path)]
    assert Counter(e.index for e in entries if e.kind == frames.ROW) == Counter(GOOD)
    assert set(failures(project)) == BAD


def test_all_but_bad_assignments_are_saved(project, first_run) -> None:
    project.psy("run", "-j", "2", "--accept-failures")
    result = project.result()
    assert result["x"] == sorted(GOOD)
    assert result["y"] == [x**2 for x in sorted(GOOD)]


MOVES = """\
import os

from psyrun import Param
from psyrun.backend import {backend}

pspace = Param(x=range(6))
backend = {backend}
max_jobs = 2
max_failures = 5


def setup(proc_id):
    os.chdir("/")


def execute(x):
    os.chdir("/tmp")
    if x == 3:
        raise ValueError("no result")
    return {{"y": x**2}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_functions_may_change_the_current_folder(tmp_path, backend) -> None:
    project = Project(tmp_path)
    project.write(MOVES.format(backend=backend))
    errors = project.psy("run", status=1).stderr
    assert "5 of 6 assignments are kept" in errors
    assert {x: why["type"] for x, why in failures(project).items()} == {3: "ValueError"}
    project.edit('raise ValueError("no result")', "pass")
    project.psy("run", "--continue")
    assert project.result() == {"x": [*range(6)], "y": [x**2 for x in range(6)]}


UNPRINTABLE = """\
from psyrun import Param

pspace = Param(x=[0, 1])


def execute(x):
    if x:
        raise ValueError("bad \\udc80")
    return {"y": x}
"""


@pytest.mark.slow
def test_texts_that_cannot_be_encoded_are_shown_in_ascii(tmp_path) -> None:
    project = Project(tmp_path)
    project.write(UNPRINTABLE)
    errors = project.psy("run", status=1).stderr
    assert r"ValueError: bad \udc80" in errors
    assert "1 of 2 assignments are kept" in errors
    assert r"bad \udc80" in (project.work() / "run.log").read_text()
    for option in ["--all", "--traceback"]:
        assert r"ValueError: bad \udc80" in project.psy("failed", "a", option).stdout
