"""Tables that a space is read from count for the space, and not for the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from psyrun.tasks.fingerprint import Source
from psyrun.tasks.fingerprint.tables import tables_read

TASK = """
from psyrun import Param
FILE = "design.csv"
pspace = Param.read(FILE) * Param(k=[1, 2])
execute = lambda a, k: {"y": a * k}
"""


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("Param.read('a.csv') * Param.read('b.csv')", ["a.csv", "b.csv"]),
        ("psyrun.Param.read('a.csv')", ["a.csv"]),
        ("Param.read(path) * other.read('c.csv') * Param.read()", []),
        ("Param.read('a.csv\\0')", []),
        ("Param.read(filename='a.csv')", ["a.csv"]),
        ("FILE = 'a.csv'\nParam.read(FILE) * Param.read(OTHER)", ["a.csv"]),
    ],
)
def test_names_are_found_where_they_are_written(source: str, names: list[str]) -> None:
    assert tables_read(ast.walk(ast.parse(source))) == names


def test_a_table_that_changes_makes_another_space_of_the_same_code(
    tmp_path: Path,
) -> None:
    task, table = tmp_path / "task_x.py", tmp_path / "design.csv"
    task.write_text(TASK)

    def source(record: object = None) -> Source:
        return Source(task, None, [], tmp_path, record=record)

    without = source()
    record = without.record()
    table.write_text("a\n1\n")
    one = source(record)
    record = one.record()
    table.write_text("a\n1\n2\n")
    two = source(record)
    record = two.record()
    assert len({without.space, one.space, two.space}) == 3
    assert without.code == one.code == two.code
    # So that nobody is told to list it in file_dep.
    assert str(table) in two.judged
    assert source(record).space == two.space == source().space
