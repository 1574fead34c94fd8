"""Rows that can be pickled, but not read again: only their assignments fail."""

import warnings

import pytest
from projects import Project

import psyrun
from psyrun.workdir.failures import failures_of_task
from psyrun.workdir.layout import TaskLayout

HEAD = """\
import sys
from psyrun import Param
from psyrun.backend import {backend}

pspace = Param(x=range(6))
backend = {backend}
max_jobs = 2
pool_size = 2

"""
# Each returns 'fine' beside a value 'bad' that cannot be read for an odd x.
KINDS = {
    "an exception with two arguments": """
class Two(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} {b}")

def execute(x):
    return {"fine": [{"x": x}], "bad": [Two(x, x)] if x % 2 else x}
""",
    "a module that setup makes importable": """
def setup(proc_id):
    sys.path.append("extra")
    import late
    return {"late": late}

def execute(x, late):
    return {"fine": x, "bad": {"late": late.Late()} if x % 2 else x}
""",
    "a class that setup defines": """
def setup(proc_id):
    global Late
    class Late:
        pass
    Late.__qualname__ = "Late"
    return {}

def execute(x):
    return {"fine": x, "bad": Late() if x % 2 else x}
""",
    "objects that setup registers": """
UNITS = {}

def unit(name):
    return UNITS[name]

class Unit:
    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return unit, (self.name,)

def setup(proc_id):
    UNITS.update({x: Unit(x) for x in range(6)})

def execute(x):
    return {"fine": x, "bad": Unit(x) if x % 2 else x}
""",
    "objects that execute registers": """
UNITS = {}

def unit(name):
    return UNITS[name]

class Unit:
    def __init__(self, name):
        self.name = name
        UNITS[name] = self

    def __reduce__(self):
        return unit, (self.name,)

def execute(x):
    return {"fine": x, "bad": Unit(x) if x % 2 else x}
""",
    "one that leaves the process": """
class Leaving:
    def __reduce__(self):
        return sys.exit, (3,)

def execute(x):
    return {"fine": x, "bad": Leaving() if x % 2 else x}
""",
    "a function without a name": """
def execute(x):
    return {"fine": x, "bad": (lambda: x) if x % 2 else x}
""",
}
BACKENDS = ["DistributeBackend", "LoadBalancingBackend"]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    project = Project(tmp_path)
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra/late.py").write_text("class Late:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    return project


def failures(project: Project) -> dict[int, str]:
    found = failures_of_task(TaskLayout(project.work()))
    return {failure.index: failure.cause for failure in found}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_cannot_be_read_again_fail_naming_their_key(project, kind) -> None:
    project.write(HEAD.format(backend="DistributeBackend") + KINDS[kind])
    output = project.psy("run", status=1).stderr
    assert "3 assignments failed" in output
    assert "Traceback" not in output
    found = failures(project)
    assert set(found) == {1, 3, 5}
    assert all("key 'bad'" in cause for cause in found.values())
    status = project.psy("status").stdout.splitlines()[1].split()
    assert status[2:4] == ["3/6", "3"]
    assert psyrun.load("a", partial=True)["x"] == [0, 2, 4]
    project.psy("run", "--accept-failures")
    assert project.result()["bad"] == [0, 2, 4]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_setup_alone_makes_readable_is_refused_at_once(project, backend) -> None:
    kind = KINDS["objects that setup registers"]
    project.write(HEAD.format(backend=backend) + "max_failures = 0\npool_size = 1\n")
    project.write(project.taskfile().read_text() + kind)
    output = project.psy("run", status=1).stderr
    assert "more assignments failed than max_failures allows" in output
    assert len(psyrun.load("a", partial=True).get("x", [])) < 3


def test_objects_of_the_task_file_are_kept(project) -> None:
    project.write(
        HEAD.format(backend="DistributeBackend")
        + """
class Point:
    def __init__(self, x):
        self.x = x

def setup(proc_id):
    pass

def execute(x):
    return {"point": Point(x), "error": ValueError(x), "square": [x**2]}
"""
    )
    project.psy("run")
    found = psyrun.load("a")
    assert [point.x for point in found["point"]] == list(range(6))
    assert found["square"] == [[x**2] for x in range(6)]


SPOILED = """
from pathlib import Path

class Fragile:
    def __init__(self, x):
        self.x = x

    def __reduce__(self):
        return fragile, (self.x,)

def fragile(x):
    if Path("spoiled").exists():
        raise RuntimeError(f"{x} is gone")
    return Fragile(x)

def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    if x == 5:
        raise ValueError("no result")
    return {"fine": x, "bad": [Fragile(x)] if x == 3 else x}
"""


@pytest.fixture(params=BACKENDS)
def spoiled(project, request) -> Project:
    """Leave a row in a journal that cannot be read any more."""
    project.write(HEAD.format(backend=request.param) + SPOILED)
    project.psy("run", status=1)
    assert set(failures(project)) == {5}
    (project.folder / "spoiled").touch()
    assert len(project.calls()) == 6
    return project


def test_partial_results_leave_out_what_cannot_be_read(spoiled) -> None:
    with pytest.warns(UserWarning, match="assignment 3 is left out: key 'bad'") as seen:
        found = psyrun.load("a", partial=True)
    assert "RuntimeError: 3 is gone" in str(seen[0].message)
    assert found == {"x": [0, 1, 2, 4], "fine": [0, 1, 2, 4], "bad": [0, 1, 2, 4]}
    errors = spoiled.psy("merge", "--partial", "a", "part.pkl").stderr
    assert "assignment 3 is left out" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_what_cannot_be_read_any_more_is_evaluated_again(spoiled) -> None:
    spoiled.psy("run", "--continue", status=1)
    assert spoiled.calls() == [3, 5]
    assert "RuntimeError: 3 is gone" in failures(spoiled)[3]
    status = spoiled.psy("status").stdout.splitlines()[1].split()
    assert status[:4] == ["a", "incomplete", "4/6", "2"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert psyrun.load("a", partial=True)["x"] == [0, 1, 2, 4]
    (spoiled.folder / "spoiled").unlink()
    spoiled.edit("if x == 5:", "if x == 7:")
    spoiled.psy("run", "--continue")
    # If there is a round of before, its row of 3 can be read again.
    assert spoiled.calls() in ([3, 5], [5])
    assert psyrun.load("a")["x"] == list(range(6))


@pytest.mark.slow
def test_what_cannot_be_read_any_more_is_an_accepted_failure(spoiled) -> None:
    spoiled.psy("run", "--accept-failures")
    assert spoiled.result()["x"] == [0, 1, 2, 4]
    assert {3, 5} == set(failures(spoiled))


@pytest.mark.slow
def test_an_edited_space_keeps_the_rows_that_can_be_read(spoiled) -> None:
    spoiled.edit("range(6)", "range(5)")
    spoiled.psy("run", "--continue", status=1)
    assert spoiled.calls() == [3]
    assert set(failures(spoiled)) == {3}


def test_parameters_that_cannot_be_read_again_are_named_before_the_work(
    project,
) -> None:
    project.write(
        """\
from psyrun import Param

class Two(Exception):
    def __init__(self, a, b):
        super().__init__(a)

pspace = Param(x=[0, 1]) * Param(error=[None, Two(1, 2)])

def execute(x, error):
    open("called", "w")
    return {"y": x}
"""
    )
    errors = project.psy("run", status=2).stderr
    assert "parameter 'error' holds a value of type Two that cannot be read" in errors
    assert "TypeError" in errors
    assert not (project.folder / "called").exists()
    project.edit("None, Two(1, 2)", "None, 'two'")
    project.psy("run")
    assert project.result()["x"] == [0, 0, 1, 1]
