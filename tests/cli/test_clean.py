from pathlib import Path

import pytest

from psyrun.workdir.lock import Lock


def files(folder="."):
    return {str(path) for path in Path(folder).rglob("*") if path.is_file()}


def test_everything_that_was_generated_is_removed(psy, write_task, finish):
    path = write_task()
    path.write_text(path.read_text() + "dims = {'wave': ('t',)}\n")
    before = files()
    finish()
    assert Path("psy-work/square/description.json").exists()
    result = psy("clean", "square")
    assert result.status == 0
    assert result.out == "removed psy-work/square\n"
    assert files() == before | {"psy-tasks/.psyrun/.gitignore"}


def test_a_result_elsewhere_is_removed(psy, write_task, finish):
    path = write_task()
    path.write_text(path.read_text() + "resultfile = 'out/squares.pkl'\n")
    finish()
    assert "removed out/squares.pkl\n" in psy("clean", "square").out
    assert not Path("out/squares.pkl").exists()


def test_a_file_that_stands_where_the_result_will_go_is_kept(psy, write_task, work):
    path = write_task()
    path.write_text(path.read_text() + "resultfile = 'mine.pkl'\n")
    Path("mine.pkl").touch()
    work("split")
    psy("clean", "square")
    assert Path("mine.pkl").exists()


def test_other_files_in_the_work_folder_are_kept(psy, write_task, finish):
    write_task()
    finish()
    Path("psy-work/square/notes.txt").touch()
    assert "kept" in psy("clean", "square").out
    assert files("psy-work") == {"psy-work/square/notes.txt"}


def test_a_folder_that_psyrun_did_not_make_is_left_alone(psy, write_task):
    write_task()
    Path("psy-work/square/round-1").mkdir(parents=True)
    Path("psy-work/square/Snakefile").write_text("rule mine:\n")
    assert "nothing to remove" in psy("clean", "square").out
    assert Path("psy-work/square/round-1").exists()
    assert Path("psy-work/square/Snakefile").exists()


def test_other_tasks_are_kept(psy, write_task, finish):
    for name in ("square", "other"):
        write_task(name)
        finish(name)
    psy("clean", "square")
    assert Path("psy-work/other/result.pkl").exists()


def test_all_tasks_are_cleaned_if_asked_for(psy, write_task, finish):
    for name in ("square", "other"):
        write_task(name)
        finish(name)
    psy("clean", "--all")
    assert not files("psy-work")


def test_without_a_task_nothing_is_cleaned(psy, write_task, finish):
    write_task()
    finish()
    result = psy("clean")
    assert result.status == 2
    assert "psy clean --all" in result.err
    assert Path("psy-work/square/result.pkl").exists()


def test_a_task_that_cannot_be_loaded_any_more_is_cleaned(psy, write_task, finish):
    path = write_task()
    path.write_text(path.read_text() + "workdir = 'elsewhere'\n")
    finish()
    path.write_text("def execute(x:\n")
    assert psy("clean", "square").status == 0
    assert not files("elsewhere")


def test_a_task_whose_file_is_gone_is_cleaned(psy, write_task, finish):
    path = write_task()
    finish()
    path.unlink()
    assert psy("clean", "square").status == 0
    assert not files("psy-work")


def test_a_task_with_damaged_records_is_cleaned(psy, write_task, finish):
    write_task()
    layout = finish().layout
    layout.state.write_text("{")
    layout.round(1).merged.write_text("{")
    assert psy("clean", "square").status == 0


def test_a_task_that_was_never_run_has_nothing_to_remove(psy, write_task):
    write_task()
    result = psy("clean", "square")
    assert (result.status, result.out) == (0, "square: there is nothing to remove\n")


@pytest.mark.parametrize("lock", ["lock", "round-1/locks/process-0"])
def test_a_running_task_is_not_cleaned(psy, write_task, finish, lock):
    write_task()
    folder = finish().layout.folder
    before = files()
    with Lock(folder / lock, "task 'square'"):
        result = psy("clean", "square")
    assert result.status == 2
    assert "psy kill square" in result.err
    assert files() == before


def test_a_misspelt_task_is_told(psy, write_task):
    write_task()
    result = psy("clean", "sqare")
    assert result.status == 2
    assert "Did you mean 'square'?" in result.err
