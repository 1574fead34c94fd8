"""What Slurm takes as scheduler_args."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from psyrun.errors import SchedulerError
from psyrun.scheduler import Cause, Slurm
from psyrun.scheduler.slurm.options import sbatch_arguments, slurm_time

ARGUMENTS = {
    "sockets-per-node": 2,
    "timelimit": "0-01:00",
    "memory": "1G",
    "n_cpus": 4,
    "n_nodes": 1,
    "cores-per-socket": 8,
}


def validated(**arguments):
    return Slurm().validate(arguments, "a:split")


def test_every_argument_of_the_guide_becomes_its_option():
    assert sbatch_arguments(Slurm().validate(ARGUMENTS, "a:split")) == [
        *("-t", "0-01:00", "--mem=1G", "-c", "4", "-N", "1"),
        *("--cores-per-socket=8", "--sockets-per-node=2"),
    ]
    assert sbatch_arguments(validated(memory_per_cpu="2G")) == ["--mem-per-cpu=2G"]


def test_other_options_of_sbatch_have_its_long_names():
    values = validated(
        partition="gpu", mail_type=["END", "FAIL"], gpus_per_task=2, exclusive=True
    )
    assert set(sbatch_arguments(values)) == {
        *("--partition=gpu", "--mail-type=END,FAIL", "--gpus-per-task=2"),
        "--exclusive",
    }
    assert values == Slurm().validate({"gpus-per-task": 2, **values}, "a")


def test_an_option_may_be_off():
    assert sbatch_arguments(validated(exclusive=False, contiguous=False)) == []
    assert sbatch_arguments(validated(exclusive="user")) == ["--exclusive=user"]


def test_names_of_sbatch_are_those_of_the_guide():
    values = validated(time="1h", mem="1G", cpus_per_task=2, nodes=1)
    assert set(values) == {"timelimit", "memory", "n_cpus", "n_nodes"}


def test_nothing_is_required():
    assert Slurm("/scratch").validate({}, "a:split") == {}


def test_default_arguments_of_new_tasks_are_accepted():
    assert Slurm().validate(Slurm.USER_DEFAULT_ARGS, "a") == Slurm.USER_DEFAULT_ARGS


def test_values_can_be_written_down():
    values = validated(timelimit=timedelta(minutes=5), exclusive=True, memory=1)
    assert json.loads(json.dumps(values)) == values


def test_a_function_is_called_with_the_name_of_the_job():
    arguments = {"mem": lambda name: "4G" if name.endswith("merge") else None}
    assert Slurm().validate(arguments, "a:merge") == {"memory": "4G"}
    assert Slurm().validate(arguments, "a:split") == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_cpu": 1}, r"does not know 'n_cpu'\. Did you mean 'n_cpus'\?.*n_nodes"),
        ({"partiton": "a"}, r"Did you mean 'partition'\?"),
        ({"output": "a"}, r"'output' cannot be set: .* in its log\. Remove it"),
        ({"job_name": "a"}, r"'job_name' cannot be set: psyrun names"),
        ({"comment": "a"}, r"'comment' cannot be set: psyrun finds"),
        ({"array": "0-3"}, r"'array' cannot be set: .*max_jobs"),
        ({"mem": 1, "memory": 1}, r"'mem' and 'memory' are the same option"),
        ({"memory": 1, "memory_per_cpu": 1}, r"'memory' and 'memory_per_cpu' exclude"),
        (
            {"timelimit": "soon"},
            r"'timelimit' is 'soon' for the job 'a:split'; it must",
        ),
        ({"memory": "lots"}, r"'memory' is 'lots' .* '1\.5G'"),
        ({"n_cpus": 0}, r"'n_cpus' is 0 .* whole number above zero"),
        ({"n_nodes": "many"}, r"'n_nodes' is 'many' .* range such as '1-4'"),
        ({"partition": True}, r"'partition' is True .* a text, a number or a list"),
        ({"partition": ""}, r"'partition' is '' "),
        ({"qos": "a\nb"}, r"single line"),
        ({"contiguous": "yes"}, r"True or False"),
        ({"memory": lambda name: 1 / 0}, r"'memory' raised ZeroDivisionError"),
    ],
)
def test_a_mistake_gets_one_line(arguments, message):
    with pytest.raises(SchedulerError, match=message) as caught:
        Slurm().validate(arguments, "a:split")
    assert str(caught.value).startswith("scheduler_args: ")
    assert len(str(caught.value).splitlines()) == 1


def test_options_of_plug_ins_of_the_site_are_accepted(command):
    command("sbatch", "echo '      --container-image=[USER@]IMAGE  the image'")
    values = validated(container_image="docker://a")
    assert sbatch_arguments(values) == ["--container-image=docker://a"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("15m", "0-00:15"),
        ("1h30m", "0-01:30"),
        ("2d", "2-00:00"),
        ("90s", "0-00:02"),
        ("1d12h", "1-12:00"),
        (timedelta(days=1, seconds=1), "1-00:01"),
        (30, "0-00:30"),
        (2.5, "0-00:03"),
        ("30", "0-00:30"),
        ("30:00", "0-00:30"),
        ("0:30", "0-00:01"),
        ("01:00:00", "0-01:00"),
        ("100:00:01", "4-04:01"),
        ("1-0", "1-00:00"),
        ("0-01:00", "0-01:00"),
        ("1-02:03:04", "1-02:04"),
        ("unlimited", "UNLIMITED"),
    ],
)
def test_times_are_written_for_slurm(value, expected):
    assert slurm_time(value) == expected
    assert slurm_time(expected) == expected


@pytest.mark.parametrize(
    "value", ["1:2:3:4", "1-", "-1", "1-2-3", "0", 0, "0-0", "1,5h"]
)
def test_other_times_are_refused(value):
    with pytest.raises(ValueError, match="'1-12:00'"):
        slurm_time(value)


def test_other_executors_know_the_arguments():
    values = validated(
        timelimit="1d1h1m",
        memory="2G",
        n_cpus=4,
        n_nodes=2,
        partition="main",
        account="acc",
        gpus="a100:2",
        exclusive=True,
        licenses="a b",
    )
    assert Slurm().resources(values) == {
        "runtime": 25 * 60 + 1,
        "mem_mb": 2048,
        "cpus_per_task": 4,
        "nodes": 2,
        "slurm_partition": "main",
        "slurm_account": "acc",
        "gpu": 2,
        "gpu_model": "a100",
        "slurm_extra": "'--licenses=a b' --exclusive",
    }
    assert Slurm().resources({}) == {}


def test_memory_and_time_are_raised():
    values = validated(timelimit="1h", memory="1.5G", partition="main")
    more = Slurm().raised(values, Cause.MEMORY, 1.5)
    assert more == {**values, "memory": "2304M"}
    more = Slurm().raised(values, Cause.TIME, 2)
    assert more == {**values, "timelimit": "0-02:00"}


def test_what_was_not_given_is_not_raised():
    values = validated(timelimit="UNLIMITED", memory=0)
    assert Slurm().raised(values, Cause.MEMORY, 2) is None
    assert Slurm().raised(values, Cause.TIME, 2) is None
    assert Slurm().raised({}, Cause.TIME, 2) is None
    assert Slurm().raised(validated(memory="1G"), Cause.NODE, 2) is None
