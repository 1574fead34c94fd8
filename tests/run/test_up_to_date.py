"""When something is computed anew: each cell of the table, with real Snakemake."""

import shutil
from collections.abc import Callable

import pytest
from projects import Project

import psyrun
from psyrun.results import Result
from psyrun.tasks.fingerprint import Source

NOTHING: list[int] = []
ALL = [1, 2, 3, 4]
CONTINUE = [(), ("--continue",)]

both = pytest.mark.parametrize("options", CONTINUE, ids=["run", "continue"])


@pytest.fixture
def done(project: Project) -> Project:
    """The project after its first run."""
    project.psy("run")
    assert project.calls() == ALL
    return project


def touch(project: Project) -> None:
    project.taskfile().touch()


def comment(project: Project) -> None:
    project.edit("def execute", "# A comment.\n\n\ndef execute")


def reformat(project: Project) -> None:
    project.edit("x**2", "( x ** 2 )")


def change_setting(line: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        project.edit("max_jobs = 2", line)

    return change


UNIMPORTANT = {
    "nothing": lambda project: None,
    "touched": touch,
    "commented": comment,
    "reformatted": reformat,
    "max_jobs": change_setting("max_jobs = 3"),
    "min_items": change_setting("max_jobs = 2\nmin_items = 4"),
    "pool_size": change_setting("max_jobs = 2\npool_size = 2"),
    "scheduler": change_setting(
        "from psyrun import ImmediateRun\nscheduler = ImmediateRun()"
    ),
    "backend": change_setting(
        "from psyrun.backend import DistributeBackend\nbackend = DistributeBackend"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [(), pytest.param(("--continue",), marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize("change", UNIMPORTANT.values(), ids=UNIMPORTANT.keys())
def test_what_does_not_matter_is_skipped(done, change, options) -> None:
    change(done)
    lines = done.psy("run", *options).stdout.splitlines()
    assert {line[0] for line in lines} == {"-"}
    assert done.calls() == NOTHING


@both
def test_another_store_is_merged_into_without_evaluation(done, options) -> None:
    done.edit("max_jobs = 2", "from psyrun import NpzStore\nstore = NpzStore()")
    done.psy("run", *options)
    assert done.calls() == NOTHING
    assert (done.work() / "result.npz").exists()


def test_what_is_said_of_results_is_written_without_evaluation(done) -> None:
    done.edit("max_jobs = 2", 'max_jobs = 2\nattrs = {"y": {"units": "m"}}')
    assert "attrs changed; the result is written again" in done.psy("run", "-n").stdout
    said = done.psy("run").stdout
    assert "dims, coords or attrs changed; the result is written again" in said
    assert done.calls() == NOTHING
    assert Result(done.work() / "result.pkl").attrs == {"y": {"units": "m"}}
    lines = done.psy("run").stdout.splitlines()
    assert {line[0] for line in lines} == {"-"}


@both
def test_another_resultfile_is_merged_into_without_evaluation(done, options) -> None:
    done.edit("max_jobs = 2", "resultfile = 'other/place.pkl'")
    done.psy("run", *options)
    assert done.calls() == NOTHING
    assert (done.folder / "other/place.pkl").exists()


def test_touched_files_in_the_work_folder_change_nothing(done) -> None:
    (done.work() / "round-1/space.pkl").touch()
    (done.work() / "round-1/blocks/1.pkl").unlink()
    done.psy("run")
    assert done.calls() == NOTHING


def test_an_open_round_takes_another_store(project) -> None:
    project.edit("x**2", "x**2 if x != 3 else 'three'")
    project.edit("max_jobs = 2", "max_jobs = 2\nfrom psyrun import H5Store, NpzStore")
    project.edit("max_jobs = 2", "max_jobs = 2\nstore = 'h5'")
    project.psy("run", status=1)
    project.calls()
    project.edit("'h5'", "'pkl'")
    project.psy("run")
    assert project.calls() == [3]
    assert project.result()["y"] == [1, 4, "three", 16]


@both
def test_a_deleted_result_is_only_merged(done, options) -> None:
    before = done.result()
    (done.work() / "result.pkl").unlink()
    done.psy("run", *options)
    assert done.calls() == NOTHING
    assert done.result() == before


@both
def test_a_deleted_block_is_in_the_result_and_merged(done, options) -> None:
    (done.work() / "round-1/blocks/1.pkl").unlink()
    before = (done.work() / "result.pkl").stat().st_ino
    lines = done.psy("run", *options).stdout.splitlines()
    assert done.calls() == NOTHING
    assert ".  a:process:1" in lines and "-  a:process:0" in lines
    assert (done.work() / "result.pkl").stat().st_ino != before


def change_execute(project: Project) -> None:
    project.edit("x**2", "x**3")


def add_setup(project: Project) -> None:
    project.edit("def execute(x)", "def setup(proc_id):\n    pass\n\n\ndef execute(x)")


def change_file_dep(project: Project) -> None:
    (project.folder / "data.txt").write_text("two")


IMPORTANT = {"execute": change_execute, "setup": add_setup, "file_dep": change_file_dep}
changes = pytest.mark.parametrize("change", IMPORTANT.values(), ids=IMPORTANT.keys())


@pytest.fixture
def depending(project: Project) -> Project:
    """The project, depending on a file, after its first run."""
    (project.folder / "data.txt").write_text("one")
    project.edit("max_jobs = 2", "max_jobs = 2\nfile_dep = ['data.txt']")
    project.psy("run")
    project.calls()
    return project


@changes
def test_a_change_that_matters_recomputes_all(depending, change) -> None:
    change(depending)
    depending.psy("run")
    assert depending.calls() == ALL
    depending.psy("run")
    assert depending.calls() == NOTHING


@changes
def test_continue_keeps_rows_of_a_change_that_matters(depending, change) -> None:
    change(depending)
    depending.psy("run", "--continue")
    assert depending.calls() == NOTHING
    assert depending.result() == {"x": ALL, "y": [1, 4, 9, 16]}
    depending.psy("run", "--continue")
    assert depending.calls() == NOTHING
    said = depending.psy("run").stdout
    assert "computed again" in said
    assert depending.calls() == ALL


@both
def test_a_change_that_is_taken_back_takes_the_rows_back(done, options) -> None:
    change_execute(done)
    done.psy("run")
    assert done.calls() == ALL
    done.edit("x**3", "x**2")
    said = done.psy("run", *options).stdout
    assert done.calls() == NOTHING
    assert "again" not in said
    assert done.result()["y"] == [1, 4, 9, 16]
    change_execute(done)
    done.psy("run", *options)
    assert done.calls() == NOTHING
    assert done.result()["y"] == [1, 8, 27, 64]


def test_an_extended_space_evaluates_what_is_new(done) -> None:
    done.edit("[1, 2, 3, 4]", "[5, 1, 2, 3, 4]")
    done.psy("run")
    assert done.calls() == [5]
    assert done.result() == {"x": [5, *ALL], "y": [25, 1, 4, 9, 16]}


def test_an_edited_space_is_all_that_is_in_the_result(done) -> None:
    done.edit("[1, 2, 3, 4]", "[5, 4, 2]")
    assert "edited" in done.psy("status").stdout
    said = done.psy("run").stdout
    assert done.calls() == [5]
    assert done.result() == {"x": [5, 4, 2], "y": [25, 16, 4]}
    assert "2 rows left out, no longer in the space" in said
    assert "2 rows left out" in done.psy("status").stdout


def test_rows_that_were_left_out_come_back(done) -> None:
    done.edit("[1, 2, 3, 4]", "[5, 4, 2]")
    done.psy("run")
    done.edit("[5, 4, 2]", "[6]")
    done.psy("run")
    assert done.calls() == [5, 6]
    done.edit("[6]", "[1, 2, 3, 4, 5, 6]")
    done.psy("run")
    assert done.calls() == NOTHING
    assert done.result() == {"x": [*ALL, 5, 6], "y": [1, 4, 9, 16, 25, 36]}
    # Each row is there once.
    assert [path.name for path in done.work().glob("*round-*")] == ["round-4"]


@pytest.mark.parametrize("store", ["h5", "npz", "pkl"])
def test_of_a_round_only_the_rows_stay_that_are_left_out(project, store) -> None:
    project.edit("max_jobs = 2", f"store = {store!r}")
    project.psy("run")
    project.edit("[1, 2, 3, 4]", "[3, 2, 1, 5]")
    project.psy("run")
    assert project.calls() == [*ALL, 5]
    files = [path.name for path in (project.work() / "round-1").iterdir()]
    assert f"kept.{store}" in files and not any(f.startswith("rows-") for f in files)
    project.edit("[3, 2, 1, 5]", "[5, 4, 3]")
    project.psy("run")
    project.edit("[5, 4, 3]", "[1, 2, 3, 4, 5]")
    project.psy("run")
    assert project.calls() == NOTHING
    assert list(psyrun.load(project.work())["y"]) == [1, 4, 9, 16, 25]


def test_repeated_assignments_are_left_out_and_come_back_one_by_one(done) -> None:
    done.edit("[1, 2, 3, 4]", "[1, 1, 1, 2]")
    done.psy("run")
    assert done.calls() == [1, 1]
    done.edit("[1, 1, 1, 2]", "[1, 2]")
    done.psy("run")
    done.edit("[1, 2]", "[2, 1, 1, 1]")
    done.psy("run")
    assert done.calls() == NOTHING


def test_continue_takes_rows_into_the_result_that_a_plain_run_leaves_out(done) -> None:
    done.edit("[1, 2, 3, 4]", "[1, 2, 5]")
    done.psy("run", "--continue")
    assert done.result()["x"] == [1, 2, 5, 3, 4]
    done.calls()
    said = done.psy("run").stdout
    assert done.calls() == NOTHING
    assert done.result()["x"] == [1, 2, 5]
    assert "2 rows left out" in said


def test_edits_of_code_and_space_are_kept_apart(done) -> None:
    done.edit("[1, 2, 3, 4]", "[3, 4, 5]")
    change_execute(done)
    done.psy("run")
    assert done.calls() == [3, 4, 5]
    done.edit("[3, 4, 5]", "[1, 2, 3, 4]")
    done.edit("x**3", "x**2")
    done.psy("run")
    assert done.calls() == NOTHING
    change_execute(done)
    done.psy("run")
    assert done.calls() == [1, 2]
    assert done.result()["y"] == [1, 8, 27, 64]


def test_a_parameter_that_is_gone_makes_other_assignments(project) -> None:
    project.edit("x=[1, 2, 3, 4]", "x=[1, 2], k=[5, 5]")
    project.edit("execute(x)", "execute(x, k=2)")
    project.edit("x**2", "x**k")
    project.psy("run")
    project.calls()
    project.edit(", k=[5, 5]", "")
    project.psy("run")
    assert project.calls() == [1, 2]
    assert project.result()["y"] == [1, 4]
    project.edit("x=[1, 2]", "x=[2, 1], k=[5, 5]")
    project.psy("run")
    assert project.calls() == NOTHING
    assert project.result()["y"] == [32, 1]


def test_a_random_space_stays_as_long_as_its_source_does(project) -> None:
    project.edit("Param(x=[1, 2, 3, 4])", "Param(x=np.random.permutation(1000)[:4])")
    project.edit("from pathlib", "import numpy as np\nfrom pathlib")
    project.psy("run")
    first = project.calls()
    change_execute(project)
    project.psy("run")
    assert project.calls() == first
    project.edit("[:4]", "[:5]")
    project.psy("run")
    project.calls()
    project.edit("[:5]", "[:4]")
    project.psy("run")
    assert project.calls() == NOTHING
    assert sorted(project.result()["x"]) == first


def test_fresh_evaluates_all_again(done) -> None:
    done.psy("run", "--fresh")
    assert done.calls() == ALL
    done.psy("run")
    assert done.calls() == NOTHING
    said = done.psy("run", "--fresh", "--continue", status=2).stderr
    assert "--fresh" in said and "--continue" in said


def test_the_numbers_are_shown_before(done) -> None:
    done.edit("[1, 2, 3, 4]", "[1, 2, 5]")
    said = done.psy("run", "-n").stdout
    assert "a: 1 to evaluate, 2 kept, 0 kept by an older version, 2 left out" in said
    change_execute(done)
    said = done.psy("run", "-n", "--continue").stdout
    assert "a: 1 to evaluate, 0 kept, 2 kept by an older version, 0 left out" in said
    assert done.calls() == NOTHING


def test_old_rows_can_be_removed(done) -> None:
    assert "nothing to remove" in done.psy("clean", "--old", "a").stdout
    done.edit("[1, 2, 3, 4]", "[1, 2]")
    done.psy("run")
    assert "removed 2 rows" in done.psy("clean", "--old", "a").stdout
    assert "left out" not in done.psy("status").stdout
    done.psy("run")
    assert done.result()["x"] == [1, 2]
    done.edit("[1, 2]", "[1, 2, 3]")
    done.psy("run")
    assert done.calls() == [3]
    done.edit("[1, 2, 3]", "[1, 2, 3 + undefined]")
    assert done.result()["x"] == [1, 2, 3]


def test_records_of_versions_are_removed_with_their_rows(done) -> None:
    change_execute(done)
    done.psy("run")
    versions = done.work() / "versions"
    there = {*versions.iterdir()}
    assert "removed 4 rows" in done.psy("clean", "--old", "a").stdout
    left = {*versions.iterdir()}
    assert left and left < there
    done.edit("max_jobs = 2", "max_jobs = 2\nfrom psyrun import NpzStore")
    done.edit("x**3", "x**4")
    assert "execute changed" in done.psy("status").stdout


def test_records_of_versions_with_rows_stay(done) -> None:
    change_execute(done)
    done.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    done.psy("run", "--continue")
    there = {*(done.work() / "versions").iterdir()}
    done.psy("clean", "--old", "a")
    assert {*(done.work() / "versions").iterdir()} == there


@pytest.mark.parametrize("store", ["h5", "npz", "pkl"])
def test_rows_of_other_types_are_left_out(project, store) -> None:
    project.edit("max_jobs = 2", f"store = {store!r}")
    project.edit("from pathlib", "import numpy as np\nfrom pathlib")
    project.psy("run")
    project.calls()
    project.edit("x**2", "x % 2 > 0")
    project.psy("run")
    assert project.calls() == ALL
    project.edit("x % 2 > 0", "np.arange(3) + x")
    project.psy("run")
    assert project.calls() == ALL
    project.edit("np.arange(3) + x", "x**2")
    project.psy("run")
    assert list(psyrun.load(project.work())["y"]) == [1, 4, 9, 16]
    assert project.calls() == NOTHING


def test_values_that_cannot_be_compared_are_evaluated_again(project) -> None:
    project.edit("from pathlib", "from odd import Odd\nfrom pathlib")
    (project.folder / "odd.py").write_text(
        "class Odd:\n    def __eq__(self, other):\n        raise ValueError\n"
        "    def __reduce__(self):\n        return Odd, ()\n"
    )
    project.edit("x=[1, 2, 3, 4]", "x=[1, 2], o=[Odd(), Odd()]")
    project.edit("execute(x)", "execute(x, o)")
    project.edit("max_jobs = 2", "exclude_from_result = ['o']")
    project.psy("run")
    assert project.calls() == [1, 2]
    project.edit("x=[1, 2]", "x=[2, 1]")
    assert "computed again" in project.psy("run").stdout
    assert project.calls() == [1, 2]
    assert project.result()["x"] == [2, 1]


def test_continue_computes_what_an_edited_space_adds(done) -> None:
    done.edit("[1, 2, 3, 4]", "[5, 4, 2, 1]")
    done.psy("run", "--continue")
    assert done.calls() == [5]
    # In the order of the space, then rows that are no longer in it.
    assert done.result() == {"x": [5, 4, 2, 1, 3], "y": [25, 16, 4, 1, 9]}


def test_continue_counts_equal_assignments_one_by_one(done) -> None:
    done.edit("[1, 2, 3, 4]", "[1, 1, 2, 3, 4]")
    done.psy("run", "--continue")
    assert done.calls() == [1]


def test_continue_twice_keeps_former_rows(done) -> None:
    done.edit("[1, 2, 3, 4]", "[1, 2]")
    done.psy("run", "--continue")
    done.edit("[1, 2]", "[1, 2, 5]")
    done.psy("run", "--continue")
    assert done.calls() == [5]
    assert done.result()["x"] == [1, 2, 5, 3, 4]


def test_continue_starts_from_a_result_whose_work_folder_is_gone(done) -> None:
    result = (done.work() / "result.pkl").read_bytes()
    shutil.rmtree(done.folder / "psy-work")
    done.work().mkdir(parents=True)
    (done.work() / "result.pkl").write_bytes(result)
    done.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    done.psy("run", "--continue")
    assert done.calls() == [5]


@pytest.mark.parametrize("change", [change_execute], ids=["execute"])
def test_overwrite_dirty_refuses_to_lose_rows(done, change) -> None:
    done.edit("max_jobs = 2", "overwrite_dirty = False")
    change(done)
    before = done.result()
    errors = done.psy("run", status=2).stderr
    assert "overwrite_dirty" in errors and "--continue" in errors
    assert "overwrite_dirty" in done.snakemake(status=1).stderr
    assert done.calls() == NOTHING
    assert done.result() == before


def test_a_module_of_the_project_counts(project) -> None:
    (project.folder / "model.py").write_text("def power(x):\n    return x**2\n")
    project.edit("from pathlib", "from model import power\nfrom pathlib")
    project.edit("x**2", "power(x)")
    project.psy("run")
    project.calls()
    (project.folder / "model.py").write_text("def power(x):\n    return x**3\n")
    project.psy("run")
    assert project.calls() == ALL
    assert project.result()["y"] == [1, 8, 27, 64]


def test_a_random_space_is_frozen_and_up_to_date(project) -> None:
    project.edit("Param(x=[1, 2, 3, 4])", "Param(x=np.random.permutation(1000)[:4])")
    project.edit("from pathlib", "import numpy as np\nfrom pathlib")
    project.psy("run")
    assert project.calls() == sorted(project.result()["x"])
    project.psy("run")
    assert project.calls() == NOTHING


def test_snakemake_and_psy_find_each_others_work_up_to_date(project) -> None:
    project.snakemake()
    assert project.calls() == ALL
    project.psy("run")
    assert project.calls() == NOTHING
    change_execute(project)
    project.psy("run")
    assert project.calls() == ALL
    assert "Nothing to be done" in project.snakemake().stderr
    assert project.calls() == NOTHING


def test_plain_snakemake_continues_when_asked_to(done) -> None:
    done.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    done.snakemake("--config", "psy_continue=true")
    assert done.calls() == [5]


def test_a_dry_run_accepts_nothing(done) -> None:
    change_execute(done)
    assert ".  a:split" in done.psy("run", "--dry-run").stdout
    done.snakemake("--dry-run")
    assert done.calls() == NOTHING
    done.psy("run", "--continue")
    assert done.calls() == NOTHING
    assert done.result()["y"] == [1, 4, 9, 16]


@pytest.mark.parametrize(
    "change", [touch, comment, change_setting("max_jobs = 3")], ids=lambda f: f.__name__
)
def test_plain_snakemake_skips_what_does_not_matter(done, change) -> None:
    change(done)
    assert "Nothing to be done" in done.snakemake().stderr
    assert done.calls() == NOTHING


def test_plain_snakemake_takes_a_deleted_block_from_the_result(done) -> None:
    (done.work() / "round-1/blocks/1.pkl").unlink()
    done.snakemake()
    assert done.calls() == NOTHING
    assert "Nothing to be done" in done.snakemake().stderr


def test_continue_knows_rows_whose_results_have_the_name_of_a_parameter(done) -> None:
    done.edit('{"y": x**2}', '{"x": x * 10}')
    done.psy("run")
    done.edit("[1, 2, 3, 4]", "[2, 3]")
    done.psy("run", "--continue")
    done.edit("[2, 3]", "[2, 3, 10, 4]")
    done.calls()
    done.psy("run", "--continue")
    assert done.calls() == [10]
    assert done.result()["x"] == [20, 30, 100, 40, 10]


def test_continue_twice_after_a_run_in_which_all_failed(project) -> None:
    project.edit("x**2", "x**2 + undefined")
    project.psy("run", status=1)
    project.edit("x**2 + undefined", "x**2")
    project.psy("run", "--continue")
    project.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    project.calls()
    project.psy("run", "--continue")
    assert project.calls() == [5]
    assert project.result()["y"] == [1, 4, 9, 16, 25]


EXCLUDED = """\
from psyrun import Param

pspace = Param(x=[1, 2], big=[10, 20]) * Param(z=[0, 1])
exclude_from_result = ["big"]


def execute(x, big, z):
    open("calls", "a").write(f"{x}{z}\\n")
    return {"y": x + big}
"""


def test_continue_from_a_result_that_lacks_a_parameter(project) -> None:
    project.write(EXCLUDED)
    project.psy("run")
    assert project.calls() == [10, 11, 20, 21]
    remove_all_but_the_result(project)
    project.psy("run", "--continue")
    assert project.calls() == []
    remove_all_but_the_result(project)
    project.edit("Param(x=[1, 2], big=[10, 20])", "Param(x=[1, 2]) * Param(big=[1, 2])")
    said = project.psy("run", "--continue", status=2).stderr
    assert "lacks big, which exclude_from_result leaves out" in said
    assert project.calls() == []


def test_continue_from_a_result_whose_arrays_were_made_equally_long(project) -> None:
    project.edit("[1, 2, 3, 4]", "[[1], [1, 2], [0.5, 2, 3]]")
    project.edit("from psyrun import", "from psyrun import NpzStore,")
    project.edit("max_jobs = 2", "store = NpzStore()")
    project.edit("{x}", "{len(x)}")
    project.edit("x**2", "len(x)")
    project.psy("run")
    assert project.calls() == [1, 2, 3]
    remove_all_but_the_result(project)
    project.edit("[[1],", "[[1, 2, 3, 4], [1],")
    project.psy("run", "--continue")
    assert project.calls() == [4]


def remove_all_but_the_result(project) -> None:
    (found,) = project.work().glob("result.???")
    content = found.read_bytes()
    shutil.rmtree(project.folder / "psy-work")
    project.work().mkdir(parents=True)
    found.write_bytes(content)


def test_values_without_a_hash_are_found_again(project: Project) -> None:
    values = "Data([1]), Data({'k': 2}), slice(1, 2), Plain('abcdefgh'), np.array(3.0)"
    project.write(
        f"""\
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from psyrun import Param

@dataclass
class Data:
    a: object

class Plain:
    def __init__(self, text):
        self.letters = set(text)

values = [{values}]
pspace = Param(x=np.fromiter(values, dtype=object), i=range(len(values)))

def execute(x, i):
    with Path("calls").open("a") as file:
        file.write(f"{{i}}\\n")
    return {{"y": i}}
"""
    )
    project.psy("run")
    assert project.calls() == [0, 1, 2, 3, 4]
    project.edit("np.array(3.0)]", "np.array(3.0), Plain('abc')]")
    project.psy("run", "--continue")
    assert project.calls() == [5]


MODEL = "def power(x):\n    return x**2\n\n\ndef unused(x):\n    return x\n"


@pytest.fixture
def with_module(project: Project) -> Project:
    """The project, with a function from a module, after its first run."""
    (project.folder / "model.py").write_text(MODEL)
    project.edit("from pathlib", "from model import power\nfrom pathlib")
    project.edit("x**2", "power(x)")
    project.psy("run")
    assert project.calls() == ALL
    return project


def test_a_function_of_a_module_that_nobody_uses_does_not_count(with_module) -> None:
    model = with_module.folder / "model.py"
    model.write_text(MODEL.replace("return x\n", "return 1\n") + "\n\nN = 3\n")
    with_module.psy("run")
    assert with_module.calls() == NOTHING


def line_of(project: Project, text: str) -> str:
    """Return where a text stands in the task file, as it is shown."""
    lines = project.taskfile().read_text().splitlines()
    (line,) = [n for n, each in enumerate(lines, start=1) if each.startswith(text)]
    return f"task_a.py:{line}"


def test_the_functions_that_changed_are_named(with_module) -> None:
    (with_module.folder / "model.py").write_text(MODEL.replace("**2", "**3"))
    with_module.edit("power(x)", "power(x) + 1")
    places = f"execute ({line_of(with_module, 'def execute')}), power (model.py:1)"
    assert f"{places} changed" in with_module.psy("status").stdout
    said = with_module.psy("run").stdout
    assert f"a: {places} changed since it was run" in said
    with_module.edit("max_jobs = 2", "overwrite_dirty = False")
    with_module.edit("power(x) + 1", "power(x)")
    errors = with_module.psy("run", status=2).stderr
    assert f"execute ({line_of(with_module, 'def execute')}): changed since" in errors


FORMER = """\
from functools import cached_property
from psyrun.tasks.fingerprint import Source

for name in ("fingerprint", "code"):
    former = cached_property(lambda self: self.former_fingerprint)
    former.__set_name__(Source, name)
    setattr(Source, name, former)
Source.space = ""
"""


@pytest.fixture
def of_former_version(request, monkeypatch, tmp_path) -> Project:
    """The project with a module, run by a version that takes modules as a whole.

    It takes the code and the space together, too.
    """
    (tmp_path / "former").mkdir()
    (tmp_path / "former/sitecustomize.py").write_text(FORMER)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path / "former"))
        project = request.getfixturevalue("with_module")
    source = Source(project.taskfile(), None, [], project.folder)
    assert source.fingerprint != source.former_fingerprint
    assert source.former_fingerprint in (project.work() / "state.json").read_text()
    (project.work() / "version.json").unlink()
    return project


def test_rows_are_not_outdated_by_another_way_to_look_at_modules(
    of_former_version,
) -> None:
    with_module = of_former_version
    assert " done " in with_module.psy("status").stdout
    with_module.psy("run")
    (with_module.work() / "round-1/blocks/1.pkl").unlink()
    with_module.psy("run")
    assert with_module.calls() == NOTHING
    with_module.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    with_module.psy("run", "--continue")
    assert with_module.calls() == [5]
    (with_module.folder / "model.py").write_text(MODEL.replace("**2", "**3"))
    assert " outdated " in with_module.psy("status").stdout
