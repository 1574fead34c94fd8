"""What special variables may be, and where they come from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from psyrun.backend import DistributeBackend, LoadBalancingBackend
from psyrun.errors import TaskError
from psyrun.scheduler import ImmediateRun, Slurm, Sqsub
from psyrun.store import PickleStore
from psyrun.store.npz import NpzStore


def test_defaults_are_those_of_the_documentation(load_with):
    task = load_with()
    assert (task.max_jobs, task.min_items, task.pool_size) == (100, 1, 1)
    assert isinstance(task.backend, DistributeBackend)
    assert isinstance(task.scheduler, ImmediateRun)
    assert isinstance(task.store, PickleStore)
    assert task.resultfile == Path("psy-work/a/result.pkl")
    assert (task.setup, task.scheduler_args, task.exclude_from_result) == (None, {}, ())
    assert (task.dims, task.coords, task.attrs) == ({}, {}, {})
    assert (task.python, task.file_dep, task.overwrite_dirty) == (
        sys.executable,
        (),
        True,
    )


def test_axes_of_results_are_taken_as_they_may_be_written(load_with):
    text = "dims = {'y': 't', 'z': ['t', 'u'], 'n': ()}\ncoords = {'t': range(3)}\n"
    task = load_with(text + "attrs = {'y': {'units': 'mV', 'scale': 0.5}}\n")
    assert task.dims == {"y": ("t",), "z": ("t", "u"), "n": ()}
    assert task.coords["t"].tolist() == [0, 1, 2]
    assert task.attrs == {"y": {"units": "mV", "scale": 0.5}}


def test_a_task_knows_its_files(load_with):
    task = load_with(conf="")
    assert (task.name, task.path) == ("a", Path("psy-tasks/task_a.py"))
    assert task.conf_path == Path("psy-tasks/psy-conf.py")
    assert task.module.__name__ == "task_a"


def test_later_sources_win(load_with):
    conf = "max_jobs = 1\nmin_items = 2\npool_size = 3\n"
    task = load_with("min_items = 4\npool_size = 5\n", conf, pool_size=6)
    assert (task.max_jobs, task.min_items, task.pool_size) == (1, 4, 6)


def test_space_and_function_may_come_from_the_common_file(load):
    conf = (
        "from psyrun import Param\npspace = Param(x=[1])\ndef execute(x): return {}\n"
    )
    assert len(load("", conf).pspace) == 1


def test_the_guides_example_loads(load):
    task = load(
        "import numpy as np\n"
        "from psyrun import Param, Sqsub\n"
        "from psyrun.store.npz import NpzStore\n"
        "pspace = Param(radius=np.linspace(0., 1., 100)) * Param(trial=np.arange(50))\n"
        "min_items = 10\nstore = NpzStore()\nworkdir = '/scratch/user/area'\n"
        "scheduler = Sqsub(workdir)\n"
        "scheduler_args = {'timelimit': '15m', 'memory': '1G'}\n"
        "def execute(radius, trial):\n    return {'a_frac': 1}\n"
    )
    assert isinstance(task.scheduler, Sqsub)
    assert task.resultfile == Path("/scratch/user/area/a/result.npz")


VALUES = {
    "timeout = '1h30m'": ("timeout", 5400.0),
    "timeout = 90": ("timeout", 90.0),
    "timeout = None": ("timeout", None),
    "threads = 'auto'": ("threads", "auto"),
    "threads = 4": ("threads", 4),
    "threads = None": ("threads", None),
    "max_jobs = 7": ("max_jobs", 7),
    "max_jobs = None": ("max_jobs", None),
    "exclude_from_result = None": ("exclude_from_result", ()),
    "scheduler_args = None": ("scheduler_args", {}),
    "import numpy\nmax_jobs = numpy.int64(7)": ("max_jobs", 7),
    "resultfile = None": ("resultfile", Path("psy-work/a/result.pkl")),
    "workdir = '/scratch'": ("resultfile", Path("/scratch/a/result.pkl")),
    "setup = None": ("setup", None),
    "": ("split_and_merge", None),
    "split_and_merge = 'queue'": ("split_and_merge", "queue"),
    "exclude_from_result = ['b', 'a']": ("exclude_from_result", ("b", "a")),
    "exclude_from_result = {'b', 'a'}": ("exclude_from_result", ("a", "b")),
    "file_dep = ['data.csv']": ("file_dep", (Path("data.csv"),)),
    "from pathlib import Path\npython = Path('/bin/python')": ("python", "/bin/python"),
    "scheduler_args = {'anything': 1}": ("scheduler_args", {"anything": 1}),
}


IN_HOME = {
    "resultfile = '~/r.pkl'": ("resultfile", Path("/home/me/r.pkl")),
    "workdir = '~/work'": ("workdir", Path("/home/me/work")),
    "workdir = '~nobody-has-this-name'": ("workdir", Path("~nobody-has-this-name")),
    "workdir = 'a~'": ("workdir", Path("a~")),
    "file_dep = ['~/data.csv']": ("file_dep", (Path("/home/me/data.csv"),)),
    "python = '~/bin/python'": ("python", "/home/me/bin/python"),
}


@pytest.mark.parametrize("text", IN_HOME)
def test_a_tilde_is_the_home_folder(load_with, monkeypatch, text):
    monkeypatch.setenv("HOME", "/home/me")
    name, value = IN_HOME[text]
    assert getattr(load_with(text), name) == value


@pytest.mark.parametrize("text", VALUES)
def test_values_are_put_into_one_form(load_with, text):
    name, value = VALUES[text]
    assert getattr(load_with(text), name) == value


TYPES = {
    "from psyrun import NpzStore\nstore = NpzStore()": ("store", NpzStore),
    "from psyrun import NpzStore\nstore = NpzStore": ("store", NpzStore),
    "store = 'npz'": ("store", NpzStore),
    "store = '.npz'": ("store", NpzStore),
    "resultfile = 'r.npz'": ("store", NpzStore),
    "from psyrun import AutodetectStore\nstore = AutodetectStore()\n"
    "resultfile = 'r.npz'": ("store", NpzStore),
    "from psyrun import AutodetectStore\nstore = AutodetectStore": (
        "store",
        PickleStore,
    ),
    "from psyrun import store": ("store", PickleStore),
    "import psyrun.backend as backend": ("backend", DistributeBackend),
    "from psyrun.backend import LoadBalancingBackend as B\nbackend = B": (
        "backend",
        LoadBalancingBackend,
    ),
    "from psyrun import Slurm\nscheduler = Slurm": ("scheduler", Slurm),
    "scheduler = 'Slurm'": ("scheduler", Slurm),
}


@pytest.mark.parametrize("text", TYPES)
def test_plug_ins_are_given_as_object_class_or_name(load_with, text):
    name, expected = TYPES[text]
    assert type(getattr(load_with(text), name)) is expected


TIME = "it must be a time such as '90s', '10m' or '1h30m', or a number of seconds"
POSITIVE = "it must be an integer of at least 1."
WRONG = {
    "max_jobs = 0": f"max_jobs is 0; {POSITIVE}",
    "max_jobs = True": f"max_jobs is True; {POSITIVE}",
    "max_jobs = -1": f"max_jobs is -1; {POSITIVE} None stands for any number.",
    "min_items = None": f"min_items is None; {POSITIVE}",
    "min_items = 'ten'": f"min_items is 'ten'; {POSITIVE}",
    "pool_size = 1.0": f"pool_size is 1.0; {POSITIVE}",
    "keep_blocks = 1": "keep_blocks is 1; it must be True or False.",
    "overwrite_dirty = 0": "overwrite_dirty is 0; it must be True or False.",
    "timeout = 0": f"timeout is 0; {TIME}, above zero, or None",
    "timeout = -1.5": f"timeout is -1.5; {TIME}, above zero, or None",
    "timeout = 'soon'": f"timeout is 'soon'; {TIME}, or None",
    "timeout = float('nan')": f"timeout is nan; {TIME}, or None",
    "timeout = float('inf')": f"timeout is inf; {TIME}, or None",
    "threads = 0": "threads is 0; it must be an integer of at least 1, 'auto' or None",
    "threads = -2": "threads is -2; it must be an integer of at least 1, 'auto' or",
    "threads = 1.5": "threads is 1.5; it must be an integer of at least 1, 'auto' or",
    "threads = True": "threads is True; it must be an integer of at least 1, 'auto' or",
    "threads = 'all'": "threads is 'all'; it must be an integer of at least 1, 'auto'",
    "timeout = True": f"timeout is True; {TIME}, or None",
    "rate = -1": "rate is -1; it must be a number of at least 0, or None.",
    "rate = True": "rate is True; it must be a number of at least 0, or None.",
    "rate = '0.04'": "rate is '0.04'; it must be a number of at least 0, or None.",
    "rate = float('inf')": "rate is inf; it must be a number of at least 0, or None.",
    "split_and_merge = 'here'": "split_and_merge is 'here'; it must be one of 'auto',",
    "split_and_merge = ['local']": "split_and_merge is ['local']; it must be one of",
    "workdir = ''": "workdir is ''; it must be a path on one line,",
    "workdir = 'a\\nb'": "workdir is 'a\\nb'; it must be a path on one line,",
    "workdir = 3": "workdir is 3; it must be a path on one line,",
    "exclude_from_result = 'y'": "exclude_from_result is 'y'; it must be a list of",
    "file_dep = 'a.csv'": "file_dep is 'a.csv'; it must be a list of paths",
    "file_dep = [1]": "file_dep is [1]; it must be a list of paths",
    "scheduler_args = ['1h']": "scheduler_args is ['1h']; it must be a dictionary",
    "scheduler_args = {1: 2}": "scheduler_args is {1: 2}; it must be a dictionary",
    "backend = 'fast'": "backend is 'fast'; it must be DistributeBackend or",
    "from psyrun.backend import Backend\nbackend = Backend": "backend is <class",
    "scheduler = 3": "scheduler is 3; it must be a scheduler such as ImmediateRun()",
    "scheduler = 'Slrum'": "scheduler: unknown scheduler 'Slrum'. Did you mean",
    "store = 'np'": "store: no store has the extension '.np'; choose one of .h5, .npz,",
    "store = 3": "store is 3; it must be a store such as NpzStore(), or one of .h5,",
    "store = 'npz'\nresultfile = 'r.h5'": "resultfile is 'r.h5', but store is NpzStore",
    "store = 'npz'\nresultfile = 'r'": "resultfile is 'r', but store is NpzStore",
    "resultfile = 'r.txt'": "r.txt: no store has the extension '.txt'",
    "dims = {'y': ['t', 't']}": "dims is {'y': ['t', 't']}; it must be a dictionary",
    "dims = {'y': 'x'}": "dims names an axis 'x', which is a parameter. Choose another",
    "dims = {'y': 'time'}\ncoords = {'tim': [1]}": (
        "coords has 'tim', but dims names no such axis. Did you mean 'time'? Add it to"
    ),
    "dims = {'y': 't', 'z': 1}": "dims is {'y': 't', 'z': 1}; it must be a dictionary",
    "dims = {'y': 't'}\ncoords = {'t': [[1], [2, 3]]}": "coords is {'t': [[1], [2",
    "attrs = {'y': {}, 'z': 'mV'}": "attrs is {'y': {}, 'z': 'mV'}; it must be a",
    "attrs = {'y': {'units': None}}": "attrs is {'y': {'units': None}}; it must be a",
    "match = {'x': -1}": "match is {'x': -1}; it must be a dictionary with a number, 0",
    "match = {'x': True}": "match is {'x': True}; it must be a dictionary with a",
    "match = {'x': float('nan')}": "match is {'x': nan}; it must be a dictionary with",
    "match = {'x': '1e-9'}": "match is {'x': '1e-9'}; it must be a dictionary with",
    "match = {'x': 0.1, 'y': 0.1}": "match has 'y', which is not a parameter of",
    "pspace = Param(beta=[1])\nexecute = dict\nmatch = {'bta': 0.1}": (
        "match has 'bta', which is not a parameter of pspace. Did you mean 'beta'?"
    ),
    "pspace = Param(x=['a'])\nmatch = {'x': 0.1}": (
        "match has 'x', whose values in pspace are no numbers. Remove it."
    ),
    "defaults = {'x': 1, 'y': 2}": "defaults has 'y', which is not a parameter of",
    "defaults = {'x': 1, 2: 2}": "defaults is {'x': 1, 2: 2}; it must be a dictionary",
    "setup = 3": "setup is 3; it must be a function",
    "execute = 3": "execute is 3; it must be a function",
    "pspace = {'x': [1]}": "pspace is {'x': [1]}; it must be a parameter space: unpack",
    "pspace = [1]": "pspace is [1]; it must be a parameter space such as Param(x=",
    "pspace = Param()": "pspace is empty; it must have at least one assignment.",
    "pspace = Param(x=[1]) - Param(x=[1])": "pspace is empty; it must have at least",
    "execute = lambda: {}": "execute() does not take 'x', which is a",
    "def execute(x, z): pass": "execute(x, z) needs 'z', which is not",
    "def setup(): pass": "setup() cannot be called with one argument",
    "def setup(a, b): pass": "setup(a, b) cannot be called with one argument",
    "from psyrun import Slurm\nscheduler = Slurm()\nscheduler_args = {'timelimt': 1}": (
        "scheduler_args: Slurm does not know 'timelimt'. Did you mean 'timelimit'?"
    ),
    "from psyrun import Sqsub\nscheduler = Sqsub()": (
        "scheduler_args: 'timelimit' is missing; Sqsub requires timelimit and memory."
    ),
    "scheduler_args = {}\nschedular_args = {}": "both scheduler_args and",
}


@pytest.mark.parametrize(
    "text",
    [
        "dims = 3",
        "dims = ['t']",
        "dims = {'y': 1}",
        "coords = 3",
        "coords = {'y': [1, 2]}",
        "attrs = ['y']",
        "attrs = {'y': 'mV'}",
        "def dims(): pass",
        "import re\nmatch = re.compile('x').match",
        "match = {'rule': 1}",
        "def defaults(): pass",
        "defaults = {'alpha': 0.1}",
    ],
)
def test_variables_of_task_files_from_before_are_passed_over(load_with, text):
    with pytest.warns(UserWarning, match="taken for a variable of your own") as told:
        task = load_with(text)
    assert len(told) == 1
    assert (task.dims, task.coords, task.attrs) == ({}, {}, {})
    assert (task.match, task.defaults) == ({}, {})


def test_tolerances_and_defaults_are_read(load_with):
    task = load_with("match = {'x': 1}\ndefaults = {'x': [1, 2]}")
    assert (task.match, task.defaults) == ({"x": 1.0}, {"x": [1, 2]})


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_value_gets_one_line(load_with, text):
    with pytest.raises(TaskError) as caught:
        load_with(text)
    message = str(caught.value)
    assert message.startswith(f"psy-tasks/task_a.py: {WRONG[text]}")
    assert "\n" not in message


def test_a_wrong_value_in_the_common_file_names_that_file(load_with):
    with pytest.raises(TaskError, match=r"^psy-tasks/psy-conf.py: max_jobs is 0;"):
        load_with(conf="max_jobs = 0")


def test_a_wrong_value_on_the_command_line_says_so(load_with):
    with pytest.raises(TaskError, match=r"^command line: max_jobs is 0;"):
        load_with(max_jobs=0)
    with pytest.raises(TaskError, match=r"^command line: unknown name 'max_job'"):
        load_with(max_job=1)


@pytest.mark.parametrize("name", ["pspace", "execute"])
def test_what_must_be_set_is_asked_for(load_with, name):
    with pytest.raises(TaskError, match=rf"^psy-tasks/task_a.py: {name} is not set"):
        load_with(f"del {name}")


def test_a_function_may_take_anything(load_with):
    assert load_with("def execute(**parameters): pass")
    assert load_with("def execute(x, z=1): pass")


def test_setup_may_supply_further_arguments(load_with):
    assert load_with("def setup(proc_id): return {'z': 1}\ndef execute(x, z): pass")


def test_old_spelling_is_taken_with_a_warning(load_with):
    with pytest.warns(UserWarning, match=r"task_a.py: schedular_args is taken as"):
        task = load_with("schedular_args = {'timelimit': '1h'}")
    assert task.scheduler_args == {"timelimit": "1h"}


BROKEN = """
class Broken(Param):
    def __len__(self):
        return 1 // 0
pspace = Broken(x=[1])
"""


def test_a_space_that_cannot_be_worked_out_is_named(load_with):
    with pytest.raises(
        TaskError, match=r"pspace could not be worked out: ZeroDivision"
    ):
        load_with(BROKEN)


def test_who_set_a_value_is_named_where_two_disagree(load_with):
    with pytest.raises(TaskError, match=r"^psy-tasks/task_a.py: resultfile is 'r.h5'"):
        load_with("resultfile = 'r.h5'", conf="store = 'npz'")


def test_a_class_that_lacks_methods_is_refused_with_their_names(load_with):
    text = (
        "from psyrun.scheduler import Scheduler\n"
        "class Mine(Scheduler):\n    def submit(self, *args): return 1\n"
        "scheduler = Mine\n"
    )
    with pytest.raises(TaskError, match=r"Mine lacks get_jobs, get_status, kill\.$"):
        load_with(text)


@pytest.mark.parametrize(
    "text", ["rate = 0.04", "import numpy\nrate = numpy.float32(2)"]
)
def test_the_price_of_a_core_hour_is_a_number(load_with, text):
    assert load_with(text).rate in (0.04, 2.0)


def test_a_rate_that_the_file_reads_is_its_own(load_with):
    text = "rate = {'fast': 1}\ndef execute(x):\n    return {'y': rate['fast']}"
    assert load_with(text).rate is None


@pytest.mark.parametrize("text", ["rates = 3", "date = 20261129", "Rate = 1.5"])
def test_words_near_rate_are_the_users_own(load_with, text):
    assert load_with(text).rate is None
