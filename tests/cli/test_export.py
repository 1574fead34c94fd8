"""``psy export`` writes results for other programs, and says what it cannot do."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from psyrun.store import NpzStore, PickleStore

ROWS = {"n": [1, 2, 4], "y": [0.5, 1.5, 2.5], "name": ["a", "b", "c"]}


@pytest.fixture
def rows(project):
    PickleStore().save("in.pkl", ROWS)


def test_rows_are_written_and_counted(psy, rows):
    result = psy("export", "in.pkl", "out.csv")
    assert (result.status, result.err) == (0, "")
    assert result.out == "3 rows written to out.csv\n"
    assert Path("out.csv").read_text() == "n,y,name\n1,0.5,a\n2,1.5,b\n4,2.5,c\n"


def test_a_task_is_exported_also_from_a_folder_of_the_project(
    psy, write_task, finish, monkeypatch
):
    write_task()
    finish()
    Path("notes").mkdir()
    monkeypatch.chdir("notes")
    assert psy("export", "square", "out.csv", "--where", "x=3,9").status == 0
    assert Path("out.csv").read_text() == "x,y\n3,9\n9,81\n"


def test_rows_so_far(psy, write_task, work):
    write_task()
    work("split", "process 0")
    result = psy("export", "square", "out.csv")
    assert result.status == 2 and "there is no result yet" in result.err
    assert "take the rows so far with --partial (partial=True)" in result.err
    assert psy("export", "square", "out.csv", "--partial").status == 0
    assert Path("out.csv").read_text().splitlines()[-1] == "4,16"


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        (["n=1"], "a"),
        (["n=1,4"], "ac"),
        (["n = 4"], "c"),
        (["n=4.0"], "c"),
        (["name=b"], "b"),
        (["name=c,a"], "ac"),
        (["name='b'"], "b"),
        (["n=1,2", "name=b,c"], "b"),
    ],
)
def test_conditions_pick_rows(psy, rows, conditions, names):
    options = [word for each in conditions for word in ("--where", each)]
    assert psy("export", "in.pkl", "out.csv", "--columns", "name", *options).err == ""
    assert Path("out.csv").read_text() == "\n".join(["name", *names, ""])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["out.txt"], "there is no format of the extension '.txt'. The extensions are"),
        (["out"], "there is no format of the extension ''."),
        (["out.parket"], "Did you mean '.parquet'?"),
        (["out.csv", "--columns", "n,nam"], "no column 'nam'. Did you mean 'name'?"),
        (["out.csv", "--where", "n=3"], "'n' is never 3. The nearest is 2."),
        (
            ["out.csv", "--where", "m=3"],
            "no parameter 'm'. The parameters are n, y, name.",
        ),
        (["out.csv", "--where", "n"], "--where 'n' has no name and value"),
        (["out.csv", "--where", "n=1", "--where", "n=2"], "'n' twice. List its values"),
        (["there/out.csv"], "there/out.csv: no such file or folder"),
        (["taken.csv"], "taken.csv: exists already. Choose another name, or replace"),
        (["folder.csv", "--force"], "folder.csv: is a folder with other files"),
        (["folder.zarr", "--force"], "folder.zarr: is a folder with other files"),
        (["taken.zarr", "--force"], "taken.zarr: is a file, which a folder is not to"),
    ],
)
def test_mistakes_are_told_in_one_line(psy, rows, arguments, said):
    for name in ("taken.csv", "taken.zarr"):
        Path(name).write_text("mine")
    for name in ("folder.csv", "folder.zarr"):
        Path(name).mkdir()
        Path(name, "mine").write_text("mine")
    before = sorted(map(str, Path().rglob("*")))
    result = psy("export", "in.pkl", *arguments)
    assert result.status == 2
    assert said in result.err and result.err.count("\n") == 1
    assert sorted(map(str, Path().rglob("*"))) == before
    assert Path("taken.csv").read_text() == "mine"


@pytest.mark.filterwarnings("ignore:.*its axes are not known")
def test_files_are_replaced_if_that_is_asked_for(psy, rows):
    Path("out.csv").write_text("before")
    assert psy("export", "in.pkl", "out.csv", "--force").status == 0
    assert Path("out.csv").read_text().startswith("n,y,name\n")
    for columns in ("n", "y"):
        psy("export", "in.pkl", "out.zarr", "--force", "--columns", columns)
    names = {path.name for path in Path("out.zarr").iterdir()}
    assert names == {".zgroup", ".zattrs", ".zmetadata", "y"}
    assert sorted(path.name for path in Path().iterdir()) == [
        "in.pkl",
        "out.csv",
        "out.zarr",
        "psy-tasks",
    ]


def test_what_is_to_be_read_is_not_replaced(psy, project):
    NpzStore().save("in.npz", ROWS)
    Path("out.csv").symlink_to("in.npz")
    result = psy("export", "in.npz", "out.csv", "--force")
    assert result.status == 2 and "is what is to be exported" in result.err
    assert len(NpzStore().load("in.npz")["n"]) == 3


def test_too_many_rows_for_a_sheet(psy, project):
    NpzStore().save("in.npz", {"x": range(1_048_576)})
    result = psy("export", "in.npz", "out.xlsx")
    assert result.status == 2
    assert "1048576 rows and 1 column, but a sheet of Excel holds 1048576" in result.err


def test_what_a_cell_of_a_sheet_does_not_hold(psy, project):
    for text, kind in (("a" * 40_000, "text of 40000 char"), ("a\0", "text with cont")):
        PickleStore().save("in.pkl", {"x": [text]})
        result = psy("export", "in.pkl", "out.xlsx")
        assert result.status == 2 and f"'x' has values of type {kind}" in result.err


INTERRUPTED = """\
import os, signal, sys
from psyrun.cli.main import main
from psyrun.results import sources

taken = sources.picked

def picked(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    return taken(*arguments)

sources.picked = picked
sys.exit(main(["export", "in.pkl", sys.argv[1]]))
"""


@pytest.mark.parametrize("ext", [".csv", ".parquet", ".arrow", ".nc", ".zarr", ".xlsx"])
def test_an_interrupt_leaves_nothing(rows, ext):
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, f"out{ext}"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode in (130, -signal.SIGINT)
    assert ended.stderr.splitlines()[-1] == "psy: interrupted."
    assert sorted(path.name for path in Path().iterdir()) == ["in.pkl", "psy-tasks"]
