"""Projects whose modules are called as those of Python or of libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import FrozenImporter
from pathlib import Path
from typing import Any

import pytest
from projects import TIMEOUT
from slurm_stand_in import SlurmStandIn

from psyrun import load
from psyrun.utils.resources import shipped

pytestmark = pytest.mark.slow

LIBRARIES = ["numpy", "tables", "yaml", "snakemake", "joblib", "psutil", "platformdirs"]
FREE = [
    name
    for name in sorted(sys.stdlib_module_names)
    if name not in sys.builtin_module_names and not FrozenImporter.find_spec(name)
]
# What Python itself needs to start a program such as ``snakemake``.
OF_PROGRAMS = {
    *("codecs", "collections", "contextlib", "copyreg", "encodings", "enum"),
    *("functools", "heapq", "importlib", "io", "keyword", "operator", "re", "reprlib"),
    *("types", "typing", "warnings", "weakref"),
}

TASK = """\
from psyrun import Param

pspace = Param(x=[1, 2, 3])
max_jobs = 2
store = {store!r}


def execute(x):
    return {{"y": x**2.0}}
"""


def psy(
    folder: Path, *arguments: str, status: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Call psy as the installed command does."""
    return program(folder, "psyrun.cli", *arguments, status=status, **environment)


def program(
    folder: Path, module: str, *arguments: str, status: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def results(folder: Path, ext: str = ".pkl") -> list[Any]:
    return list(load(folder / f"psy-work/a/result{ext}")["y"])


@pytest.mark.parametrize("ext", [".pkl", ".npz", ".h5"])
def test_no_file_of_the_project_is_taken_for_a_library(
    tmp_path: Path, ext: str
) -> None:
    text = "raise RuntimeError(f'{__file__} was imported')"
    files = {"psy-tasks/task_a.py": TASK.format(store=ext)}
    for name in [*FREE, *LIBRARIES]:
        files |= {f"{name}.py": text, f"psy-tasks/{name}.py": text}
    write(tmp_path, files)
    psy(tmp_path, "test")
    assert psy(tmp_path, "run").stderr == ""
    assert results(tmp_path, ext) == [1, 4, 9]
    assert "3/3" in psy(tmp_path, "status", "-v").stdout


@pytest.mark.parametrize("ext", [".pkl", ".npz", ".h5"])
@pytest.mark.parametrize("name", ["queue", "logging", "random", "tables", "statistics"])
def test_the_project_has_its_own_module_and_libraries_theirs(
    tmp_path: Path, ext: str, name: str
) -> None:
    imports = f"import {name} as ours\nfrom {name} import own\n"
    text = TASK.format(store=ext).replace("x**2.0", "own(x) + ours.own(0)")
    own = "import logging, queue, random, statistics\ndef own(x):\n    return x**2.0\n"
    write(tmp_path, {f"{name}.py": own, "psy-tasks/task_a.py": imports + text})
    psy(tmp_path, "test")
    assert psy(tmp_path, "run").stderr == ""
    assert results(tmp_path, ext) == [1, 4, 9]


SIGNAL = """\
import signal
import subprocess  # which needs the signal of Python


def lowpass(x):
    assert signal.lowpass is lowpass
    return x**2.0
"""


def test_a_module_of_python_is_there_behind_that_of_the_project(tmp_path: Path) -> None:
    task = TASK.format(store=".pkl").replace("x**2.0", "signal.lowpass(x)")
    task = f"import signal, types\n{task}    assert signal.SIGTERM == 15\n"
    task += "assert types.SimpleNamespace and types.mine\n"
    task = task.replace("    return", "    assert signal.Signals\n    return")
    write(
        tmp_path,
        {
            "signal.py": SIGNAL,
            "psy-tasks/types.py": "mine = True",
            "psy-tasks/task_a.py": task,
        },
    )
    psy(tmp_path, "test")
    psy(tmp_path, "run")
    assert results(tmp_path) == [1, 4, 9]


def test_a_file_that_cannot_be_imported_gives_way_to_the_module_of_python(
    tmp_path: Path,
) -> None:
    task = "import random\n" + TASK.format(store=".pkl")
    write(
        tmp_path,
        {"random.py": "1 / 0", "psy-tasks/task_a.py": f"{task}random.random()\n"},
    )
    assert "random.py: raised ZeroDivisionError" in psy(tmp_path, "test").stderr
    psy(tmp_path, "run")
    assert results(tmp_path) == [1, 4, 9]


def test_a_package_of_the_project_has_its_own_modules(tmp_path: Path) -> None:
    task = "import json.own\nfrom json.own import f\n" + TASK.format(store=".pkl")
    files = {
        "json/__init__.py": "",
        "json/own.py": "from . import other\nf = other.f",
        "json/other.py": "def f(x):\n    return x**2.0",
        "psy-tasks/task_a.py": task.replace("x**2.0", "f(x) + json.own.f(0)"),
    }
    write(tmp_path, files)
    psy(tmp_path, "test")
    psy(tmp_path, "run")
    assert results(tmp_path) == [1, 4, 9]


@pytest.mark.parametrize("entry", [".", "lib", "{here}", "{here}/lib"])
def test_pythonpath_may_name_the_project(tmp_path: Path, entry: str) -> None:
    text = "raise RuntimeError(f'{__file__} was imported')"
    task = "import helper, os\n" + TASK.format(store=".npz")
    task += "assert os.environ['PYTHONPATH'] == '" + entry.format(here=tmp_path) + "'\n"
    files = {"psy-tasks/task_a.py": task, "lib/helper.py": "", "helper.py": ""}
    for name in {*FREE, *LIBRARIES} - OF_PROGRAMS:
        if not name.startswith("_"):
            files |= {f"{name}.py": text, f"lib/{name}.py": text}
    write(tmp_path, files)
    path = entry.format(here=tmp_path)
    psy(tmp_path, "test", PYTHONPATH=path)
    psy(tmp_path, "run", PYTHONPATH=path)
    assert results(tmp_path, ".npz") == [1, 4, 9]


def test_libraries_in_a_folder_of_the_project_are_those_that_are_used(
    tmp_path: Path,
) -> None:
    task = "import psutil\n" + TASK.format(store=".pkl") + "assert psutil.ours\n"
    files = {
        "psy-tasks/task_a.py": task,
        "libs/psutil.py": "ours = True",
        "libs/psutil-9.dist-info/METADATA": "Name: psutil",
    }
    write(tmp_path, files)
    psy(tmp_path, "run", PYTHONPATH="libs")
    assert results(tmp_path) == [1, 4, 9]


def snakemake(folder: Path, profile: str, **environment: str) -> None:
    options = ["--snakefile", str(shipped("workflow", "Snakefile"))]
    options += ["--profile", str(shipped("profiles", profile)), "--cores", "2"]
    program(folder, "snakemake", *options, **environment)


@pytest.mark.parametrize("entry", ["", "."])
def test_plain_snakemake_and_a_task_do_not_disturb_each_other(
    tmp_path: Path, entry: str
) -> None:
    text = "raise RuntimeError(f'{__file__} was imported')"
    names = ["tables"] if entry else FREE
    files = {f"{name}.py": text for name in names}
    write(tmp_path, files | {"psy-tasks/task_a.py": TASK.format(store=".h5")})
    snakemake(tmp_path, "local", **({"PYTHONPATH": entry} if entry else {}))
    assert results(tmp_path, ".h5") == [1, 4, 9]


@pytest.mark.parametrize("is_plain", [False, True])
def test_jobs_in_a_queue_find_the_libraries(tmp_path: Path, is_plain: bool) -> None:
    project = tmp_path / "project"
    task = "scheduler = 'Slurm'\n" + TASK.format(store=".h5")
    text = "raise RuntimeError(f'{__file__} was imported')"
    files = {f"{name}.py": text for name in [*FREE, "tables"]}
    write(project, files | {"psy-tasks/task_a.py": task})
    queue = SlurmStandIn(tmp_path / "queue")
    queue.hold()
    environment = queue.environment()
    if is_plain:
        snakemake(project, "slurm", **environment)
    else:
        psy(project, "run", **environment)
    assert results(project, ".h5") == [1, 4, 9]


def test_programs_of_the_task_start_as_ever(tmp_path: Path) -> None:
    script = "import helper, os\nassert 'PYTHONSAFEPATH' not in os.environ"
    start = "import subprocess, sys\n    subprocess.run([sys.executable, 'a/b.py']"
    task = TASK.format(store=".pkl").replace(
        "    return", f"    {start}, check=True)\n    return"
    )
    files = {"a/b.py": script, "a/helper.py": "", "psy-tasks/task_a.py": task}
    write(tmp_path, files)
    psy(tmp_path, "run")
    assert results(tmp_path) == [1, 4, 9]


SPAWNING = """\
import signal
from psyrun import Param

pspace = Param(x=[1, 2, 3])
max_jobs = 1


def square(x):
    import queue, subprocess
    return signal.own(x)


def execute(x):
{pool}
"""
POOLS = {
    **{
        method: f"""\
    from multiprocessing import get_context
    with get_context({method!r}).Pool(1) as pool:
        assert pool.map(abs, [-x]) == [x]
        return {{"y": pool.map(square, [x])[0]}}
"""
        for method in ("spawn", "forkserver")
    },
    "joblib": """\
    from joblib import Parallel, delayed
    return {"y": Parallel(n_jobs=2)(delayed(square)(i) for i in (x, x))[0]}
""",
}


@pytest.mark.parametrize("pool", POOLS)
def test_processes_that_a_task_spawns_find_the_libraries(
    tmp_path: Path, pool: str
) -> None:
    if pool == "joblib":
        pytest.importorskip("joblib")
    text = "raise RuntimeError(f'{__file__} was imported')"
    files = {f"{name}.py": text for name in ("queue", "types", "copy", "tempfile")}
    files["signal.py"] = "def own(x):\n    return x**2.0\n"
    write(tmp_path, {**files, "psy-tasks/task_a.py": SPAWNING.format(pool=POOLS[pool])})
    assert "y = 1.0" in psy(tmp_path, "test").stdout
    psy(tmp_path, "run")
    assert results(tmp_path) == [1, 4, 9]
