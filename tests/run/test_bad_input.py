"""What users can get wrong: one clear line, exit status 2, nothing lost."""

from __future__ import annotations

import os
import shutil
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from projects import COUNTED, Project, wait_until

from psyrun.cli.main import main
from psyrun.queue.ledger import Intent, Ledger
from psyrun.store.npz import NpzStore
from psyrun.store.registry import store_for
from psyrun.workdir.copies import settle
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import Lock

Refused = Callable[..., str]
TASKFILE = "psy-tasks/task_a.py"
LAST_ROW = '    return {"y": x**2}\n'


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project whose task `a` has a result."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.write(COUNTED)
    project.psy("run")
    project.calls()
    return project.folder


@pytest.fixture
def project(finished, tmp_path, monkeypatch) -> Iterator[Project]:
    """A copy of it, which is the current folder; imports of tasks are undone."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    # What is copied is noted once, by whatever looks at it first.
    settle(TaskLayout(folder / "psy-work/a"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield Project(folder)
    for name in set(sys.modules) - before:
        if name.startswith(("task_", "psy-conf")):
            del sys.modules[name]


@pytest.fixture
def refused(project, capfd) -> Refused:
    """Call psy, which has to refuse in one line and to leave every file alone."""

    def refused(*arguments: str) -> str:
        before = contents()
        capfd.readouterr()
        assert main(arguments) == 2
        error = capfd.readouterr().err
        assert error.startswith("psy: ")
        assert error.count("\n") == 1
        assert contents() == before
        return error

    return refused


def contents() -> dict[Path, bytes]:
    """Return all files of the current folder."""
    files = (path for path in Path().rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files}


def cut(path: Path) -> None:
    """Lose the second half of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def with_space(space: str) -> str:
    return COUNTED.replace("Param(x=[1, 2, 3, 4])", space)


def with_arguments(arguments: str) -> str:
    return COUNTED.replace("execute(x)", f"execute({arguments})")


def with_result(lines: str) -> str:
    """Return a task file whose `execute` ends otherwise."""
    return COUNTED.replace(LAST_ROW, lines)


INCOMPARABLE = """\
class Odd:
    def __eq__(self, other):
        raise TypeError("no comparison")


"""
WRONG_TASKS = {
    "syntax error": ("x = 1\ndef f(:\n", ":2: invalid syntax.", "Correct the syntax"),
    "raises": ("raise ValueError('no')\n", ":1: raised ValueError: no", "Correct it"),
    "no space": ("def execute(x):\n    pass\n", "pspace is not set.", "Add it"),
    "no function": (
        COUNTED.replace("execute", "evaluate"),
        "execute is not set.",
        "Add it",
    ),
    "no space but a list": (
        with_space("[1, 2]"),
        "pspace is [1, 2]; it must be a parameter space",
        "Param(x=[1, 2, 3])",
    ),
    "parameter that nobody takes": (
        with_arguments("z"),
        "execute(z) does not take 'x'",
        "Add it to execute, or remove it from pspace.",
    ),
    "argument that nobody gives": (
        with_arguments("x, z"),
        "execute(x, z) needs 'z'",
        "Add it to pspace, give it a default, or return it from setup(proc_id).",
    ),
    "empty space": (
        with_space("Param(x=[])"),
        "pspace is empty; it must have at least one assignment.",
        "Check the sequences",
    ),
    "space that cannot be compared": (
        INCOMPARABLE + with_space("Param(x=[Odd()]) - Param(x=[Odd()])"),
        "parameter 'x' holds values of type Odd that cannot be compared",
        "use numbers, strings or tuples",
    ),
    "seed sequences": (
        "import numpy as np\n"
        + with_space("Param(x=np.random.SeedSequence(1).spawn(3))"),
        "parameter 'x' holds values of type SeedSequence",
        "Multiply by psyrun.pspace.replicates(20, seed=1) instead",
    ),
    "replicates that nobody takes": (
        "from psyrun.pspace import replicates\n"
        + with_space("Param(x=[1]) * replicates(3)"),
        "takes neither 'rng', a random generator, nor 'seed', an integer",
        "Give it one of these arguments",
    ),
    "sequences of two lengths": (
        with_space("Param(x=[1, 2], z=[1])"),
        "not equally long (x: 2, z: 1)",
        "give them one length, or multiply",
    ),
}
WRONG_LINES = {
    "max_jobs = 0": ("max_jobs is 0", "an integer of at least 1"),
    "min_items = 'ten'": ("min_items is 'ten'", "an integer of at least 1"),
    "max_job = 3": ("unknown name 'max_job'", "Did you mean 'max_jobs'?"),
    "store = 'sql'": ("no store has the extension '.sql'", "choose one of .h5, .npz"),
    "store = 3": ("store is 3", "it must be a store such as NpzStore()"),
    "store = 'npz'\nresultfile = 'r.pkl'": (
        "resultfile is 'r.pkl', but store is NpzStore",
        "Give the result that extension, or choose the store",
    ),
    "resultfile = 'r.txt'": ("no store has the extension '.txt'", "choose one of"),
    f"workdir = '{TASKFILE}'": (
        f"workdir is '{TASKFILE}', but '{TASKFILE}' is not a folder.",
        "Choose another path, or remove that file.",
    ),
    f"resultfile = '{TASKFILE}/sub/r.pkl'": (
        f"resultfile is '{TASKFILE}/sub/r.pkl', but '{TASKFILE}' is not a folder.",
        "Choose another path, or remove that file.",
    ),
    "workdir = 'a{b}'": ("workdir is 'a{b}'", "Choose another path."),
    "file_dep = ['data.csv']": (
        "file_dep has 'data.csv', which cannot be read",
        "Put it there, or take it out",
    ),
    "scheduler = 'Slurm'\nscheduler_args = {'timelimit': 'an hour'}": (
        "timelimit",
        "'15m'",
    ),
    "scheduler = 'Sqsub'\nscheduler_args = {'timelimit': '1h'}": (
        "'memory' is missing",
        "Sqsub requires timelimit and memory",
    ),
}


@pytest.mark.parametrize("case", WRONG_TASKS)
def test_a_wrong_task_file_is_refused(project, refused, case):
    text, what, todo = WRONG_TASKS[case]
    project.write(text)
    error = refused("run")
    assert error.startswith(f"psy: {TASKFILE}:")
    assert what in error
    assert todo in error


@pytest.mark.parametrize("lines", WRONG_LINES)
def test_a_wrong_special_variable_is_refused(project, refused, lines):
    what, todo = WRONG_LINES[lines]
    project.write(f"{COUNTED}{lines}\n")
    error = refused("run")
    assert error.startswith(f"psy: {TASKFILE}: ")
    assert what in error
    assert todo in error


@pytest.mark.parametrize("case", WRONG_TASKS)
def test_debug_shows_where_an_error_comes_from(project, capfd, case):
    project.write(WRONG_TASKS[case][0])
    assert main(["--debug", "run"]) == 2
    error = capfd.readouterr().err
    assert "Traceback (most recent call last)" in error
    assert error.splitlines()[-1].startswith(f"psy: {TASKFILE}:")


def test_a_wrong_task_ends_the_command_itself_with_status_two(project):
    project.edit("max_jobs = 2", "max_jobs = 0")
    result = project.psy("run", status=2)
    assert result.stdout == ""
    assert result.stderr.startswith(f"psy: {TASKFILE}: max_jobs is 0;")
    assert project.result()["y"] == [1, 4, 9, 16]
    assert project.calls() == []


def test_one_wrong_task_stops_no_other(project, capfd):
    project.write(COUNTED + "max_jobs = 0\n", "wrong")
    project.edit("x**2", "x**3")
    assert main(["run"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "task_wrong.py: max_jobs is 0" in line
    assert project.calls() == [1, 2, 3, 4]


def test_setup_may_give_the_argument_that_the_space_lacks(project):
    project.write(with_arguments("x, z") + "def setup(proc_id): return {'z': 1}\n")
    assert main(["test"]) == 0


def test_a_result_that_is_a_folder_is_refused(project, refused):
    Path("mine.pkl").mkdir()
    project.write(COUNTED + "resultfile = 'mine.pkl'\n")
    assert "'mine.pkl', which is a folder; it must be a file." in refused("run")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_work_folder_that_cannot_be_written_to_is_refused(project, refused):
    project.write(COUNTED + "workdir = '/proc/psyrun'\n")
    assert refused("run").startswith("psy: /proc/psyrun")


def test_a_python_without_psyrun_is_refused(project, refused):
    venv.create("other")
    project.edit("x**2", "x**3")
    project.write(project.taskfile().read_text() + "python = 'other/bin/python'\n")
    error = refused("run")
    assert f"{TASKFILE}: python is 'other/bin/python', which cannot import" in error
    assert "No module named 'psyrun'" in error
    assert "'other/bin/python -m pip install psyrun'" in error


HUGE = "Param(x=range(10**5)) * Param(z=range(10**5))"


@pytest.fixture
def little_memory(project, monkeypatch):
    """A project whose task is too large for a list of its assignments."""
    # Lists of indices take 80 GB; else a machine may have as much.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))"
    Path("sitecustomize.py").write_text(limit)
    monkeypatch.setenv("PYTHONPATH", str(Path().absolute()))
    project.write(with_space(HUGE).replace("execute(x)", "execute(x, z)"))
    return project


def test_a_space_too_large_for_the_memory_is_told_in_one_line(little_memory):
    matching = little_memory.psy("run", "-n", "-c", status=2).stderr
    little_memory.edit("max_jobs = 2", "max_jobs = 1")
    running = little_memory.psy("run", "-q", status=2).stderr
    told = "psy-tasks/task_a.py: pspace has 10000000000 assignments, and a list of them"
    for error in (matching, running):
        assert told in error
        assert "Make it smaller" in error
        assert "Traceback" not in error
        assert "MemoryError" not in error
    little_memory.edit(HUGE, f"{HUGE} - Param(x=[3])")
    error = little_memory.psy("run", status=2).stderr
    assert error.startswith(f"psy: {TASKFILE}: pspace takes more memory than there is")
    assert error.count("\n") == 1


def test_a_project_folder_whose_name_is_a_pattern_is_refused(tmp_path):
    moved = Project(tmp_path / "of {x}")
    moved.write(COUNTED)
    error = moved.psy("run", status=2).stderr
    assert error.startswith(f"psy: {moved.folder}: the path of the project folder")
    assert error.count("\n") == 1


def test_a_project_folder_that_snakemake_cannot_write_to_is_refused(project):
    shutil.rmtree(".snakemake")
    Path(".snakemake").touch()
    assert main(["run"]) == 0
    project.edit("x**2", "x**3")
    error = project.psy("run", status=2).stderr
    assert f"{project.folder}/.snakemake: cannot be written to (File exists)" in error
    assert "Run 'psy' in a folder that you may write to" in error
    assert error.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_project_folder_is_refused(project, tmp_path):
    project.write(COUNTED + f"workdir = {str(tmp_path / 'work')!r}\n")
    shutil.rmtree(".snakemake")
    Path().chmod(0o500)
    error = project.psy("run", status=2).stderr
    Path().chmod(0o700)
    assert f"{project.folder}/.snakemake: cannot be written to (Permission" in error
    assert error.count("\n") == 1


def test_an_error_of_the_common_file_names_it(refused):
    Path("psy-tasks/psy-conf.py").write_text("max_jobs = (\n")
    assert refused("run").startswith("psy: psy-tasks/psy-conf.py:1: '(' was never")


# Names and folders


@pytest.mark.parametrize("name", ["x,y", "x{y}", "x\ny", "x y"])
def test_a_task_file_with_an_unsafe_name_is_refused(project, refused, name):
    project.write(COUNTED, name)
    error = refused("run")
    assert repr(f"psy-tasks/task_{name}.py") in error
    assert "only letters (a-z, A-Z), digits, '_', '-' and '.' are allowed" in error
    assert "Choose another name." in error


@pytest.mark.parametrize("words", [["run", "a"], ["list"], ["status"], ["clean", "a"]])
def test_a_task_file_with_an_unsafe_name_does_not_stop_what_is_not_about_it(
    project, words
):
    project.write(COUNTED, "a (copy)")
    told = project.psy(*words)
    assert told.stderr.startswith("psy: warning: 'psy-tasks/task_a (copy).py': task ")
    assert told.stderr.endswith(" Choose another name. The file is left out.\n")
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["run", "clean", "kill", "status"])
def test_the_name_of_a_task_file_hints_at_the_task(refused, verb):
    assert "Did you mean 'a'?" in refused(verb, "task_a")
    assert "Did you mean 'a'?" in refused(verb, TASKFILE)


@pytest.mark.parametrize("name", ["x/y", "x,y", "x{y}", "x\ny", ".."])
def test_no_task_file_gets_an_unsafe_name(refused, name):
    assert "only letters (a-z, A-Z), digits" in refused("new-task", name)


@pytest.mark.parametrize("verb", ["run", "list", "status"])
def test_two_tasks_with_one_name_are_refused(project, refused, verb):
    project.write(COUNTED, "b.c")
    project.write(COUNTED, "b-c")
    error = refused(verb)
    assert "psy-tasks/task_b-c.py and psy-tasks/task_b.c.py: two tasks with" in error
    assert "Rename one." in error


@pytest.mark.parametrize("verb", ["run", "list", "status", "test", "clean", "kill"])
def test_a_missing_folder_of_task_files_is_refused(project, refused, verb):
    names = {"clean": ["a"], "kill": ["a"]}.get(verb, [])
    error = refused(verb, *names, "--taskdir", "nowhere")
    assert error.startswith("psy: nowhere: there is no such folder of task files.")
    shutil.rmtree("psy-tasks")
    error = refused(verb, *names)
    assert error.startswith("psy: psy-tasks: there is no such folder of task files.")
    assert "Create a task with 'psy new-task NAME'" in error


@pytest.mark.parametrize("verb", ["run", "status", "test", "clean", "kill"])
def test_an_unknown_task_is_refused_with_the_close_ones(project, refused, verb):
    project.write(COUNTED, "square")
    error = refused(verb, "sqare")
    assert error.startswith("psy: psy-tasks: there is no task 'sqare'.")
    assert "Did you mean 'square'?" in error
    assert "See all tasks with 'psy list'." in error


def test_the_status_of_a_wrong_task_is_shown_beside_that_of_others(project, capfd):
    project.write("def execute(x:\n")
    project.write(COUNTED, "b")
    assert main(["status"]) == 0
    out = capfd.readouterr().out
    assert "unreadable  4/4" in out
    assert "psy-tasks/task_a.py:1: '(' was never closed." in out
    assert "\nb     new" in out


# Damaged files


@pytest.fixture(params=["pkl", "npz", "h5"])
def parts(project, request) -> Callable[[str], Path]:
    """Return the paths of data files of a format; two of them are in a folder."""
    Path("parts").mkdir()

    def path(name: str) -> Path:
        return Path(f"{name}.{request.param}")

    for part in (path("parts/0"), path("parts/1")):
        store_for(part).save(part, {"x": [1, 2], "y": [0.5, 1.5]})
    return path


def test_a_truncated_store_file_is_named_and_the_former_merge_kept(parts, refused):
    assert main(["merge", "parts", str(parts("all"))]) == 0
    cut(parts("parts/1"))
    error = refused("merge", "parts", str(parts("all")))
    assert error.startswith(f"psy: {parts('parts/1')}: ")
    assert "a copy of" in error


def test_an_empty_folder_is_not_merged(refused):
    Path("empty").mkdir()
    error = refused("merge", "empty", "psy-work/a/result.pkl")
    assert error.startswith("psy: empty: there are no files with the extension '.pkl'")
    assert "check the folder" in error


@pytest.mark.parametrize("verb", [["run", "-n"], ["failed", "a"], ["run", "-n", "-c"]])
def test_a_damaged_record_is_named(project, refused, verb):
    (project.work() / "state.json").write_text("{")
    error = refused(*verb)
    assert error.startswith("psy: psy-work/a/state.json: is not JSON")
    assert "'psy doctor --repair a'" in error


@pytest.mark.parametrize("are_known", [True, False])
def test_a_truncated_record_of_jobs_says_to_cancel_them_first(
    project, refused, are_known
):
    one = ("a:process:0",)
    slurm = "psyrun.scheduler.slurm:Slurm"
    ledger = Ledger(TaskLayout(project.work()))
    batch = ledger.begin(Intent(one[0], one, one, ("true",), 1, slurm, {}))
    if are_known:
        batch.note_ids({0: "17_0", 1: "17_1"})
    cut(batch.folder / "array.json")
    error = refused("run")
    assert f"queue/{batch.key}/array.json: is damaged" in error
    which = "17_0, 17_1" if are_known else f"that show '{batch.key}'"
    assert f"Cancel the jobs {which} first" in error
    assert "delete the folder" in error


def test_a_run_that_goes_on_is_told_of_before_what_a_change_would_do(project, capfd):
    project.edit("x**2", "x**3")
    layout = TaskLayout(project.work())
    with Lock(layout.lock, "task 'a'"):
        assert main(["run"]) == 2
    output, errors = capfd.readouterr()
    assert "is run by process" in errors
    assert "computed again" not in output
    assert main(["run", "-n"]) == 0
    assert "computed again" in capfd.readouterr().out


def test_a_truncated_frozen_space_is_named(project, refused):
    cut(project.work() / "round-1/space.pkl")
    project.edit("x**2", "x**3")
    error = refused("run", "-n", "--continue")
    assert error.startswith("psy: psy-work/a/round-1/space.pkl: ")
    assert "'psy doctor --repair a'" in error


def test_a_truncated_result_is_named_when_it_is_to_be_added_to(project, refused):
    (project.work() / "state.json").unlink()
    shutil.rmtree(project.work() / "round-1")
    cut(project.work() / "result.pkl")
    error = refused("run", "--continue")
    assert error.startswith("psy: psy-work/a/result.pkl: is not a pickle or not whole")


def test_a_truncated_block_does_not_matter_once_the_result_has_its_rows(project):
    cut(project.work() / "round-1/blocks/0.pkl")
    (project.work() / "result.pkl").unlink()
    project.psy("run")
    assert project.calls() == []
    assert project.result()["x"] == [1, 2, 3, 4]


def test_values_that_cannot_be_compared_are_named_when_a_sweep_goes_on(
    project, refused
):
    space = "Param(x=[Odd(), Odd()])"
    project.write(INCOMPARABLE + with_space(space))
    error = refused("run", "--continue")
    assert "parameter 'x' holds values of type Odd that cannot be compared" in error
    assert "use numbers, strings or tuples" in error


def test_values_that_cannot_be_compared_are_warned_of_on_the_first_run(tmp_path):
    project = Project(tmp_path)
    project.write(INCOMPARABLE + with_space("Param(x=[Odd(), Odd()])"))
    warning = project.psy("run", "-n").stderr
    assert "parameter 'x' holds values of type Odd that cannot be compared" in warning


# Cleaning


SLOW = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(x=[1])


def execute(x):
    Path("begun").touch()
    while not Path("go-on").exists():
        time.sleep(0.01)
    return {"y": x}
"""


def test_a_task_is_not_cleaned_while_it_runs(project, capfd):
    project.write(SLOW, "slow")
    run = project.start("psyrun.cli", "run", "slow")
    wait_until(Path("begun").exists)
    status = main(["clean", "slow"])
    Path("go-on").touch()
    run.communicate(timeout=60)
    assert (status, run.returncode) == (2, 0)
    error = capfd.readouterr().err
    assert error.startswith(f"psy: task 'slow' is run by process {run.pid} on ")
    assert "Stop it with 'psy kill slow', then clean it." in error
    assert project.result("slow") == {"x": [1], "y": [1]}


def test_cleaning_twice_finds_nothing_the_second_time(project, capfd):
    assert main(["clean", "a"]) == 0
    capfd.readouterr()
    assert main(["clean", "a"]) == 0
    assert capfd.readouterr() == ("a: there is nothing to remove\n", "")


def test_cleaning_twice_at_once_hurts_nobody(project):
    cleaning = [project.start("psyrun.cli", "clean", "a") for _ in range(3)]
    ended = [(*clean.communicate(timeout=60), clean.returncode) for clean in cleaning]
    assert sum("removed" in out for out, _, _ in ended) == 1
    assert {status for _, _, status in ended} <= {0, 2}
    assert all(error.count("\n") <= 1 for _, error, _ in ended)
    assert not project.work().exists()


# Results that cannot be kept


UNUSABLE = {
    "None": ("None", "pkl", "execute returned NoneType; it must return a dict"),
    "list": ("[x]", "pkl", "execute returned list; it must return a dict"),
    "other keys": ("{'z': x}", "pkl", "execute returned other keys than for the first"),
    "other types": ("{'y': 'text'}", "npz", "execute returned str for 'y', but it is"),
    "pickle": ("{'y': lambda: 0}", "pkl", "key 'y' holds a value of type function"),
    "npz": ("{'y': {x}}", "npz", "key 'y' holds a value of type set"),
    "h5": ("{'y': 'text'}", "h5", "key 'y' holds a value of type str"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_result_fails_alone_and_its_log_is_shown(project, capfd, case):
    value, ext, message = UNUSABLE[case]
    lines = f"    return {value} if x == 4 else {{'y': x}}\n"
    project.write(with_result(lines) + f"store = '{ext}'\n")
    error = project.psy("run", status=1).stderr
    assert "psy-work/a/a:process:1.log" in error
    assert "x=4" in error
    assert message in error
    assert "Traceback" not in error
    assert "nakemake" not in error
    assert error.splitlines()[-1].startswith("psy: 3 of 4 assignments are kept.")
    assert project.result()["y"] == [1, 4, 9, 16]
    assert main(["status"]) == 0
    assert "3/4   1" in capfd.readouterr().out


@pytest.mark.slow
def test_a_row_of_other_types_is_evaluated_again_once_mended(project):
    lines = "    return {'s': 'ok' if x % 2 else float('nan')}\n"
    project.write(with_result(lines) + "store = 'npz'\n")
    assert "2 of 4 assignments are kept" in project.psy("run", status=1).stderr
    assert project.calls() == [1, 2, 3, 4]
    project.edit("float('nan')", "'bad'")
    project.psy("run", "--continue")
    assert project.calls() == [2, 4]
    assert npz_result(project)["s"].tolist() == ["ok", "bad", "ok", "bad"]


@pytest.mark.slow
def test_new_results_have_to_fit_the_rows_that_are_continued(project):
    project.write(with_result("    return {'y': x}\n") + "store = 'npz'\n")
    project.psy("run")
    project.calls()
    project.edit("'y': x", "'y': x, 'even': x % 2 == 0")
    project.edit("x=[1, 2, 3, 4]", "x=[1, 2, 3, 4, 5]")
    error = project.psy("run", "--continue", status=1).stderr
    assert "x=5" in error
    assert "key 'even' is new, and the rows kept from before" in error
    project.edit("x % 2 == 0", "float(x % 2 == 0)")
    project.psy("run", "--continue")
    assert project.calls() == [5, 5]
    assert list(map(str, npz_result(project)["even"])) == [*["nan"] * 4, "0.0"]


def npz_result(project):
    return NpzStore().load(project.work() / "result.npz")


UNUSABLE_KEYS = {
    "npz": "key 1 cannot be a name in an NPZ file; use text",
    "h5": "key 1 cannot be a name in an HDF5 file; use text",
}


@pytest.mark.parametrize("ext", UNUSABLE_KEYS)
def test_a_key_that_is_no_text_is_refused_where_it_is_computed(project, capfd, ext):
    project.write(with_result("    return {1: x}\n") + f"store = '{ext}'\n")
    assert main(["test"]) == 1
    error = capfd.readouterr().err
    assert error.startswith(f"psy: {TASKFILE}: {UNUSABLE_KEYS[ext]}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "case", sorted(UNUSABLE.keys() - {"other keys", "other types"})
)
def test_an_unusable_result_is_told_in_one_line_by_a_test(project, capfd, case):
    value, ext, message = UNUSABLE[case]
    project.write(with_result(f"    return {value}\n") + f"store = '{ext}'\n")
    assert main(["test"]) == 1
    error = capfd.readouterr().err
    assert error.startswith(f"psy: {TASKFILE}: {message}")
    assert error.count("\n") == 1


@pytest.mark.slow
def test_rows_of_which_nothing_is_left_fail_where_they_are_computed(project):
    text = with_result("    return {} if x < 3 else {'y': x}\n")
    project.write(text + "exclude_from_result = ['x', 'y']\n")
    error = project.psy("run", status=1).stderr
    assert "nothing is left to save, as exclude_from_result takes all" in error
    assert error.splitlines()[-1].startswith("psy: 0 of 4 assignments are kept.")
    project.edit("['x', 'y']", "['x']")
    project.edit("{} if x < 3 else {'y': x}", "{'y': x}")
    project.psy("run")
    assert project.result() == {"y": [1, 2, 3, 4]}


def test_a_space_that_cannot_be_frozen_is_named_by_the_split(project):
    project.write(with_space("Param(x=[1, lambda: 2])"))
    error = project.psy("run", status=2).stderr
    assert "a:split failed; " in error
    assert "psy-work/a/a:split.log" in error
    assert "parameter 'x' holds a value of type function that cannot be" in error
    assert "define it at the top level of a module" in error
    assert "Traceback" not in error
    assert project.result()["y"] == [1, 4, 9, 16]
    assert project.calls() == []


def test_a_setup_that_raises_is_told_with_its_line(project):
    project.write(
        with_arguments("x")
        + "def setup(proc_id):\n    raise LookupError('no such device')\n"
    )
    line = len(project.taskfile().read_text().splitlines())
    errors = project.psy("run", "-q", status=2).stderr
    told = f"psy-tasks/task_a.py:{line}: `setup` raised LookupError: no such device."
    assert told in errors
    assert "log above" not in errors
