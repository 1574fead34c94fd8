"""Task files as people wrote them for psyrun 0.8 run unchanged."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import pytest
from projects import Project
from slurm_stand_in import SlurmStandIn

import psyrun
from psyrun.scheduler.slurm.options import slurm_time

pytestmark = pytest.mark.slow

LOAD_BALANCED = """\
from psyrun import LoadBalancingBackend, Param
from psyrun.store.h5 import H5Store

pspace = Param(seed=range(6)) * Param(size=[2.0, 3.0])
backend = LoadBalancingBackend
store = H5Store()
max_jobs = 2
pool_size = 2
exclude_from_result = ['table', 'debug']


def setup(proc_id):
    return {'table': {s: s ** 3 for s in range(6)}}


def execute(seed, size, table):
    return {'volume': size * table[seed], 'debug': object()}
"""

SUMMED = """\
import numpy as np
from psyrun import DefaultStore, Param

pspace = Param(a=[1, 2]) * Param(b=[10, 20])
pspace = pspace + Param(a=[7], b=[70], c=['extra'])
pspace += Param(a=np.arange(3), c='more') - Param(a=[1])
store = DefaultStore
min_items = 3


def execute(**kwargs):
    return {'n_given': sum(v == v for v in kwargs.values())}
"""

FUNCTIONS_AS_ARGUMENTS = """\
from psyrun import Param
from psyrun.backend.distribute import DistributeBackend
from psyrun.scheduler import Slurm


def timelimit(name):
    return '1h' if name.endswith(':merge') else '15m'


pspace = Param(x=[1, 2, 3])
backend = DistributeBackend
scheduler = Slurm
scheduler_args = {'timelimit': timelimit, 'memory': lambda name: '1G', 'n_cpus': 1}


def execute(x):
    return {'y': x ** 2}
"""

PYTHON = """\
from psyrun import Param

pspace = Param(x=[1, 2, 3])
python = '/usr/bin/env python'


def execute(x):
    return {'y': x ** 2}
"""

WITH_CONF = """\
from psyrun import Param

pspace = Param(x=[1, 2, 3])


def execute(x):
    return {'y': x ** 2}
"""
CONF = """\
import os
from psyrun.store.npz import NpzStore

workdir = os.path.join('scratch', 'work')
store = NpzStore()
max_jobs = 1
own_setting = 'not seen by tasks'
"""

DATA_BESIDE = """\
import numpy as np
from psyrun import Param

pspace = Param(row=[0, 1])
file_dep = ['weights.txt', 'offset.txt']
offset = None


def setup(proc_id):
    with open('offset.txt') as f:
        return {'offset': float(f.read())}


def execute(row, offset):
    weights = np.loadtxt('weights.txt')
    return {'y': weights[row] + offset}
"""

PROGRAM_BESIDE = """\
import subprocess
from psyrun import Param

pspace = Param(x=[0, 1])


def execute(x):
    return {'y': x + int(subprocess.check_output(['sh', 'tool.sh']))}
"""

READ_AT_IMPORT = """\
from psyrun import Param

with open('names.txt') as f:
    names = f.read().split()
pspace = Param(name=names)


def execute(name):
    return {'length': len(name)}
"""

NO_LIMIT = """\
from psyrun import Param

pspace = Param(x=range(7))
max_jobs = None
min_items = 2
setup = None
resultfile = None
exclude_from_result = None


def execute(x):
    return {'y': -x}
"""

OWN_SPACE = """\
from psyrun import Param
from psyrun.pspace import ParameterSpace, missing


class Triangle(ParameterSpace):
    def __init__(self, n):
        super(Triangle, self).__init__(['i', 'j'])
        self.n = n

    def iterate(self):
        for i in range(self.n):
            for j in range(i + 1):
                yield {'i': i, 'j': j}

    def __len__(self):
        return self.n * (self.n + 1) // 2


pspace = missing(Triangle(3), Param(i=[0], j=[0])) * Param(k=[5])


def execute(i, j, k):
    return {'sum': i + j + k}
"""

ONE_LINE_OF_SLURM = """\
from psyrun import Param
from psyrun.scheduler import Slurm

pspace = Param(x=range(4))
min_items = 2
scheduler, scheduler_args = Slurm('work'), {'timelimit': '5m', 'memory': '100M'}


def execute(x):
    return {'y': x + 1}
"""

OWN_SCHEDULER = """\
import subprocess
from psyrun import Param
from psyrun.scheduler import JobStatus, Scheduler
from psyrun.store.pickle import PickleStore


class OneByOne(Scheduler):
    def __init__(self, datafile='jobs.txt'):
        self.datafile = datafile

    def submit(
            self, args, output_filename, name=None, depends_on=None,
            scheduler_args=None):
        with open(self.datafile, 'a') as f:
            f.write(name + '\\n')
        with open(output_filename, 'a') as f:
            subprocess.call(args, stdout=f, stderr=subprocess.STDOUT)
        return name

    def submit_array(
            self, n, args, output_filename, name=None, depends_on=None,
            scheduler_args=None):
        raise NotImplementedError('no arrays')

    def get_status(self, jobid):
        return JobStatus(jobid, 'D', jobid)

    def get_jobs(self):
        return []

    def kill(self, jobid):
        pass


pspace = Param(x=[1, 2])
scheduler = OneByOne('jobs.txt')
store = PickleStore(protocol=2)


def execute(x):
    return {'y': x ** 2}
"""

TEMPLATE = """\
from psyrun import Param
from psyrun.backend import DistributeBackend
from psyrun.scheduler import ImmediateRun
from psyrun.store import PickleStore

pspace = Param(x=[0, 1]) * Param(y=[2, 3])  # Parameter space

file_dep = []
resultfile = None
store = PickleStore
workdir = 'psy-work'
overwrite_dirty = True

max_jobs = 100
min_items = 1
pool_size = 1

backend = DistributeBackend
scheduler = ImmediateRun
scheduler_args = {}


def execute(**kwargs):
    return {}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def slurm(project: Project, monkeypatch: pytest.MonkeyPatch) -> SlurmStandIn:
    queue = SlurmStandIn(project.folder / "slurm")
    queue.hold()
    for name, value in queue.environment().items():
        monkeypatch.setenv(name, value)
    return queue


def option_of(job: dict, flag: str) -> str:
    return job["options"][job["options"].index(flag) + 1]


def rows(project: Project, folder: str = "psy-work/a") -> list[dict]:
    columns = psyrun.load(project.folder / folder)
    n_rows = len(next(iter(columns.values())))
    return [{key: column[i] for key, column in columns.items()} for i in range(n_rows)]


def test_load_balanced_with_setup(project: Project) -> None:
    project.write(LOAD_BALANCED)
    project.psy("run")
    assert [set(row) for row in rows(project)] == [{"seed", "size", "volume"}] * 12
    assert all(row["volume"] == row["size"] * row["seed"] ** 3 for row in rows(project))


def test_several_spaces_summed(project: Project) -> None:
    project.write(SUMMED)
    printed = project.psy("run")
    assert printed.stderr.count("psyrun.DefaultStore is from psyrun 0.8") == 1
    found = project.result()
    assert found["a"] == [1, 1, 2, 2, 7, 0, 2]
    assert found["n_given"] == [2, 2, 2, 2, 3, 2, 2]
    assert [math.isnan(b) for b in found["b"]] == [False] * 5 + [True] * 2


def test_functions_as_arguments_of_the_scheduler(
    project: Project, slurm: SlurmStandIn
) -> None:
    project.write(FUNCTIONS_AS_ARGUMENTS)
    project.psy("run")
    assert project.result() == {"x": [1, 2, 3], "y": [1, 4, 9]}
    limits = {job["name"]: option_of(job, "-t") for job in slurm.jobs()}
    assert limits.pop("a:merge") == slurm_time("1h")
    assert limits
    assert set(limits.values()) == {slurm_time("15m")}


def test_python_as_in_the_first_line_of_a_script(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", folder, prepend=os.pathsep)
    project.write(PYTHON)
    project.psy("run")
    assert project.result()["y"] == [1, 4, 9]


def test_values_for_all_tasks_in_psy_conf(project: Project) -> None:
    project.write(WITH_CONF)
    (project.folder / "psy-tasks/psy-conf.py").write_text(CONF)
    project.psy("run")
    assert (project.folder / "scratch/work/a/result.npz").exists()
    assert [row["y"] for row in rows(project, "scratch/work/a")] == [1, 4, 9]


def test_data_beside_the_task_file(project: Project) -> None:
    project.write(DATA_BESIDE)
    tasks = project.folder / "psy-tasks"
    (tasks / "weights.txt").write_text("1.5\n2.5\n")
    (tasks / "offset.txt").write_text("10")
    printed = project.psy("run")
    assert project.result()["y"] == [11.5, 12.5]
    for name in ("weights.txt", "offset.txt"):
        hint = f"psy-tasks/task_a.py: '{name}' is only in the folder of the task file"
        assert printed.stderr.count(hint) == 1, printed.stderr
    assert "y = 11.5" in project.psy("test").stdout
    (tasks / "offset.txt").write_text("20")
    project.psy("run")
    assert project.result()["y"] == [21.5, 22.5]


def test_programs_beside_the_task_file(project: Project) -> None:
    project.write(PROGRAM_BESIDE)
    (project.folder / "psy-tasks/tool.sh").write_text("echo 7\n")
    printed = project.psy("run")
    assert project.result()["y"] == [7, 8]
    assert "exists() does not find it there" not in printed.stderr


@pytest.mark.parametrize(
    "question",
    [
        "os.path.exists('weights.txt')",
        "Path('weights.txt').is_file()",
        "glob.glob('weights.txt')",
    ],
)
def test_what_is_not_found_beside_the_task_file_is_said(
    project: Project, question: str
) -> None:
    asking = f"\n\ndef execute(x):\n    return {{'y': bool({question})}}\n"
    imports = "import glob, os\nfrom pathlib import Path\n"
    project.write(imports + PROGRAM_BESIDE.partition("\n\ndef execute")[0] + asking)
    (project.folder / "psy-tasks/weights.txt").write_text("1")
    name = question.partition("('")[0].rpartition(".")[2]
    name = "is_file" if "is_file" in question else name
    printed = project.psy("run", "-n").stderr
    assert f"{name}() does not find it there, as it did in 0.8" in printed


def test_data_that_are_there_twice_are_those_of_the_project(project: Project) -> None:
    project.write(DATA_BESIDE)
    for folder, first in (("psy-tasks", 1), (".", 5)):
        (project.folder / folder / "weights.txt").write_text(f"{first}\n0\n")
        (project.folder / folder / "offset.txt").write_text("0")
    printed = project.psy("run")
    assert project.result()["y"] == [5, 0]
    assert "'weights.txt' is in the project folder and in that of" in printed.stderr


def test_data_that_are_read_at_import(project: Project) -> None:
    project.write(READ_AT_IMPORT)
    (project.folder / "psy-tasks/names.txt").write_text("ada grace\n")
    printed = project.psy("run").stderr
    assert printed.count("'names.txt' is only in the folder of the task file") == 1
    assert project.result() == {"name": ["ada", "grace"], "length": [3, 5]}


def test_no_limit_of_jobs(project: Project) -> None:
    project.write(NO_LIMIT)
    project.psy("run")
    assert project.result()["y"] == [-x for x in range(7)]


def test_a_space_of_ones_own(project: Project) -> None:
    project.write(OWN_SPACE)
    project.psy("run")
    found = project.result()
    assert list(zip(found["i"], found["j"], strict=True)) == [
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
        (2, 2),
    ]
    assert found["sum"] == [6, 7, 7, 8, 9]
    assert ".  a:" not in project.psy("run").stdout, "the points are known again"


def test_slurm_in_one_line(project: Project, slurm: SlurmStandIn) -> None:
    project.write(ONE_LINE_OF_SLURM)
    project.psy("run")
    assert project.result()["y"] == [1, 2, 3, 4]
    processes = [job for job in slurm.jobs() if "a:process" in job["name"]]
    assert [option_of(job, "-t") for job in processes] == [slurm_time("5m")] * 2


def test_a_scheduler_of_ones_own(project: Project) -> None:
    project.write(OWN_SCHEDULER)
    project.psy("run")
    assert project.result()["y"] == [1, 4]
    assert "a:process" in (project.folder / "jobs.txt").read_text()


def test_the_template_of_0_8(project: Project) -> None:
    project.write(TEMPLATE)
    project.psy("run")
    assert project.result() == {"x": [0, 0, 1, 1], "y": [2, 3, 2, 3]}


def test_what_is_excluded_in_vain_is_said_in_the_log(project: Project) -> None:
    project.write(NO_LIMIT.replace("= None\n\n", "= ['typo', 'y']\n\n"))
    hint = "exclude_from_result: 'typo' is to be left out of the result, but no row has"
    assert hint in project.psy("test").stderr
    project.psy("run", "-j1")
    assert list(project.result()) == ["x"]
    logs = [path.read_text() for path in project.work().rglob("*.log")]
    assert any("exclude_from_result: 'typo' is to be left out" in log for log in logs)
    assert not any("exclude_from_result: 'y'" in log for log in logs)


def test_the_result_in_a_work_folder_of_0_8_is_continued(project: Project) -> None:
    project.write(WITH_CONF)
    for name in ("in", "out"):
        (project.work() / name).mkdir(parents=True)
        psyrun.PickleStore(2).save(project.work() / name / "0.pkl", {"x": [1]})
    old = {"x": [2, 1], "y": [400, 100]}
    psyrun.PickleStore(2).save(project.work() / "result.pkl", old)
    assert psyrun.load(project.work() / "result.pkl") == old
    project.psy("run", "--continue")
    assert project.result() == {"x": [1, 2, 3], "y": [100, 400, 9]}
