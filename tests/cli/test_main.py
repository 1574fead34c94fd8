import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from accepting import accept_plan

from psyrun import __version__
from psyrun.cli import SUMMARIES
from psyrun.cli.main import main

PSY = [sys.executable, "-m", "psyrun.cli"]
HEAVY = {"numpy", "snakemake", "tables", "pandas", "rich", "joblib", "psyrun.pspace"}
HEAVY |= {"polars", "pyarrow", "xarray"}
TASK = """\
import time
from psyrun import Param

pspace = Param(x=[1, 2, 3])


def execute(x):
    print("begun", flush=True)
    time.sleep({seconds})
    return {{"y": x}}
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project folder with one task."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("psy-tasks").mkdir()
    Path("psy-tasks/task_sweep.py").write_text(TASK.format(seconds=0))


def run_psy(*arguments):
    return subprocess.run([*PSY, *arguments], capture_output=True, text=True)


def is_one_line(text):
    return text.startswith("psy: ") and text.count("\n") == 1


def test_help_lists_all_commands():
    result = run_psy("--help")
    assert result.returncode == 0
    assert all(f"\n    {verb}" in result.stdout for verb in SUMMARIES)


@pytest.mark.parametrize("verb", SUMMARIES)
def test_every_command_explains_itself(verb):
    result = run_psy(verb, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: psy {verb} ")


def test_the_version_is_printed():
    assert run_psy("--version").stdout == f"psyrun {__version__}\n"


def test_without_a_command_help_is_shown_and_fails(capsys):
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().err


def test_a_misspelt_command_is_told_in_one_line(capsys):
    assert main(["staus"]) == 2
    error = capsys.readouterr().err
    assert is_one_line(error)
    assert "Did you mean 'status'?" in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["--unknown"],
        ["status", "--unknown"],
        ["merge"],
        ["merge", "folder"],
        ["test", "--item", "first"],
        ["run", "-j", "0"],
        ["list", "--taskdir"],
    ],
)
def test_wrong_arguments_are_told_in_one_line(capsys, arguments):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert is_one_line(error)
    assert "--help'" in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("run -j two", "argument -j/--jobs: 'two' is not a whole number."),
        ("run -j 0", "argument -j/--jobs: 0 is less than 1."),
        ("run --max-failures -1", "argument --max-failures: -1 is less than 0."),
        ("test --item first", "argument --item: 'first' is not a whole number."),
        ("doctor --timeout 5m", "argument --timeout: '5m' is not a number of seconds."),
        ("run -k", "unrecognized arguments: -k."),
    ],
)
def test_a_wrong_argument_is_told_by_its_command(capsys, arguments, said):
    verb = arguments.split()[0]
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert error == f"psy: {verb}: {said} See 'psy {verb} --help'.\n"


def test_an_error_has_no_traceback(capsys):
    Path("psy-tasks/task_sweep.py").write_text("import nothing_of_that_name\n")
    assert main(["test"]) == 2
    assert is_one_line(capsys.readouterr().err)


@pytest.mark.parametrize("arguments", [["--debug", "test"], ["test", "--debug"]])
def test_debug_shows_the_cause_of_an_error(capsys, arguments):
    Path("psy-tasks/task_sweep.py").write_text("import nothing_of_that_name\n")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "import nothing_of_that_name\n" in error
    assert is_one_line(error[error.rindex("psy: ") :])


def test_an_error_of_the_system_is_told_in_one_line(capsys):
    Path("workflow").touch()
    assert main(["init"]) == 2
    error = capsys.readouterr().err
    assert is_one_line(error)
    assert "workflow" in error


def test_a_warning_is_told_in_one_line():
    with Path("psy-tasks/task_sweep.py").open("a") as file:
        file.write("schedular_args = {}\n")
    result = run_psy("test")
    assert result.returncode == 0
    assert is_one_line(result.stderr)
    assert "schedular_args" in result.stderr


def test_an_interruption_is_told_in_one_line():
    Path("psy-tasks/task_sweep.py").write_text(TASK.format(seconds=100))
    pipe = subprocess.PIPE
    with subprocess.Popen([*PSY, "test"], stdout=pipe, stderr=pipe, text=True) as psy:
        while psy.stdout.readline() != "begun\n":
            pass
        psy.send_signal(signal.SIGINT)
        error = psy.communicate()[1]
    assert psy.returncode == 130
    assert error == "psy: interrupted.\n"


def test_a_reader_that_leaves_is_no_error():
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [*PSY, "help", "task-file"]
    psy = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    assert psy.stderr == ""
    assert psy.returncode == 141


def test_arguments_after_two_dashes_go_to_snakemake():
    result = run_psy("run", "sweep", "--", "--not-an-option-of-snakemake")
    assert result.returncode != 0
    log = Path("psy-work/sweep/snakemake.log").read_text()
    assert "--not-an-option-of-snakemake" in log


@pytest.mark.parametrize(
    "arguments", [["list"], ["status"], ["help"], ["snakefile"], ["kill", "sweep"]]
)
def test_quick_commands_import_nothing_heavy(arguments):
    assert imported_by(arguments) & HEAVY == set()


def test_the_status_of_a_finished_task_imports_nothing_heavy():
    assert run_psy("run", "sweep").returncode == 0
    assert imported_by(["status"]) & HEAVY == set()


def imported_by(arguments):
    """Return the modules that a call of psy imports."""
    program = (
        "import sys; from psyrun.cli.main import main; main(sys.argv[1:]); "
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(result.stderr.split("\n"))


LARGE = """\
from psyrun import Param

pspace = Param(x=range(100_000))
max_jobs = 4


def execute(x):
    return {"y": x}
"""


@pytest.mark.slow
def test_answers_take_at_most_twice_the_time_to_import_numpy():
    Path("psy-tasks/task_sweep.py").write_text(LARGE)
    assert run_psy("run", "sweep").returncode == 0
    numpy = shortest_time([sys.executable, "-c", "import numpy"])
    assert shortest_time([*PSY, "--help"]) <= 2 * numpy
    assert shortest_time([*PSY, "list"]) <= 2 * numpy
    assert shortest_time([*PSY, "status"]) <= 2 * numpy


def shortest_time(command, repeats=7):
    """Return how long a command computes at least, in seconds of a processor."""
    times = []
    for _ in range(repeats):
        before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        subprocess.run(command, check=True, capture_output=True)
        times.append(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before)
    return min(times)


def test_a_fault_of_psyrun_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: object) -> int:
        raise RuntimeError("broken\nin \x1b[31mtwo lines")

    monkeypatch.setattr("psyrun.cli.list.execute", fail)
    assert main(["list"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(r"psy: RuntimeError: broken in \x1b[31mtwo lines. This is")
    assert told.count("\n") == 1 and "--debug" in told
    with pytest.raises(RuntimeError):
        main(["list", "--debug"])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("doctor --repair", "Go on with 'psy run {}'."),
        ("attach", "Start one with 'psy run --detach {}'."),
        ("plot", "Go on with 'psy run {}', or try again later."),
    ],
)
def test_advice_after_a_run_of_a_part_is_about_that_part(
    psy, write_task, command, said
):
    task = accept_plan(write_task(), part=("x=2,3",))
    task.release()
    result = psy(*command.split(), "square")
    assert said.format("-p x=2,3 square") in result.out + result.err
