"""New values for variables of a task file."""

from __future__ import annotations

import io
import os
import re
import tokenize
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from psyrun.errors import StoreError, TaskError
from psyrun.tasks.rewriting import Change, TaskSource

JOBS = Change("max_jobs", None, 100, 61)
ITEMS = Change("min_items", None, 1, 3)
TIME = Change("scheduler_args", "timelimit", "1h", "15m")
CORES = Change("scheduler_args", "n_cpus", None, 2)


def changed(text: str, *changes: Change) -> str:
    return TaskSource(Path("task_a.py"), text.encode()).changed(changes).decode()


TASK = """\
from psyrun import Param

pspace = Param(x=[1])  # one
max_jobs = 100  # as many as there are

scheduler_args = {
    # The default is too short.
    "timelimit": "1h",  # an hour
    "memory": "1G"  # enough
}


def execute(x):
    return {"y": x}
"""


def test_only_what_is_to_change_changes():
    after = changed(TASK, JOBS, TIME, CORES, ITEMS)
    assert after == (
        TASK.replace("max_jobs = 100", "max_jobs = 61")
        .replace('"1h"', '"15m"')
        .replace(
            '"1G"  # enough\n}', '"1G",  # enough\n    "n_cpus": 2,\n}\nmin_items = 3'
        )
    )


WRITTEN = {
    "max_jobs=100;y=1": ("max_jobs=61;y=1", JOBS),
    "max_jobs: int = (100)": ("max_jobs: int = (61)", JOBS),
    "max_jobs = \\\n  0x64 # hex": ("max_jobs = \\\n  61 # hex", JOBS),
    "é = 'ü'; max_jobs = 100": ("é = 'ü'; max_jobs = 61", JOBS),
    "min_items = None\nmax_jobs = 100": ("min_items = None\nmax_jobs = 61", JOBS),
    "x = 1": ("x = 1\nmax_jobs = 61", JOBS),
    "": ("max_jobs = 61\n", JOBS),
    "'''doc'''\npspace = 1; y = (\n  2)\nz = 3": (
        "'''doc'''\npspace = 1; y = (\n  2)\nmax_jobs = 61\nz = 3",
        JOBS,
    ),
    "pspace = 1\n@a\ndef f(): pass\n": (
        "pspace = 1\nmax_jobs = 61\n@a\ndef f(): pass\n",
        JOBS,
    ),
    "pspace = 1; \\\nz = 3": ("pspace = 1; \\\nmax_jobs = 61\nz = 3", JOBS),
    "max_jobs = 1\nfrom b import *": (
        'max_jobs = 1\nfrom b import *\nscheduler_args = {"n_cpus": 2}',
        CORES,
    ),
    "scheduler_args = {'timelimit': '1' 'h'}": (
        "scheduler_args = {'timelimit': '15m'}",
        TIME,
    ),
    "scheduler_args = dict(timelimit='1h', a=f(2))": (
        "scheduler_args = dict(timelimit='15m', a=f(2))",
        TIME,
    ),
    "scheduler_args = {**base, 'timelimit': '1h'}": (
        "scheduler_args = {**base, 'timelimit': '15m'}",
        TIME,
    ),
    "schedular_args = {'timelimit': '1h'}": (
        "schedular_args = {'timelimit': '15m'}",
        TIME,
    ),
    "scheduler_args = {}": ('scheduler_args = {"n_cpus": 2}', CORES),
    "scheduler_args = {  # none\n}": (
        'scheduler_args = {  # none\n"n_cpus": 2}',
        CORES,
    ),
    "scheduler_args = dict()": ("scheduler_args = dict(n_cpus=2)", CORES),
    "scheduler_args = {'a': 1}": ("scheduler_args = {'a': 1, 'n_cpus': 2}", CORES),
    "scheduler_args = {'a': (1),}": (
        "scheduler_args = {'a': (1), 'n_cpus': 2,}",
        CORES,
    ),
    "scheduler_args = {**base}": ('scheduler_args = {**base, "n_cpus": 2}', CORES),
    "scheduler_args = {\n\t'a': [\n 1],\n}": (
        "scheduler_args = {\n\t'a': [\n 1],\n\t'n_cpus': 2,\n}",
        CORES,
    ),
    "scheduler_args = {\n  **base, # ),\n}": (
        'scheduler_args = {\n  **base, # ),\n  "n_cpus": 2,\n}',
        CORES,
    ),
    "scheduler_args = dict(\n  a=1\n)": (
        "scheduler_args = dict(\n  a=1,\n  n_cpus=2,\n)",
        CORES,
    ),
    "scheduler_args = {'a': 1\n}": (
        "scheduler_args = {'a': 1,\n                  'n_cpus': 2,\n}",
        CORES,
    ),
    "scheduler_args = {\n  'a': 1\n , # x\n}": (
        "scheduler_args = {\n  'a': 1\n , # x\n  'n_cpus': 2,\n}",
        CORES,
    ),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_odd_formatting_stays(text):
    expected, change = WRITTEN[text]
    assert changed(text, change) == expected


SEVERAL = "is set or changed in more than one place"
TOGETHER = "is set together with something else"
REFUSED = {
    "max_jobs = 4 * 25": (JOBS, ":1: max_jobs is computed. Nothing is written; set it"),
    "n = 100\nmax_jobs = n": (JOBS, ":2: max_jobs is computed"),
    "max_jobs = [100]": (JOBS, ":1: max_jobs is computed"),
    "max_jobs = f'{100}'": (JOBS, ":1: max_jobs is computed"),
    "max_jobs = 100\nmax_jobs = 100": (JOBS, SEVERAL),
    "max_jobs = 99\nmax_jobs += 1": (JOBS, SEVERAL),
    "if f():\n    max_jobs = 100": (JOBS, ":1: max_jobs is not set by a plain"),
    "max_jobs = 100\nif f():\n    max_jobs = 3": (
        JOBS,
        ":2: max_jobs is set or changed",
    ),
    "for max_jobs in [100]: pass": (JOBS, "not set by a plain assignment"),
    "from a import max_jobs": (JOBS, ":1: max_jobs is not set by a plain assignment"),
    "max_jobs = min_items = 100": (JOBS, TOGETHER),
    "max_jobs, y = 100, 2": (JOBS, TOGETHER),
    "y = (max_jobs := 100)": (JOBS, TOGETHER),
    "max_jobs = 3\ndef f():\n    global max_jobs\n    max_jobs = 100\nf()": (
        JOBS,
        SEVERAL,
    ),
    "max_jobs = 3": (JOBS, "is 100 once the file has run"),
    "max_jobs = 100\npspace = Param(x=range(max_jobs))": (
        JOBS,
        ":2: max_jobs is read by something else",
    ),
    "max_jobs = 100\ndef execute(x): return {'y': max_jobs}": (JOBS, "is read by"),
    "scheduler_args = make()": (TIME, "scheduler_args['timelimit'] is computed"),
    "scheduler_args = base | {'timelimit': '1h'}": (TIME, "is computed"),
    "scheduler_args = {'timelimit': lambda name: '1h'}": (TIME, "is computed"),
    "scheduler_args = {'timelimit': '1h', **base}": (TIME, "may be set by what is"),
    "scheduler_args = {'timelimit': '1h', key: 1}": (TIME, "may be set by what is"),
    "scheduler_args = {'timelimit': 1, 'timelimit': '1h'}": (TIME, "more than once"),
    "scheduler_args = {}\nscheduler_args['timelimit'] = '1h'": (TIME, SEVERAL),
    "scheduler_args = {}\nscheduler_args.update(timelimit='1h')": (
        TIME,
        "more than one",
    ),
    "scheduler_args = {'timelimit': '1h'}\nfill(scheduler_args)": (
        TIME,
        "more than one",
    ),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_does_not_stand_plainly_in_the_file_is_refused(text):
    change, said = REFUSED[text]
    with pytest.raises(TaskError, match=f"^task_a.py.*{re.escape(said)}"):
        changed(text, change)


def test_settings_may_be_read_by_settings():
    text = "max_jobs = 100\nscheduler_args = {'ntasks': max_jobs}"
    assert changed(text, JOBS) == text.replace("100", "61", 1)


spaces = st.sampled_from(["", " ", "  ", "\t"])
comments = st.sampled_from(["", "  # 'é, \"{", "\t#)},", " # max_jobs = 3"])
others = st.sampled_from(
    [
        "x = '''a\nb'''",
        "import os",
        "def f(a, *, max_jobs=3):\n    return {'timelimit': a}",
        "y = [1,\n 2,\n]",
        "if True:\n\tz = {'scheduler_args': '1h'}",
        "é = 'max_jobs = 100'; q = \"ü\"",
        "\f",
        "",
        "# scheduler_args = {",
        "class A:\n  max_jobs = 7",
        "w = 1 + \\\n  2",
    ]
)


@st.composite
def dictionaries(draw: Any) -> str:
    breaks = st.sampled_from(["", " ", "\n", "\n    ", " # c}\n  ", "\\\n"])
    is_call = draw(st.booleans())
    keys = ["timelimit", *draw(st.sets(st.sampled_from(["a", "b"])))]
    found = []
    for key in draw(st.permutations(keys)):
        value = (
            "'1h'"
            if key == "timelimit"
            else draw(st.sampled_from(["1", "('#')", "[1, 2]", "{'x': ()}", "f(1)"]))
        )
        if draw(st.booleans()):
            value = f"({draw(breaks)}{value}{draw(breaks)})"
        name = f"{key}=" if is_call else f'"{key}":{draw(spaces)}'
        found.append(f"{draw(breaks)}{name}{value}{draw(breaks)}")
    inner = ",".join(found) + draw(st.sampled_from(["", ","])) + draw(breaks)
    return f"dict({inner})" if is_call else f"{{{inner}}}"


@st.composite
def files(draw: Any) -> str:
    parts = draw(st.lists(others, max_size=5))
    parts.append(f"max_jobs{draw(spaces)}={draw(spaces)}100{draw(comments)}")
    parts.append(f"scheduler_args = {draw(dictionaries())}{draw(comments)}")
    text = "\n".join(["def f(a): return a", *draw(st.permutations(parts))])
    return text + draw(st.sampled_from(["", "\n", "\n\n"]))


def values_in(text: str) -> dict[str, Any]:
    space: dict[str, Any] = {}
    exec(text, space)
    kinds = (int, str, list, dict)
    return {k: v for k, v in space.items() if isinstance(v, kinds) and k[:2] != "__"}


def comments_in(text: str) -> Counter[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return Counter(each.string for each in tokens if each.type == tokenize.COMMENT)


@given(files(), st.permutations([JOBS, ITEMS, TIME, CORES]), st.integers(0, 4))
def test_files_say_the_same_otherwise(text, changes, n):
    after = changed(text, *changes[:n])
    found, before = values_in(after), values_in(text)
    for change in changes[:n]:
        if change.key is None:
            before[change.name] = change.value
        else:
            before[change.name][change.key] = change.value
    assert found == before
    assert comments_in(after) == comments_in(text)
    assert n or after == text


@given(
    files(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "cp1252"]),
)
def test_encodings_and_ends_of_lines_stay(text, newline, encoding):
    head = "" if encoding[:3] == "utf" else f"# -*- coding: {encoding} -*-\n"
    # Python itself does not find the encoding in a first line that ends otherwise.
    assume(not head or newline != "\r")
    content = f"{head}{text}".replace("\n", newline).encode(encoding)
    after = TaskSource(Path("task_a.py"), content).changed([JOBS, TIME, CORES, ITEMS])
    plain = changed(text, JOBS, TIME, CORES, ITEMS)
    assert after == f"{head}{plain}".replace("\n", newline).encode(encoding)


@pytest.fixture
def source(tmp_path) -> TaskSource:
    path = tmp_path / "task_a.py"
    path.write_text(TASK)
    path.chmod(0o640)
    return TaskSource.read(path)


def test_a_file_is_replaced_with_its_permissions(source, tmp_path):
    source.write([JOBS])
    assert source.path.read_text() == TASK.replace("= 100", "= 61")
    assert source.path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [source.path]


def test_a_link_stays_one(source, tmp_path):
    link = tmp_path / "task_b.py"
    link.symlink_to(source.path)
    TaskSource.read(link).write([JOBS])
    assert link.is_symlink()
    assert "max_jobs = 61" in source.path.read_text()


def test_a_file_that_was_changed_meanwhile_stays(source, tmp_path):
    source.path.write_text(TASK + "# new\n")
    with pytest.raises(TaskError, match=r"was changed meanwhile.*Plan again"):
        source.write([JOBS])
    assert source.path.read_text() == TASK + "# new\n"
    assert list(tmp_path.iterdir()) == [source.path]


def test_all_is_written_or_nothing(source):
    with pytest.raises(TaskError, match="is None once"):
        source.write([JOBS, Change("scheduler_args", "memory", None, "2G")])
    assert source.path.read_text() == TASK


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_file_that_may_not_be_written_stays(source):
    source.path.chmod(0o440)
    with pytest.raises(StoreError, match="Permission denied"):
        source.write([JOBS])


def test_a_file_that_is_gone_is_named(source):
    source.path.unlink()
    with pytest.raises(StoreError, match="no such file"):
        source.write([JOBS])


def test_an_encoding_that_is_not_written_as_it_was_read_is_refused():
    content = b"# coding: utf-7\nx = '+AOk-'\nmax_jobs = 100\n"
    with pytest.raises(TaskError, match="Save it in UTF-8"):
        TaskSource(Path("task_a.py"), content + b"y = '+AGE-'\n").changed([JOBS])
