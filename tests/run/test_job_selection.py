"""Snakemake scheduler plug-in: which jobs are started."""

import random
from types import SimpleNamespace

from snakemake_scheduler_plugin_psyrun import Scheduler


class Job(SimpleNamespace):
    __hash__ = object.__hash__


def job(name, priority=0, **resources):
    return Job(
        name=name, priority=priority, scheduler_resources=resources, output=[name]
    )


def selected(jobs, **available):
    found = Scheduler(None, None, None).select_jobs(jobs, jobs, available, {})
    return "".join(job.name for job in found)


def test_all_jobs_are_started_where_there_is_room():
    assert selected([job("a", _cores=1), job("b", _cores=1)], _cores=2) == "ab"


def test_no_more_jobs_are_started_than_there_is_room_for():
    jobs = [job(name, _cores=2, mem_mb=100) for name in "abc"]
    assert selected(jobs, _cores=5, mem_mb=1000) == "ab"
    assert selected(jobs, _cores=6, mem_mb=100) == "a"
    assert selected(jobs, _cores=1) == ""


def test_a_small_job_fits_beside_a_large_one():
    jobs = [job("a", _cores=3), job("b", _cores=2), job("c", _cores=1)]
    assert selected(jobs, _cores=4) == "ac"


def test_jobs_of_high_priority_are_first():
    jobs = [job("a", _cores=1), job("b", 2, _cores=1), job("c", 1, _cores=1)]
    assert selected(jobs, _cores=2) == "bc"


def test_a_job_may_need_what_is_not_limited():
    assert selected([job("a", _cores=1, disk_mb=5)], _cores=1) == "a"


def test_equal_jobs_are_started_in_the_order_of_what_they_make():
    names = [f"psy-work/a/round-1/blocks/{block}.pkl " for block in range(120)]
    jobs = [job(name, _cores=1) for name in names]
    random.Random(0).shuffle(jobs)
    assert selected(jobs, _cores=100) == "".join(names[:100])


def test_blocks_are_evaluated_in_their_order(project):
    project.write(
        """\
from pathlib import Path
from psyrun import Param
pspace = Param(x=range(23))
max_jobs = 23

def execute(x):
    with Path("calls").open("a") as file:
        print(x, file=file)
    return {"y": x}
"""
    )
    project.psy("run")
    assert (project.folder / "calls").read_text().split() == [*map(str, range(23))]
