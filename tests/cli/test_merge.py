from pathlib import Path

import pytest

from psyrun.store import PickleStore


@pytest.fixture
def parts(project):
    """A folder with three files, whose natural order is not that of the alphabet."""
    Path("parts").mkdir()
    for number in (1, 2, 10):
        PickleStore().save(f"parts/{number}.pkl", {"x": [number]})


def test_files_are_merged_in_natural_order(psy, parts):
    result = psy("merge", "parts", "all.pkl")
    assert result.out == "3 files merged into all.pkl\n"
    assert PickleStore().load("all.pkl") == {"x": [1, 2, 10]}


def test_the_extension_says_which_files_are_merged(psy, parts):
    result = psy("merge", "parts", "all.npz")
    assert result.status == 2
    assert ".npz" in result.err


def test_an_empty_folder_is_refused(psy, project):
    Path("parts").mkdir()
    result = psy("merge", "parts", "all.pkl")
    assert result.status == 2
    assert result.err.startswith("psy: parts: there are no files")
    assert not Path("all.pkl").exists()


def test_a_missing_folder_is_named(psy):
    result = psy("merge", "nowhere", "all.pkl")
    assert result.status == 2
    assert "nowhere" in result.err


def test_an_unknown_extension_is_refused(psy, parts):
    result = psy("merge", "parts", "all.xyz")
    assert result.status == 2
    assert ".xyz" in result.err


def test_a_damaged_file_is_named_and_the_former_result_kept(psy, parts):
    psy("merge", "parts", "all.pkl")
    Path("parts/2.pkl").write_bytes(b"rubbish")
    result = psy("merge", "parts", "all.pkl")
    assert result.status == 2
    assert "2.pkl" in result.err
    assert PickleStore().load("all.pkl") == {"x": [1, 2, 10]}


@pytest.mark.parametrize("merged", ["parts/1.pkl", "link/1.pkl"])
def test_a_file_of_the_folder_is_not_replaced(psy, parts, merged):
    Path("link").symlink_to("parts")
    result = psy("merge", "parts", merged)
    assert result.status == 2
    assert result.err.startswith(f"psy: {merged}: exists already, in the folder")
    assert PickleStore().load("parts/1.pkl") == {"x": [1]}


@pytest.mark.parametrize("named", ["square", "psy-work/square"])
def test_rows_of_an_unfinished_task_are_written(psy, write_task, work, named):
    write_task()
    work("split", "process 1")
    result = psy("merge", "--partial", named, "part.pkl")
    assert (result.status, result.out) == (0, "5 rows written to part.pkl\n")
    assert PickleStore().load("part.pkl")["x"] == [5, 6, 7, 8, 9]


def test_partial_rows_of_a_folder_that_is_no_work_folder_are_refused(psy, parts):
    result = psy("merge", "--partial", "parts", "all.pkl")
    assert result.status == 2
    assert "parts: there is no task, work folder or data file" in result.err
