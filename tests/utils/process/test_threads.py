"""How many threads libraries get, and what the user has said about it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from psyrun.utils.environment import CORES_VARIABLE, JOB_OF_SLURM
from psyrun.utils.process.threads import (
    AUTO,
    VARIABLES,
    _quota,
    own_cores,
    share_of,
    thread_settings,
)

HERE = len(os.sched_getaffinity(0))
OF_SNAKEMAKE = (
    *("OMP_NUM_THREADS", "GOTO_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    of_slurm = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", JOB_OF_SLURM)
    for name in (*VARIABLES, *OF_SNAKEMAKE, *of_slurm, CORES_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("cores", "n_workers", "share"),
    [(16, 1, 16), (16, 4, 4), (16, 5, 3), (2, 4, 1), (1, 1, 1), (8, 0, 8)],
)
def test_workers_share_the_cores(cores: int, n_workers: int, share: int) -> None:
    assert share_of(cores, n_workers) == share


def test_all_libraries_are_told() -> None:
    assert thread_settings(AUTO, 3, {}) == dict.fromkeys(VARIABLES, "3")
    assert thread_settings(5, 3, {}) == dict.fromkeys(VARIABLES, "5")
    assert thread_settings(None, 3, {}) == {}


@pytest.mark.parametrize("threads", [AUTO, 5, None])
def test_what_the_user_has_set_stays(threads: int | str | None) -> None:
    # The other libraries heed it, too, unless they are told something else.
    assert thread_settings(threads, 3, {"OMP_NUM_THREADS": "2"}) == {}
    assert "MKL_NUM_THREADS" not in thread_settings(
        threads, 3, {"MKL_NUM_THREADS": "2"}
    )


def test_the_cores_that_snakemake_gives_a_job_are_shared_by_its_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = dict.fromkeys(OF_SNAKEMAKE, "1")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert own_cores() == 1
    assert set(thread_settings(AUTO, 2, given).values()) == {"2"}
    assert thread_settings(AUTO, 2, given).keys() >= set(OF_SNAKEMAKE)


def test_a_process_may_use_what_it_is_bound_to() -> None:
    assert 1 <= own_cores() <= HERE
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        os.write(writing, bytes([own_cores()]))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 1) == b"\1"


@pytest.mark.parametrize(
    "given",
    [
        {CORES_VARIABLE: "1"},
        {JOB_OF_SLURM: "7", "SLURM_CPUS_PER_TASK": "1", "SLURM_CPUS_ON_NODE": "64"},
        {JOB_OF_SLURM: "7", "SLURM_CPUS_ON_NODE": "1"},
    ],
)
def test_a_job_of_a_queue_may_use_what_it_has_asked_for(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert own_cores() == 1


@pytest.mark.parametrize("value", ["0", "-1", "many", "", "1.5", "10000"])
def test_what_is_no_number_of_cores_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    before = own_cores()
    monkeypatch.setenv(CORES_VARIABLE, value)
    # Left in some shells by a job that has ended.
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    assert own_cores() == before


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, [2]),
        ({"cpu.max": "max 100000"}, []),
        ({"cpu.max": "50000 100000"}, [1]),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, []),
        ({"cpu.cfs_quota_us": "300000", "cpu.cfs_period_us": "100000"}, [3]),
        ({}, []),
    ],
)
def test_control_groups_leave_a_part_of_the_time(
    tmp_path: Path, files: dict[str, str], cores: list[int]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert list(_quota(tmp_path)) == cores
