"""Settings that fit what assignments cost, and what needs attention."""

from __future__ import annotations

import re
from typing import Any

import pytest

from psyrun import Sqsub
from psyrun.backend import LoadBalancingBackend
from psyrun.planning.proposals import Proposal, Setting, proposal_of
from psyrun.scheduler import Scheduler
from psyrun.scheduler.limits import Limits
from psyrun.scheduler.units import bytes_of, seconds_of


def proposed(found: Proposal) -> dict[str, Setting]:
    return {setting.label: setting for setting in found.settings}


def values(found: Proposal) -> dict[str, Any]:
    return {setting.label: setting.value for setting in found.settings}


def test_time_and_memory_are_a_bit_more_than_the_bound(queued):
    found = proposal_of(*queued())
    job = next(wall for wall in found.walls if wall.is_current).longest_job
    time = seconds_of(values(found)["timelimit"])
    assert 1.2 * job.high <= time <= 1.25 * job.high + 300
    size = bytes_of(values(found)["memory"])
    assert found.memory is not None
    assert 1.1 * found.memory.job.high <= size <= 1.5 * found.memory.job.high


@pytest.mark.parametrize(
    ("args", "key"),
    [({}, "memory"), ({"mem": "1T"}, "mem"), ({"memory": "1T"}, "memory")],
)
def test_arguments_are_called_as_the_task_calls_them(queued, args, key):
    setting = proposed(proposal_of(*queued(args)))[key]
    assert (setting.name, setting.key) == ("scheduler_args", key)
    assert (setting.now, setting.value) == (args.get(key), "3G")


def test_memory_of_cores_is_a_part_of_that_of_the_job(queued):
    args = {"mem_per_cpu": "100G", "n_cpus": 4, "time": "10-0"}
    found = values(proposal_of(*queued(args, pool_size=4)))
    whole = values(proposal_of(*queued({"n_cpus": 4}, pool_size=4)))
    assert found["time"] == whole["timelimit"]
    assert bytes_of(whole["memory"]) / 4 <= bytes_of(found["mem_per_cpu"])
    assert bytes_of(found["mem_per_cpu"]) < bytes_of(whole["memory"]) / 3


def test_what_fits_stays_as_it_is(queued):
    found = proposal_of(*queued({"timelimit": "6m", "memory": "4000M", "n_cpus": 1}))
    assert [each.label for each in found.changes] == ["min_items"]


def test_a_function_of_the_name_of_a_job_is_known_by_its_value(queued):
    args = {"timelimit": lambda name: "6m", "memory": lambda name: "900G"}
    changes = {each.label: each for each in proposal_of(*queued(args)).changes}
    assert "timelimit" not in changes
    assert changes["memory"].now is args["memory"]


def test_short_jobs_get_more_assignments(queued):
    found = proposal_of(*queued(scale=0.01, overhead=1.0))
    setting = proposed(found)["min_items"]
    assert setting.is_new
    mean = found.core_hours.value * 3600 / 184
    assert setting.value * mean >= 60
    assert "so that jobs last 1 min or more" in setting.reason
    assert any("mostly overhead" in text for text in found.warnings)


def test_no_job_gets_more_than_all(queued):
    assert values(proposal_of(*queued(scale=1e-6)))["min_items"] == 184


def test_balanced_jobs_that_are_short_become_fewer(queued):
    known = {"scale": 0.01, "backend": LoadBalancingBackend()}
    found = values(proposal_of(*queued(**known)))
    assert "min_items" not in found
    assert 1 <= found["max_jobs"] < 5


def test_jobs_that_are_too_long_become_more(queued):
    limits = Limits("partition 'short'", 7200.0)
    estimate, situation = queued(scale=10.0, max_jobs=5, limits=limits)
    found = proposal_of(estimate, situation)
    setting = proposed(found)["max_jobs"]
    assert 5 < setting.value < 50
    assert setting.reason == "jobs of at most 2 h, as partition 'short' allows"
    assert seconds_of(values(found)["timelimit"]) <= 7200


def test_many_jobs_cannot_shorten_one_assignment(queued):
    limits = Limits("partition 'short'", 600.0)
    found = proposal_of(*queued(scale=30.0, limits=limits))
    assert values(found)["timelimit"] == "10m"
    assert any(
        re.match("the slowest assignment takes .*, longer than the longest time of", w)
        for w in found.warnings
    )


def test_fewer_items_make_more_jobs_possible(queued):
    known = {"scale": 100.0, "min_items": 50, "limits": Limits("", 30000.0)}
    found = values(proposal_of(*queued(**known)))
    assert found["min_items"] < 50


def test_each_core_of_this_machine_gets_a_job(sweep):
    found = proposal_of(*sweep(max_jobs=2, cores=8))
    assert values(found) == {"min_items": 1, "max_jobs": 8, "pool_size": 1}
    found = proposal_of(*sweep(pool_size=6, cores=4))
    assert proposed(found)["pool_size"].value == 4


def test_memory_of_this_machine_is_enough_or_not(sweep):
    limits = Limits("this machine", None, 8e9, 8)
    assert not proposal_of(*sweep(cores=2, limits=limits)).warnings
    (said,) = proposal_of(*sweep(cores=6, limits=limits)).warnings
    assert said.startswith("6 jobs at once need up to 13 GiB of memory, more than this")


def test_a_queue_that_requires_arguments_gets_them(sweep):
    scheduler, args = Sqsub(), {"timelimit": "10d", "memory": "1T"}
    asked = scheduler.validate(args, "t:process:0")
    known = {"scheduler": scheduler, "scheduler_args": args, "values": asked}
    found = values(proposal_of(*sweep(**known)))
    assert (found["timelimit"], found["memory"]) == ("5m", "3G")


class OtherQueue(Scheduler):
    """Takes any arguments."""

    def submit(self, args, output_filename, name=None, depends_on=None, **more):
        raise NotImplementedError

    def get_status(self, jobid):
        raise NotImplementedError

    def get_jobs(self):
        raise NotImplementedError

    def kill(self, jobid):
        raise NotImplementedError


def test_of_a_queue_without_a_table_only_what_is_used_is_proposed(sweep):
    known = {"scheduler": OtherQueue(), "scheduler_args": {"memory": "90G", "lab": 1}}
    found = proposal_of(*sweep(**known))
    assert {each.label for each in found.settings if each.key} == {"memory"}
    assert values(found)["memory"] == "3G"
    assert found.warnings == ("jobs ask for 90 GiB of memory, 36 times what they need",)


WARNED = {
    "memory": ({"memory": "900G"}, {}, r"jobs ask for 900 GiB of memory, 3\d\d times"),
    "too little": ({"memory": "1G"}, {}, "up to 2.2 GiB of memory, but asks for 1.0"),
    "slow": (
        {"timelimit": "2m"},
        {},
        "slowest assignment .*than the time limit",
    ),
    "long": ({"timelimit": "4m"}, {"max_jobs": 5}, "a job takes up to .* limit, 4 min"),
    "partition": (
        {"timelimit": "2d"},
        {"limits": Limits("partition 'a'", 86400.0)},
        "the time limit is 48 h, but partition 'a' allows 24 h",
    ),
    "node": (
        {"memory": "9G"},
        {"limits": Limits("partition 'a'", None, 8e9)},
        "jobs ask for 9.0 GiB of memory, but a machine of partition 'a' has 7.5 GiB",
    ),
    "cores": (
        {"n_cpus": 64},
        {"limits": Limits("partition 'a'", cores=32)},
        "jobs ask for 64 cores, but a machine of partition 'a' has 32",
    ),
    "submitted": (
        {},
        {"limits": Limits(n_jobs=20)},
        "you may submit 20 jobs at once, of 100",
    ),
    "overhead": (
        {},
        {"overhead": 100.0},
        "mostly overhead: .* takes 1 min 40 s",
    ),
}


@pytest.mark.parametrize("case", WARNED)
def test_what_needs_attention_is_told(queued, case):
    args, known, said = WARNED[case]
    found = proposal_of(*queued(args, **known))
    assert any(re.search(said, text) for text in found.warnings), found.warnings


def test_a_sweep_that_fits_needs_no_attention(queued):
    assert not proposal_of(*queued({"timelimit": "10m", "memory": "4G"})).warnings


def test_a_model_of_memory_that_does_not_fit_is_told(queued):
    (said, *_) = proposal_of(*queued(n_pilots=2)).warnings
    assert said.startswith("what memory is needed is a rough number: 2 pilots")
