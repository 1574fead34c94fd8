"""Slurm's commands and what they print."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import time
from datetime import datetime

import pytest

from psyrun.errors import QueueFullError, QueueUnreachableError, SchedulerError
from psyrun.scheduler import JobArray, JobStatus, Slurm, Waiting
from psyrun.scheduler.limits import Limits
from psyrun.scheduler.slurm.partitions import check_limits
from psyrun.scheduler.slurm.sbatch import (
    array_command,
    job_command,
    jobs_with_comment,
    parse_id,
    pattern,
    reused_ids,
)
from psyrun.scheduler.slurm.squeue import (
    compact_ids,
    described,
    obstacle,
    parse,
    positions,
    reasons,
)

QUEUE = """\
CLUSTER: graham
7|R|None|area:split
8|PD|Dependency|area:process:0
9_0|PD|Priority|area:process
9_3|CG|None|area:process
9_[4,6-7%2]|CA|JobArrayTaskLimit|area:process
10|CF|None|a b|c
11|S|None|area:merge
12|F|NonZeroExitCode|area:merge
13|CA|JobHeldUser|area:merge
14|XX|None|area:merge
"""


@pytest.fixture
def array(tmp_path):
    folder = tmp_path / "an array %a"
    folder.mkdir()
    args, names = ("sh", "run it.sh"), ("a:process:0", "a:process:1")
    return JobArray(args, "a:process", names, folder, {"n_cpus": 2}, "psyrun 1|2")


def test_the_command_line_states_name_output_and_dependencies():
    command = ["python", "-c", "print('a b')"]
    words = job_command(["-c", "2"], command, "100%.log", "a:merge", [4, "5_1"])
    assert words[:6] == [
        *("sbatch", "--parsable", "--no-requeue", "--open-mode=append", "-c", "2"),
    ]
    options = ["-J", "a:merge", "-o", "100%%.log", "--dependency=afterok:4:5_1"]
    assert words[6:-1] == [*options, "--wrap"]
    assert shlex.split(words[-1]) == ["exec", *command]


def test_an_array_is_one_command_line(array):
    words = array_command(["-c", "2"], array)
    assert "--array=0-1" in words
    assert "--comment=psyrun 1|2" in words
    assert f"{array.folder.parent}/an array %%a/%a.out" in words
    assert words[-1] == """exec sh 'run it.sh' "$SLURM_ARRAY_TASK_ID\""""


def test_the_wrapped_command_survives_a_shell():
    words = job_command([], ["printf", "%s|", "a b", "$HOME", "'"], "o", "n", [])
    printed = subprocess.run(["sh", "-c", words[-1]], capture_output=True, check=True)
    assert printed.stdout == b"a b|$HOME|'|"


def test_a_path_that_slurm_cannot_write_is_named():
    with pytest.raises(SchedulerError, match=r"a\\b: .* backslash"):
        pattern("a\\b")


def test_job_ids_are_read():
    assert parse_id("12\n") == "12"
    assert parse_id("12;graham\n") == "12"
    assert parse_id("Welcome to graham!\n12\n") == "12"
    assert parse_id("") is None


def test_reasons_are_told_with_their_meaning():
    assert described("Priority") == "Priority: others come first"
    assert described("ReqNodeNotAvail, UnavailableNodes:n2") == (
        "ReqNodeNotAvail, UnavailableNodes:n2: machines that it needs are not available"
    )
    assert described("AssocGrpCPUMinutesLimit").endswith(
        "a limit of your account or QOS is reached"
    )
    assert described("Cleaning") == "Cleaning"


FINAL = (
    *("PartitionTimeLimit", "PartitionNodeLimit", "DependencyNeverSatisfied"),
    *("BadConstraints", "InvalidAccount", "InvalidQOS", "ReservationDeleted"),
    *("AssocMaxWallDurationPerJobLimit", "QOSMaxCpuPerJobLimit", "QOSMaxCpuPerNode"),
    *("QOSMaxMemoryPerJob", "AssocMaxCpuPerJobLimit", "QOSMinCpuNotSatisfied"),
)
PASSING = (
    *("Resources", "Priority", "Dependency", "BeginTime", "JobArrayTaskLimit", "None"),
    *("AssocMaxJobsLimit", "QOSMaxJobsPerUserLimit", "AssocGrpCpuLimit", "Licenses"),
    *("QOSMaxCpuPerUserLimit", "QOSGrpNodeLimit", "Reservation", "Cleaning"),
)
FOR_ADMINS = (
    *("PartitionDown", "PartitionInactive", "ReqNodeNotAvail, UnavailableNodes:n1"),
    *("Nodes required for job are DOWN, DRAINED or reserved", "JobHeldAdmin"),
    *("AssocGrpCPUMinutesLimit", "AssocGrpBillingMinutes", "JobHeldUser"),
)


@pytest.mark.parametrize("reason", FINAL)
def test_jobs_that_can_never_start_are_told_from_others(reason):
    found = obstacle(reason)
    assert found is not None
    assert found.is_final
    assert found.text.startswith(f"{reason}: ")


@pytest.mark.parametrize("reason", PASSING)
def test_reasons_that_pass_are_no_obstacles(reason):
    assert obstacle(reason) is None


@pytest.mark.parametrize("reason", FOR_ADMINS)
def test_what_somebody_else_has_to_end_is_told_but_not_final(reason):
    found = obstacle(reason)
    assert found is not None
    assert not found.is_final


PARTITIONS = """\
PartitionName=main Default=YES MaxNodes=UNLIMITED MaxTime=UNLIMITED TotalNodes=2
PartitionName=short Default=NO MaxNodes=1 MaxTime=00:05:00 TotalNodes=2
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"partition": "short", "timelimit": "10m"}, "'short' allows 00:05:00"),
        ({"partition": "short", "n_nodes": 2}, "'short' allows 1"),
        ({"n_nodes": "3-4"}, "'main' has 2"),
    ],
)
def test_what_no_partition_allows_is_not_submitted(command, arguments, said):
    command("sacctmgr", "exit 1")
    command("scontrol", f"cat <<E\n{PARTITIONS}E")
    with pytest.raises(SchedulerError, match=said):
        check_limits(Slurm().validate(arguments, "a"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"timelimit": "10m"},
        {"partition": "short,main", "timelimit": "10m"},
        {"partition": "short", "timelimit": "5m", "n_nodes": "1-4"},
        {"partition": "short", "timelimit": "10m", "time-min": "5m"},
        {"partition": "unknown", "timelimit": "10m"},
    ],
)
def test_what_a_partition_allows_is_submitted(command, arguments):
    command("sacctmgr", "exit 1")
    command("scontrol", f"cat <<E\n{PARTITIONS}E")
    check_limits(Slurm().validate(arguments, "a"))


def test_limits_that_a_qos_may_exceed_are_left_to_slurm(command):
    command("scontrol", f"cat <<E\n{PARTITIONS}E")
    command("sacctmgr", "echo DenyOnLimit; echo PartitionTimeLimit")
    check_limits(Slurm().validate({"partition": "short", "timelimit": "10m"}, "a"))


NODES = """\
NodeName=a CPUTot=8 RealMemory=16000 Partitions=main,short
NodeName=b CPUTot=64 RealMemory=256000 Partitions=main
"""


@pytest.fixture
def tells(command):
    """Have Slurm tell of partitions, machines and accounts."""

    def tell(accounts: str = "", qos: str = "") -> None:
        shown = f"cat <<E\n{PARTITIONS}E\nelse cat <<E\n{NODES}E\n"
        command("scontrol", f'if [ "$2" = partition ]; then {shown}fi')
        command("sacctmgr", f"[ $4 = qos ] && echo '{qos}' || printf '{accounts}'")

    return tell


def test_limits_are_those_of_the_partition_and_its_largest_machine(tells):
    tells("lab|500|20\\nother|50|\\n")
    short = Limits("partition 'short'", 300.0, 16000.0 * 2**20, 8, 500)
    assert Slurm().limits({"partition": "short"}) == short
    lab = Slurm().limits({"partition": "short", "account": "other"})
    assert lab.n_jobs == 50
    main = Limits("partition 'main'", None, 256000.0 * 2**20, 64, 500)
    assert Slurm().limits({}) == main


def test_of_several_partitions_the_largest_limits_count(tells):
    tells()
    both = Slurm().limits({"partition": "short,main"})
    assert (both.seconds, both.cores, both.n_jobs) == (None, 64, None)


def test_what_a_qos_may_exceed_is_no_limit(tells):
    tells(qos="PartitionTimeLimit")
    assert Slurm().limits({"partition": "short"}).seconds is None


def test_limits_that_slurm_does_not_tell_are_not_known(command):
    command("scontrol", "exit 1")
    command("sacctmgr", "exit 1")
    assert Slurm().limits({"partition": "short"}) == Limits()


def test_reasons_of_queued_jobs_are_read():
    told = reasons("12|R|None|a\n13_[0-1]|PD|Resources|b|c\nCLUSTER: x\n")
    assert told.keys() == {"13_0", "13_1"}
    assert told["13_0"].startswith("Resources: ")


def test_states_are_read():
    assert list(parse(QUEUE)) == [
        JobStatus("7", "R", "area:split"),
        JobStatus("8", "*Q", "area:process:0"),
        JobStatus("9_0", "Q", "area:process"),
        JobStatus("9_3", "R", "area:process"),
        *(JobStatus(f"9_{i}", "D", "area:process") for i in (4, 6, 7)),
        JobStatus("10", "R", "a b|c"),
        JobStatus("11", "Z", "area:merge"),
        JobStatus("12", "D", "area:merge"),
        JobStatus("13", "D", "area:merge"),
        JobStatus("14", "R", "area:merge"),
    ]


def test_indices_of_arrays_are_read():
    assert list(positions("[0,3-5,10-20:5%2]")) == [0, 3, 4, 5, 10, 15, 20]


def test_neighbouring_tasks_are_killed_with_one_word():
    jobs = ["7_2", 12, "7_0", "7_1", "9_4", "7_5"]
    living = [f"7_{i}" for i in range(9)] + ["9_4", "9_5"]
    assert compact_ids(jobs, living) == ["7_[0-2]", "7_[5]", "12", "9_[4]"]
    assert compact_ids([], living) == []


def test_a_whole_array_is_killed_with_one_word():
    jobs = ["7_0", "7_1", "7_2", "8_1"]
    assert compact_ids(jobs, ["7_1", "7_2", "9_0"]) == ["7"]


def test_jobs_are_found_by_their_comment():
    printed = "12|key a\n9|key a|b\n 10|key a|b\n9|key a|b\n11_[0-3]|(null)\n"
    assert jobs_with_comment(printed, "key a|b") == ["9", "10"]
    assert jobs_with_comment(printed, "key") == []


def test_a_job_is_submitted(command):
    called = command("sbatch", "echo 42")
    job = Slurm().submit(["true"], "o.log", "a:split", scheduler_args={"n_cpus": 2})
    assert job == "42"
    assert "-c\n2\n-J\na:split\n-o\no.log\n" in called.read_text()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Unable to contact slurm controller (connect failure)", QueueUnreachableError),
        ("Socket timed out on send/recv operation", QueueUnreachableError),
        ("Slurm backup controller in standby mode", QueueUnreachableError),
        (
            "Job violates accounting/QOS policy (job submit limit, user's size and/or "
            "time limits)",
            QueueFullError,
        ),
        ("QOSMaxSubmitJobPerUserLimit", QueueFullError),
        ("AssocMaxSubmitJobLimit", QueueFullError),
        (
            "Slurm temporarily unable to accept job, sleeping and retrying",
            QueueFullError,
        ),
        ("Invalid partition name specified", SchedulerError),
        ("Invalid account or account/partition combination specified", SchedulerError),
    ],
)
def test_a_job_that_was_not_taken_says_why(command, said, kind):
    text = f"sbatch: error: Batch job submission failed: {said}"
    command("sbatch", f"echo {shlex.quote(text)} >&2; exit 1")
    with pytest.raises(SchedulerError, match=r"\A.*\Z") as caught:
        Slurm().submit(["true"], "o.log")
    assert type(caught.value) is kind
    assert said.rstrip(".") in str(caught.value)


@pytest.mark.parametrize(
    ("limit", "kind"),
    [
        ("QOSMaxWallDurationPerJobLimit", SchedulerError),
        ("AssocMaxCpuPerJobLimit", SchedulerError),
        ("QOSMaxMemoryPerJob", SchedulerError),
        ("AssocGrpSubmitJobsLimit", QueueFullError),
        ("QOSMaxSubmitJobPerAccountLimit", QueueFullError),
        ("AssocMaxJobsLimit", QueueFullError),
    ],
)
def test_no_waiting_helps_against_a_limit_of_a_single_job(command, limit, kind):
    text = (
        f"sbatch: error: {limit}\nsbatch: error: Batch job submission failed: Job "
        "violates accounting/QOS policy (job submit limit, user's size and/or time "
        "limits)"
    )
    command("sbatch", f"echo {shlex.quote(text)} >&2; exit 1")
    with pytest.raises(SchedulerError, match=limit) as caught:
        Slurm().submit(["true"], "o.log")
    assert type(caught.value) is kind


def test_a_number_may_have_been_given_to_another_job(array):
    jobs = {"12_0": array, "12_1": array, "13_0": array}
    shown = "12_[0-1]|{}|{}\n14|x|y\n"
    assert reused_ids(shown.format(array.key, array.name), jobs) == set()
    assert reused_ids(shown.format("0123456789abcdef", array.name), jobs) == {
        "12_0",
        "12_1",
    }
    assert reused_ids(shown.format(array.key, "mine"), jobs) == {"12_0", "12_1"}
    # A site may write comments of its own, with vertical lines even.
    assert reused_ids(shown.format("a|project", array.name), jobs) == set()


def test_an_array_is_never_submitted_twice(command, array):
    called = command("sbatch", "echo 42")
    assert Slurm().submit_array(array) == ["42_0", "42_1"]
    called.unlink()
    assert Slurm().submit_array(array) == ["42_0", "42_1"]
    assert Slurm().find(array) == {0: "42_0", 1: "42_1"}
    assert not called.exists()


def test_an_array_that_was_refused_can_be_submitted_again(command, array):
    command("sbatch", "echo 'sbatch: error: no' >&2; exit 1")
    with pytest.raises(SchedulerError, match="exit status 1: no"):
        Slurm().submit_array(array)
    command("sbatch", "echo 42")
    assert Slurm().submit_array(array) == ["42_0", "42_1"]


def test_an_sbatch_that_finds_the_queue_full_is_not_waited_for(command, array):
    text = "Slurm temporarily unable to accept job, sleeping and retrying"
    command("sbatch", f"echo 'sbatch: error: {text}' >&2; exec sleep 60")
    begin = time.monotonic()
    with pytest.raises(QueueFullError, match="takes no more jobs now"):
        Slurm().submit_array(array)
    assert time.monotonic() - begin < 10


def test_an_sbatch_that_still_tries_is_waited_for(command, array):
    command("squeue", "true")
    with (array.folder / "sbatch.out").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(QueueUnreachableError, match="has not ended"):
            Slurm().find(array)
        with pytest.raises(QueueUnreachableError, match="has not ended"):
            Slurm().submit_array(array)
    assert Slurm().find(array) == {}


def test_an_sbatch_outlives_us_and_notes_the_job(command, array, tmp_path):
    go = tmp_path / "go"
    command("sbatch", f"until [ -e '{go}' ]; do sleep 0.05; done; echo 42")
    child = os.fork()
    if child == 0:
        try:
            Slurm().submit_array(array)
        finally:
            os._exit(1)
    wait_for((tmp_path / "sbatch.called").exists)
    os.kill(child, 9)
    os.waitpid(child, 0)
    with pytest.raises(QueueUnreachableError, match="has not ended"):
        Slurm().find(array)
    go.touch()
    wait_for(lambda: (array.folder / "sbatch.out").read_text() == "42\n")
    wait_for(lambda: is_unlocked(array.folder / "sbatch.out"))
    assert Slurm().find(array) == {0: "42_0", 1: "42_1"}


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_unlocked(path):
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_half_a_number_is_no_job_id(command, array):
    command("squeue", "echo '427|psyrun 1|2'")
    (array.folder / "sbatch.out").write_text("42")
    assert Slurm().find(array) == {0: "427_0", 1: "427_1"}


def test_a_second_submission_of_an_array_is_cancelled(command, array):
    command("squeue", "printf '43|psyrun 1|2\\n42|psyrun 1|2\\n'")
    called = command("scancel", "")
    assert Slurm().find(array)[0] == "42_0"
    assert called.read_text() == "43\n"


def test_accounting_is_asked_for_what_the_queue_forgot(command, array):
    command("squeue", "true")
    command("sacct", "printf '42_0|psyrun 1|2\\n42_1|psyrun 1|2\\n'")
    assert Slurm().find(array)[1] == "42_1"
    command("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert Slurm().find(array) == {}


def test_the_status_of_a_job_is_asked_for(command):
    called = command("squeue", "echo '7|R|None|a:split'")
    assert Slurm().get_status("7") == JobStatus("7", "R", "a:split")
    assert called.read_text().endswith("-j\n7\n")


def test_a_forgotten_job_has_no_status(command):
    text = "slurm_load_jobs error: Invalid job id specified"
    command("squeue", f"echo '{text}' >&2; exit 1")
    assert Slurm().get_status(7) is None


@pytest.mark.parametrize(
    "ask",
    [
        lambda slurm: slurm.get_status("7"),
        lambda slurm: slurm.get_statuses(["7"]),
        lambda slurm: slurm.get_jobs(),
    ],
)
def test_a_queue_that_does_not_answer_is_no_end_of_a_job(command, ask):
    text = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    command("squeue", f"echo '{text}' >&2; exit 1")
    with pytest.raises(QueueUnreachableError, match="Slurm does not answer squeue"):
        ask(Slurm())


def test_the_users_own_view_of_the_queue_does_not_matter(command, monkeypatch):
    monkeypatch.setenv("SQUEUE_STATES", "PENDING")
    command("squeue", 'test -z "$SQUEUE_STATES" && echo "7|R|None|a"')
    assert Slurm().get_jobs() == ["7"]


def test_a_job_that_submits_does_not_pass_on_what_it_is(command, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    monkeypatch.setenv("SLURM_CONF", "/a")
    monkeypatch.setenv("SBATCH_WAIT", "1")
    command(
        "sbatch", 'test "$SLURM_CONF:$SLURM_MEM_PER_NODE$SBATCH_WAIT" = /a: && echo 4'
    )
    assert Slurm().submit(["true"], "o.log") == "4"


# The input environment variables of sbatch(1), each with or without effect on jobs.
MEANT = """
    ACCOUNT ACCTG_FREQ BATCH CONSTRAINT CONTAINER CONTAINER_ID CORE_SPEC CPUS_PER_GPU
    DELAY_BOOT DISTRIBUTION EXCLUSIVE EXPORT GET_USER_ENV GPUS GPUS_PER_NODE
    GPUS_PER_TASK GPU_BIND GPU_FREQ GRES GRES_FLAGS HINT IGNORE_PBS MEM_BIND
    MEM_PER_CPU MEM_PER_GPU MEM_PER_NODE NETWORK NO_KILL OVERCOMMIT PARTITION POWER
    PROFILE QOS REQ_SWITCH RESERVATION SIGNAL SPREAD_JOB THREADS_PER_CORE THREAD_SPEC
    TIMELIMIT TRES_BIND TRES_PER_TASK USE_MIN_NODES WAIT_ALL_NODES WAIT4SWITCH WCKEY
"""
NOT_MEANT = """
    ARRAY_INX CLUSTERS DEBUG ERROR INPUT JOB_NAME NO_REQUEUE OPEN_MODE OUTPUT REQUEUE
    WAIT MEM_BIND_LIST MEM_BIND_PREFER MEM_BIND_TYPE MEM_BIND_VERBOSE
"""
LEFT_BY_JOBS = """
    SLURM_JOB_END_TIME SLURM_JOB_NODELIST SLURM_JOBID SLURM_NTASKS SLURM_NPROCS
    SLURM_CPUS_PER_TASK SLURM_MEM_PER_NODE SLURM_MEM_PER_CPU SLURM_NODELIST
    SLURM_NNODES SLURM_ARRAY_TASK_ID SLURM_STEP_ID SLURM_SUBMIT_DIR SLURM_PROCID
    SLURM_TASKS_PER_NODE SLURM_GPUS_ON_NODE SLURM_TRES_PER_TASK SLURM_CLUSTER_NAME
    SRUN_CPUS_PER_TASK SRUN_DEBUG
"""


@pytest.mark.parametrize("job", ["", "7"])
def test_what_is_meant_for_jobs_reaches_sbatch_and_nothing_else(
    command, monkeypatch, tmp_path, job
):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", job)
    meant = {f"SBATCH_{name}" for name in MEANT.split()} | {"SLURM_CONF", "PSY"}
    left = {f"SBATCH_{name}" for name in NOT_MEANT.split()} | {*LEFT_BY_JOBS.split()}
    for name in meant | left:
        monkeypatch.setenv(name, "1")
    command("sbatch", f"env > {tmp_path}/given; echo 4")
    Slurm().submit(["true"], "o.log")
    given = (tmp_path / "given").read_text().splitlines()
    names = {line.partition("=")[0] for line in given}
    assert names >= meant
    assert not names & {*left, "SLURM_JOB_ID"}


@pytest.mark.parametrize("name", ["SBATCH_CLUSTERS", "SBATCH_ERROR"])
def test_a_job_goes_to_the_cluster_and_the_file_that_are_looked_at(
    command, monkeypatch, name
):
    monkeypatch.setenv(name, "other")
    command("sbatch", f'test -z "${name}" && echo 4')
    assert Slurm().submit(["true"], "o.log") == "4"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("2026-11-26T15:56:53", datetime(2026, 11, 26, 15, 56, 53).timestamp()),
        ("NONE", None),
    ],
)
def test_the_end_of_a_job_is_told_whatever_form_of_times_is_chosen(
    command, monkeypatch, shown, expected
):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    command("squeue", f'test "$SLURM_TIME_FORMAT" = standard && echo {shown}')
    assert Slurm().end_of_this_job() == expected


def test_a_process_outside_of_jobs_has_no_end(command, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    command("squeue", "echo 2026-11-26T15:56:53")
    assert Slurm().end_of_this_job() is None


def test_the_end_of_a_job_is_not_known_without_squeue(command, monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Slurm().end_of_this_job() is None


def test_jobs_are_listed_and_killed(command):
    command("squeue", "printf '7|R|None|a\\n8|PD|None|b\\n9|CD|None|b\\n'")
    called = command("scancel", "exit 1")
    assert Slurm().get_jobs() == ["7", "8"]
    Slurm().kill("7")
    assert called.read_text() == "7\n"


def test_why_jobs_wait_and_when_they_start_is_one_question(command, monkeypatch):
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    shown = (
        "7_[2-3]|PD|Priority|2026-11-26T15:56:53\\n8|PD|Resources|N/A\\n"
        "9|R|None|2026-11-26T15:00:00\\n10|PD|None|N/A\\n"
    )
    command("squeue", f'test "$SLURM_TIME_FORMAT" = standard && printf "{shown}"')
    ids = ["7_2", "7_3", "8", "9", "10", "11"]
    start = datetime(2026, 11, 26, 15, 56, 53).timestamp()
    first = "Priority: others come first"
    assert Slurm().get_waiting(ids) == {
        "7_2": Waiting(first, start),
        # Slurm expects the first task of an array then.
        "7_3": Waiting(first),
        "8": Waiting("Resources: enough machines have to become free"),
        "10": Waiting(""),
    }


def test_nobody_is_asked_about_no_jobs(command):
    called = command("squeue", "exit 1")
    assert Slurm().get_waiting([]) == {}
    assert not called.exists()


def test_a_kill_that_was_not_heard_is_an_error(command):
    command("squeue", "printf '7_0|PD|None|a\\n7_2|R|None|a\\n'")
    command("scancel", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(QueueUnreachableError):
        Slurm().kill_all(["7_0", "7_1"])


def test_the_smallest_limit_counts(command):
    config = "MaxArraySize            = 1001\nMaxJobCount             = 20000\n"
    command("scontrol", f"printf '{config}'")
    slurm = Slurm()
    assert slurm.max_array_size() == 1001
    more = "SchedulerParameters     = bf_interval=2,max_array_tasks=50,x\n"
    command("scontrol", f"printf '{config}{more}'")
    assert slurm.max_array_size() == 1001
    assert Slurm().max_array_size() == 50


def test_a_machine_without_slurm_says_so(command, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulerError, match=r"^sbatch cannot be run: .* the PATH"):
        Slurm().submit(["true"], "o.log")
