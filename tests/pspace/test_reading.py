"""Points from files and data frames."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from psyrun import Param
from psyrun.errors import PsyrunError

TABLE = {"n": [1, 2], "rate": [0.5, 1e-3], "name": ["a b", "c,d"], "on": [True, False]}
TEXT = 'n,rate,name,on\n1,0.5,a b,true\n2,1e-3,"c,d",False\n'


@pytest.fixture
def design(tmp_path: Path) -> Path:
    return tmp_path / "design.csv"


def test_a_csv_file_has_a_point_per_line(design: Path) -> None:
    design.write_text(TEXT)
    space = Param.read(design)
    assert space.build() == TABLE
    assert [type(value) for value in space[0].values()] == [int, float, str, bool]
    assert len(space * Param(k=[1, 2])) == 4


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("x\n1\n2.5\n", [1.0, 2.5]),
        ("x\n1\nnan\n", [1.0, math.nan]),
        ("x\n1\n1_0\n", ["1", "1_0"]),
        ("x\n1\none\n", ["1", "one"]),
        ("x\ntrue\n1\n", ["true", "1"]),
        ("x\n-3\n+4\n\n\n", [-3, 4]),
        ("x\n 1 \n 2\n", [1, 2]),
        ("x\r\n1\r\n", [1]),
        ("\ufeffx\n1\n", [1]),
        (f"x\n{10**30}\n", [10**30]),
        ("x\n", []),
    ],
)
def test_cells_are_numbers_if_all_of_a_column_are(
    design: Path, text: str, values: list[Any]
) -> None:
    design.write_bytes(text.encode())
    found = Param.read(design).build()["x"]
    assert str(found) == str(values)


def test_tabs_and_parquet_are_known_by_the_ending(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n1\tx,y\n")
    assert Param.read(tmp_path / "a.tsv").build() == {"a": [1], "b": ["x,y"]}
    pq.write_table(pa.table(TABLE), tmp_path / "a.parquet")
    assert Param.read(str(tmp_path / "a.parquet")).build() == TABLE


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_frames_have_a_point_per_row(library: Any) -> None:
    space = Param.from_frame(library(TABLE))
    assert space.build() == TABLE
    assert [type(value) for value in space[0].values()] == [int, float, str, bool]


def test_the_index_of_a_frame_does_not_matter() -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=[7, 7])
    assert Param.from_frame(frame).build() == {"a": [1, 2]}


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_as_a_parameter_is_refused_with_what_to_do(library: Any) -> None:
    with pytest.raises(
        PsyrunError,
        match=r"'x' is a"
        r"|'x' is a .*Use Param.from_frame\(df\)",
    ):
        Param(x=library(TABLE))
    assert len(Param(x=[library(TABLE)])) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", r"design.csv: line 3 has 1 cells, but there are 2 names"),
        ("a,b\n1,2,3\n", "line 2 has 3 cells"),
        ("a,b\n1,\n", "line 2: the cell of 'b' is empty; fill it"),
        ("a,b,a\n1,2,3\n", "there are two columns 'a'; give each"),
        ("a,,c\n1,2,3\n", "column 2 has the name ''; give each"),
        ("", "is empty; give a line of names"),
        ('a,b\n1,"x\n', "cannot be read .*Error"),
        ('a\n"multi\nline"\n\n" "\n', "line 5: the cell of 'a' is empty"),
    ],
)
def test_bad_tables_are_refused_by_line(design: Path, text: str, message: str) -> None:
    design.write_text(text)
    refused(lambda: Param.read(design), message)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    refused(lambda: Param.read(tmp_path / "no.csv"), "there is no such file; a path is")
    refused(lambda: Param.read("design.xls"), "one of .csv, .tsv, .parquet")
    (tmp_path / "a.csv").write_bytes(b"a\n\xff\xfe\n")
    refused(lambda: Param.read(tmp_path / "a.csv"), "text in UTF-8")
    (tmp_path / "a.parquet").write_text("nothing")
    refused(lambda: Param.read(tmp_path / "a.parquet"), "is no Parquet file")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"a": [1]}, "got a dict; give a data frame"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns 'a'"),
        (pd.DataFrame([[1, 2]]), "column 1 has the name 0; give each column a text"),
        (pd.DataFrame({"a": ["x", None]}), "column 'a' has no value in row 1"),
        (pd.DataFrame({"a": pd.array([None, 1])}), "column 'a' has no value in row 0"),
        (pl.DataFrame({"a": [1, None]}), "column 'a' has no value in row 1"),
    ],
)
def test_frames_with_missing_values_or_names_are_refused(
    frame: Any, message: str
) -> None:
    refused(lambda: Param.from_frame(frame), message)


def refused(call: Any, message: str) -> None:
    with pytest.raises(PsyrunError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("library", [pd, pl])
def test_each_value_of_a_long_column_is_looked_at_once(library: Any) -> None:
    """With one pass for each nan, this would take an hour."""
    n = 3 * 10**5
    space = Param.from_frame(library.DataFrame({"x": [0.5] + [math.nan] * n}))
    assert len(space) == n + 1


@pytest.mark.parametrize("library", [pd, pl])
def test_missing_text_is_refused_wherever_it_is(library: Any) -> None:
    frame = library.DataFrame({"x": [None, "a"]})
    with pytest.raises(PsyrunError, match="column 'x' has no value in row 0"):
        Param.from_frame(frame)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_too_many_digits_is_refused_with_its_line(
    design: Path, sign: str
) -> None:
    design.write_text(f"m,n\n1,2\n3,{sign}{'9' * 5000}\n")
    with pytest.raises(
        PsyrunError, match=r"line 3: the cell of 'n' has .* at most; gi"
    ):
        Param.read(design)
    design.write_text("m,n\n1,2\n3," + "9" * 4000)
    assert Param.read(design)[1]["n"] == 10**4000 - 1
