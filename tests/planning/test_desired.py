"""What the rows of a task are from, when its space gets replicates or loses them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from plans import PLAN

from psyrun.planning.desired import Sources, sources_of
from psyrun.tasks.version import Version, version_of_file
from psyrun.workdir.plan import Plan


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Version:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "task_a.py"
    path.write_text("pspace = 1\ndef execute(x): return {}\n")
    work = tmp_path / "psy-work/a"
    return version_of_file(path, None, (), work / "s", work / "l/l", digests=None)


def plan_of(sources: Sources) -> Plan:
    return replace(
        PLAN,
        fingerprint=sources.fingerprint,
        space_source=sources.space_source,
        seeding=sources.seeding,
        also=sources.also,
    )


def names(sources: Sources) -> set[str]:
    return {sources.fingerprint, *sources.also}


def test_first_replicates_leave_other_rows_valid(version: Version) -> None:
    seeded = replace(version, seeding="seed=1")
    plan = plan_of(sources_of(version, None, ()))
    found = sources_of(seeded, plan, (), lambda: False)
    assert names(found) == {seeded.code_text, version.code_text}
    assert found.seeding == "seed=1"
    # The next run takes it for the same version.
    assert sources_of(seeded, plan_of(found), (), lambda: False) == found


def test_replicates_of_their_own_making_are_not_valid(version: Version) -> None:
    seeded = replace(version, seeding="seed=1")
    plan = plan_of(sources_of(version, None, ()))
    assert names(sources_of(seeded, plan, (), lambda: True)) == {seeded.code_text}


def test_rows_of_another_seed_are_never_valid(version: Version) -> None:
    first, second = (replace(version, seeding=f"seed={n}") for n in (1, 2))
    plan = plan_of(sources_of(version, None, ()))
    plan = plan_of(sources_of(first, plan, (), lambda: False))
    found = sources_of(second, plan, (), lambda: False)
    assert names(found) == {second.code_text}
    assert not names(found) & set(plan.names)


def test_a_space_without_its_replicates_takes_no_rows_of_them(version: Version) -> None:
    seeded = replace(version, seeding="seed=1")
    plan = plan_of(sources_of(version, None, ()))
    plan = plan_of(sources_of(seeded, plan, (), lambda: False))
    found = sources_of(version, plan, (), lambda: False)
    assert names(found) == {version.code_text}
    assert found.seeding == ""
