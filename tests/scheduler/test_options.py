"""How the arguments of several places are joined."""

from __future__ import annotations

import pytest

from psyrun.errors import SchedulerError
from psyrun.scheduler import ImmediateRun, Slurm, Sqsub
from psyrun.scheduler.options import joined


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([], {}),
        ([{"account": "a"}, {"qos": "b"}], {"account": "a", "qos": "b"}),
        ([{"account": "a"}, {"account": "b"}], {"account": "b"}),
        ([{"time": 5}, {"timelimit": "1h"}], {"timelimit": "1h"}),
        ([{"timelimit": "1h"}, {"time": 5}], {"time": 5}),
        ([{"time": 5}, {"qos": "a"}, {"timelimit": 6}], {"qos": "a", "timelimit": 6}),
        ([{"time": 5}, {"timelimit": None}], {"timelimit": None}),
        ([{"gpus_per_task": 1}, {"gpus-per-task": 2}], {"gpus-per-task": 2}),
        ([{"of_plug_in": 1}, {"of-plug-in": 2}], {"of-plug-in": 2}),
        ([{"memory": 1}, {"memory_per_cpu": 2}], {"memory_per_cpu": 2}),
        ([{"mem_per_cpu": 1}, {"mem_per_gpu": 2}], {"mem_per_gpu": 2}),
        ([{"mem_per_gpu": 1}, {"mem": 2}], {"mem": 2}),
        ([{"memory": 1}, {"mem_per_cpu": None}], {"memory": 1, "mem_per_cpu": None}),
    ],
)
def test_later_places_win_by_whatever_name(sources, expected):
    assert joined(Slurm.OPTIONS, *sources) == expected


def test_what_one_place_says_twice_is_left_to_be_refused():
    given = joined(Slurm.OPTIONS, {"time": 1}, {"mem": 1, "memory_per_cpu": 1})
    assert given == {"time": 1, "mem": 1, "memory_per_cpu": 1}
    with pytest.raises(SchedulerError, match="exclude each other"):
        Slurm().validate(given, "a")


def test_names_are_those_that_the_user_wrote():
    with pytest.raises(SchedulerError, match="'time' and 'timelimit' are the same"):
        Slurm().validate(joined(Slurm.OPTIONS, {"time": 1, "timelimit": 2}), "a")


def test_other_schedulers_need_no_other_names():
    places = {"timelimit": "1h", "time": 1}, {"timelimit": "2h"}
    expected = {"timelimit": "2h", "time": 1}
    assert (
        joined(Sqsub.OPTIONS, *places)
        == joined(ImmediateRun.OPTIONS, *places)
        == expected
    )


def test_the_places_stay_as_they_are():
    first, second = {"time": 1}, {"timelimit": 2}
    joined(Slurm.OPTIONS, first, second)
    assert (first, second) == ({"time": 1}, {"timelimit": 2})


def test_functions_may_know_the_jobs_as_psyrun_0_8_called_them():
    def timelimit(name):
        return {"split": 1, "process": 2, "merge": 3}[name.split(":")[1]]

    def balanced(name):
        return {"a:pspace": "1G", "a:process": "2G", "a:finalize": "3G"}[name]

    def in_array(name):
        return {"split": 4, "process": 5, "merge": 6}[name.split(":")[-1]]

    given = {"timelimit": timelimit, "memory": balanced, "n_cpus": in_array}
    found = [
        Slurm().validate(given, f"a:{step}")
        for step in ("split", "process:12", "merge")
    ]
    assert [values["n_cpus"] for values in found] == [4, 5, 6]
    assert [values["memory"] for values in found] == ["1G", "2G", "3G"]


def test_a_function_that_knows_no_name_of_a_job_is_named():
    with pytest.raises(SchedulerError, match="'timelimit' raised KeyError: 'a:split'"):
        Slurm().validate({"timelimit": {}.__getitem__}, "a:split")
