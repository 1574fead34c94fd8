"""Runs that go on with journals that are damaged, or stand in a wrong place."""

import shutil
from pathlib import Path

import pytest
from projects import COUNTED, Project

from psyrun.workdir.frames import PREFIX, ROW
from psyrun.workdir.journal import scan

pytestmark = pytest.mark.slow

# Its last assignment fails, so that the journal of its only job stays.
TASK = COUNTED.replace("[1, 2, 3, 4]", "range(20)").replace(
    '    return {"y": x**2}\n',
    '    if x == 19 and not Path("mended").exists():\n'
    '        raise ValueError("not yet")\n'
    '    return {"y": x**2}\n',
)
ONE_JOB = TASK.replace("max_jobs = 2", "max_jobs = 1")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path)
    found.write(ONE_JOB)
    found.psy("run", status=1)
    assert found.calls() == [*range(20)]
    (tmp_path / "mended").touch()
    return found


def journals(project: Project) -> list[Path]:
    return sorted((project.work() / "round-1/journal").glob("*.journal"))


def damage(path: Path, index: int) -> tuple[range, bytes]:
    """Change a row, and return where it stands and what stands there now."""
    entry = next(e for e in scan(path) if (e.kind, e.index) == (ROW, index))
    content = bytearray(path.read_bytes())
    content[entry.offset + 5] ^= 1
    path.write_bytes(content)
    part = range(entry.offset - PREFIX, entry.offset + entry.length)
    return part, bytes(content[part.start : part.stop])


def told(part: range) -> str:
    return f"{len(part)} bytes at {part.start} are damaged; kept as psy-work/a/damaged"


def check_result(project: Project) -> None:
    assert project.result() == {"x": [*range(20)], "y": [x**2 for x in range(20)]}


@pytest.mark.parametrize("starts", ["psy", "snakemake"])
def test_a_damaged_part_is_kept_and_told_and_costs_what_it_held(project, starts):
    (path,) = journals(project)
    part, content = damage(path, 7)
    is_psy = starts == "psy"
    ended = project.psy("run") if is_psy else project.snakemake()
    said = ended.stdout + ended.stderr
    assert said.count("are damaged") == said.count(told(part)) == 1
    assert said.count("what only it held is evaluated again") == 1
    kept = project.work() / "damaged/round-1/journal"
    assert [file.read_bytes() for file in kept.iterdir()] == [content]
    assert project.calls() == [7, 19]
    check_result(project)
    assert not any((project.work() / "notices").iterdir())


def test_a_damaged_part_is_told_of_once_though_more_jobs_meet_it(project) -> None:
    (project.folder / "mended").unlink()
    (path,) = journals(project)
    part, _ = damage(path, 7)
    assert told(part) in project.psy("run", status=1).stdout
    assert project.calls() == [7, 19]
    (project.folder / "mended").touch()
    assert "damaged" not in project.psy("run").stdout
    assert project.calls() == [19]
    check_result(project)


def test_a_damaged_part_of_an_earlier_round_is_kept_before_that_is_removed(project):
    (path,) = journals(project)
    part, content = damage(path, 7)
    project.edit("range(20)", "range(-1, 20)")
    assert project.psy("run", "--continue").stdout.count(told(part)) == 1
    assert not path.exists()
    kept = project.work() / "damaged/round-1/journal"
    assert [file.read_bytes() for file in kept.iterdir()] == [content]
    assert project.calls() == [-1, 7, 19]
    assert project.result()["y"] == [x**2 for x in range(-1, 20)]


def test_swapped_journals_are_set_aside_and_nothing_is_mixed_up(tmp_path) -> None:
    project = Project(tmp_path)
    project.write(TASK.replace("x == 19", "x in (9, 19)"))
    project.psy("run", status=1)
    project.calls()
    (tmp_path / "mended").touch()
    first, second = journals(project)
    content = first.read_bytes(), second.read_bytes()
    first.write_bytes(content[1])
    second.write_bytes(content[0])
    said = project.psy("run").stdout
    for path, block in (first, 1), (second, 0):
        name = path.relative_to(tmp_path)
        assert f"a: {name}: was written for block {block} of round 1; kept as" in said
    kept = project.work() / "damaged/round-1/journal"
    assert sorted(file.read_bytes() for file in kept.iterdir()) == sorted(content)
    assert project.calls() == [*range(20)]
    check_result(project)


def test_a_copied_journal_gives_no_rows_twice(tmp_path) -> None:
    project = Project(tmp_path)
    project.write(TASK)
    project.psy("run", status=1)
    project.calls()
    (tmp_path / "mended").touch()
    (path,) = (p for p in journals(project) if p.name.startswith("1-"))
    shutil.copy(path, path.with_name(f"0-{path.name.partition('-')[2]}"))
    project.psy("run")
    assert project.calls() == [19]
    check_result(project)


def test_what_a_job_could_not_tell_is_told_by_the_next_run(project) -> None:
    notices = project.work() / "notices"
    notices.mkdir()
    (notices / "x.txt").write_text("a: told late")
    assert "a: told late\n" in project.psy("run").stdout
