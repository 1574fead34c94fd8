"""Task files, values, results and command lines that cannot be: one line for each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from psyrun.cli.main import main

TASK = """\
from psyrun import Param

pspace = Param(x=[1, 2])
{lines}

def execute(x):
    {body}
"""


def task(lines: str = "", body: str = 'return {"y": x}', space: str = "") -> bytes:
    text = TASK.format(lines=lines, body=body)
    text = text.replace("Param(x=[1, 2])", space) if space else text
    return text.encode("utf-8", "surrogatepass")


def with_header(header: str) -> bytes:
    return task().replace(b"execute(x)", header.encode())


SLURM = 'scheduler = "Slurm"\nscheduler_args = '
FILES = {
    "an unknown encoding": (
        b"# -*- coding: klingon -*-\n" + task(),
        "unknown encoding",
    ),
    "UTF-16": (task().decode().encode("utf-16"), "null bytes"),
    "deep brackets": (task("z = " + "(" * 300 + "1" + ")" * 300), "nested parenth"),
    "a deep expression": (task("z = " + "-" * 100_000 + "1"), "nested too deeply"),
    "an asynchronous function": (
        task().replace(b"def execute", b"async def execute"),
        "execute is an asynchronous function",
    ),
    "a generator": (task(body='yield {"y": x}'), "execute is a generator"),
    "an asynchronous setup": (
        task("async def setup(proc_id):\n    return {}"),
        "setup is an asynchronous function",
    ),
    "a generator as setup": (
        task("def setup(proc_id):\n    yield {}"),
        "setup is a generator",
    ),
    "arguments by position": (with_header("execute(x, /)"), "does not take 'x'"),
    "any arguments by position": (with_header("execute(*x)"), "does not take 'x'"),
    "a removed function": (task() + b"\ndel execute\n", "execute is not set"),
    "a function as space": (task(space="lambda: Param(x=[1])"), "pspace is <function"),
    "the class as space": (task(space="Param"), "pspace is <class"),
    "a set": (task(space="Param(x={1, 2})"), "'x' is a set, which has no order"),
    "no rows": (task(space='Param(x=__import__("numpy").zeros((0, 3)))'), "is empty"),
    "an unknown key": (task(space="Param(x=[1]) - Param(z=[1])"), "`z` not existent"),
    "a number times": (task(space="Param(x=[1]) * 3"), "unsupported operand"),
    "a list more": (task(space="Param(x=[1]) + [3]"), "unsupported operand"),
    "a key twice": (task(space="Param(x=[1]) * Param(x=[3])"), "exists in both"),
    "a huge space": (
        task(space="Param(x=range(10**18)) * Param(y=range(10**18))"),
        "has 1e+36 points",
    ),
    "a keyword": (task(space='Param(**{"for": [1]})'), "does not take 'for'"),
    "an empty name": (task(space='Param(**{"": [1]})'), "does not take ''"),
    "a number as name": (task(space="Param(**{1: [1]})"), "keywords must be strings"),
    "a module": (task(space='Param(x=[__import__("os")])'), "value of type module"),
    "an open file": (
        task(space='Param(x=[__import__("sys").__stdout__])'),
        "TextIOWrapper",
    ),
    "a generator as value": (task(space="Param(x=[(i for i in [])])"), "generator"),
    "a lock": (task(space='Param(x=[__import__("_thread").allocate_lock()])'), "lock"),
    "infinite jobs": (task('max_jobs = float("inf")'), "max_jobs is inf"),
    "a fraction of failures": (task("max_failures = 1.5"), "max_failures is 1.5"),
    "all failures": (task('max_failures = "all"'), "max_failures is 'all'"),
    "a path of bytes": (task('workdir = b"x"'), "workdir is b'x'"),
    "a path in a device": (task('workdir = "/dev/null/x"'), "is not a folder"),
    "a zero byte": (task('workdir = "\\0"'), "workdir is '\\x00'"),
    "a long name": (task('workdir = "a" * 300'), "File name too long"),
    "a deep path": (task('workdir = "/" + "a/" * 3000'), "File name too long"),
    "the root as result": (task('resultfile = "/"'), "has the extension ''"),
    "a task file as result": (
        task('resultfile = "psy-tasks/task_a.py"'),
        "no store has the extension '.py'",
    ),
    "a long result": (task('resultfile = "a" * 300 + ".pkl"'), "File name too long"),
    "a surrogate": (task('resultfile = "\\ud800.pkl"'), "a path in UTF-8"),
    "a list of results": (task('resultfile = ["r.pkl"]'), "resultfile is ['r.pkl']"),
    "endless data": (task('file_dep = ["/dev/zero"]'), "neither a file nor a folder"),
    "a pipe as data": (task('file_dep = ["pipe"]'), "neither a file nor a folder"),
    "zero bytes in data": (task('file_dep = ["\\0"]'), "file_dep is ['\\x00']"),
    "nothing as data": (task('file_dep = [""]'), "file_dep is ['']"),
    "memory as data": (task('file_dep = ["/proc/self/mem"]'), "cannot be read"),
    "a function as queue": (task("scheduler = print"), "scheduler is <built-in"),
    "no queue": (task('scheduler = ""'), "unknown scheduler ''"),
    "pairs of arguments": (
        task('scheduler_args = [("timelimit", "1h")]'),
        "it must be a dictionary",
    ),
    "no time": (task(SLURM + '{"timelimit": float("nan")}'), "'timelimit' is nan"),
    "negative time": (task(SLURM + '{"timelimit": "-1h"}'), "'timelimit' is '-1h'"),
    "unknown units": (task(SLURM + '{"memory": "1 Zettabyte"}'), "1 Zettabyte"),
    "no processors": (task(SLURM + '{"n_cpus": 0}'), "'n_cpus' is 0"),
    "a function of nothing": (
        task(SLURM + '{"timelimit": lambda: "1h"}'),
        "takes 0 positional arguments",
    ),
    "a function that exits": (
        task(SLURM + '{"timelimit": lambda name: exit(0)}'),
        "the function for 'timelimit' raised SystemExit: 0",
    ),
    "a space that exits": (
        task(
            "class Values(list):\n    def __len__(self): exit(0)\n"
            "pspace = Param(x=Values([1, 2]))"
        ),
        "SystemExit: 0",
    ),
    "a line more": (task(SLURM + '{"timelimit": "1h\\n#SBATCH --x"}'), "#SBATCH"),
    "a class that is no store": (task("store = object"), "store is <class 'object'>"),
    "a compressed store": (task('store = "pkl.gz"'), "'.pkl.gz'"),
    "a number as backend": (task("backend = 3"), "backend is 3"),
    "no python": (task('python = "no-such-python"'), "which is no program"),
    "a folder as python": (task('python = "/"'), "which is no program"),
    "numbers of keys": (
        task("exclude_from_result = [1]"),
        "exclude_from_result is [1]",
    ),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "psy-tasks").mkdir()
    (tmp_path / "psy-tasks/task_a.py").write_bytes(task())
    (tmp_path / "psy-work/a").mkdir(parents=True)
    (tmp_path / "psy-work/a/result.pkl").write_bytes(b"kept")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Check that a command has one line to say and changes nothing; return that."""
    before = sorted(Path().rglob("*"))
    status = main(arguments)
    said = capfd.readouterr().err.splitlines()
    assert status == 2, said
    said = [line for line in said if "warning: " not in line]
    assert len(said) == 1, said
    assert said[0].startswith("psy: ")
    assert (
        sorted(p for p in Path().rglob("*") if "__pycache__" not in p.parts) == before
    )
    assert Path("psy-work/a/result.pkl").read_bytes() == b"kept"
    return said[0]


@pytest.mark.parametrize("case", FILES)
def test_a_task_file_is_refused(project, capfd, case) -> None:
    text, what = FILES[case]
    (project / "psy-tasks/task_a.py").write_bytes(text)
    assert what in refused(["run", "-n"], capfd)


COMMANDS = {
    "run ../a": "there is no task '../a'",
    "run task_a.py": "Did you mean 'a'?",
    "run --taskdir /dev/null": "/dev/null: there is no such folder",
    "run --taskdir psy-tasks/task_a.py": "there is no such folder",
    "run -j 1.5": "'1.5' is not a whole number",
    "run --max-failures 1e3": "'1e3' is not a whole number",
    "run -c=1": "ignored explicit argument '1'",
    "run --detach=foo a": "ignored explicit argument 'foo'",
    f"list --taskdir {'a' * 5000}": "File name too long",
    "test --item 99 a": "there is no assignment 99",
    "test --item -1 a": "there is no assignment -1",
    "debug a 99": "there is no assignment 99",
    "merge . /dev/null": "no store has the extension ''",
    "merge /dev/null x.pkl": "/dev/null: there is no such folder",
    "merge psy-tasks psy-tasks/x.pkl": "there are no files with the extension",
    "new-task a": "exists already",
    "new-task a/b": "task name 'a/b'",
    "new-task ..": "task name '..'",
    "profile ../x": "unknown profile '../x'",
    "help nothing": "there is no help on 'nothing'",
    "failed a b": "there is no task 'b'",
    "doctor --timeout nan": "'nan' is not a number of seconds",
    "doctor --timeout -5": "'-5' is not a number of seconds",
    "doctor --timeout 1e400": "'1e400' is not a number of seconds",
    "snakefile x": "unrecognized arguments: x",
    "status a\nb": r"'a\nb'",
    "kill \x1b[2J": r"'\x1b[2J'",
    "clean a\0b": r"'a\x00b'",
    "attach a\udcff": r"'a\udcff'",
}


@pytest.mark.parametrize("command", COMMANDS, ids=ascii)
def test_a_command_line_is_refused(project, capfd, command) -> None:
    assert COMMANDS[command] in refused(command.split(" "), capfd)


RESULTS = {
    'return type("D", (dict,), {"items": lambda self: 1 / 0})(y=1)': (
        "execute returned D, which cannot be read as a dict (ZeroDivisionError: "
    ),
    'return {"y": __import__("os")}': "a value of type module",
    'return {"y": type("C", (), {"__reduce__": lambda self: 1 / 0})()}': "of type C",
    'return {"y": (i for i in [])}': "a value of type generator",
    'return {("a", "b"): 1}': "execute returned the key ('a', 'b') of type tuple",
}


@pytest.mark.parametrize("body", RESULTS)
def test_a_result_is_refused(project, capfd, body) -> None:
    (project / "psy-tasks/task_a.py").write_bytes(task(body=body))
    assert main(["test", "a"]) == 1
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert RESULTS[body] in said[0]
    assert "fault of psyrun" not in said[0]


def test_a_common_file_that_is_none_is_not_passed_over(project, capfd) -> None:
    conf = project / "psy-tasks/psy-conf.py"
    conf.symlink_to("/nowhere/psy-conf.py")
    assert "is a link to '/nowhere/psy-conf.py'" in refused(["run"], capfd)
    conf.unlink()
    conf.mkdir()
    assert "psy-conf.py: is no file" in refused(["run"], capfd)
    conf.rmdir()
    os.mkfifo(conf)
    assert "psy-conf.py: is no file" in refused(["run"], capfd)


def test_a_module_that_answers_for_all_names(project, capfd) -> None:
    refuse = "def __getattr__(name):\n    raise ValueError(name)\n"
    (project / "psy-work/a/result.pkl").unlink()
    (project / "psy-tasks/task_a.py").write_bytes(task(refuse))
    assert main(["run", "-n"]) == 0
    assert capfd.readouterr().err == ""
