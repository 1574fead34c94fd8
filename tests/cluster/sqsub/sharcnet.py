"""Stand-ins of Sharcnet's sqsub, sqjobs and sqkill on top of Slurm.

They take the command lines, print the columns and end with the exit statuses that
are known of the real ones (see ../transcripts); what is not known, such as the words
of an error, is made up. Jobs run for real. Two environment variables are for tests:

SQSUB_STAND_IN_QUEUE
    Jobs submitted with another value are not seen: two tests don't see each other's.
SQSUB_STAND_IN_FOLDER
    Folder in which each call is written down (`calls`, a line of JSON each), and in
    which `fail.sqsub`, `fail.sqjobs` and `fail.sqkill` say how many calls fail next.
    With `late.sqsub` a job is submitted, but sqsub fails before it tells the job's
    number.
"""

from __future__ import annotations

import getopt
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HEADER = """\
  jobid     queue state ncpus    time command
------- --------- ----- ----- ------- -------"""
# The comment by which our jobs are told from others on the same Slurm.
MARK = f"sqsub {os.environ.get('SQSUB_STAND_IN_QUEUE', '')}".strip()
ACTIVE = {"Q", "*Q", "R", "Z"}
RUNNING = {"R", "CG", "CF", "SO", "SI"}
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class Failure(Exception):
    """An error message and the exit status that goes with it."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def main(command: Callable[[list[str]], int]) -> int:
    """Run one of the commands with the arguments of this process."""
    try:
        _write_down(command.__name__, sys.argv[1:])
        if _is_to_fail("fail", command.__name__):
            # sqjobs ends with 1 where there are no jobs: this must be something else.
            raise Failure("cannot connect to the scheduler, try again later", 2)
        return command(sys.argv[1:])
    except Failure as failure:
        print(f"{command.__name__}: {failure}", file=sys.stderr)
        return failure.status


def sqsub(words: list[str]) -> int:
    """Submit a job."""
    options, command = _parse(words, "r:o:n:N:w:j:", ["mpp=", "idfile="])
    for option, meaning in (("-r", "a time limit"), ("--mpp", "a memory limit")):
        if option not in options:
            raise Failure(f"{meaning} is required: {option}")
    if not command:
        raise Failure("no command was given")
    jobid = _sbatch(options, command)
    if _is_to_fail("late", "sqsub"):
        raise Failure("connection reset while waiting for the scheduler", 2)
    if "--idfile" in options:
        Path(options["--idfile"]).write_text(f"{jobid}\n")
    print(f"submitted as jobid {jobid}")
    return 0


def sqjobs(words: list[str]) -> int:
    """List the jobs that are queued, running or suspended, or the named ones."""
    _, jobids = _parse(words, "", [])
    jobs = _jobs()
    wanted = set(map(_integer, jobids))
    shown = [
        job for job in jobs if job[0] in wanted or (not wanted and _is_active(job))
    ]
    if shown:
        print(HEADER)
        for jobid, queue, state, n_cpus, time, name in shown:
            print(f"{jobid:7} {queue:>9} {state:>5} {n_cpus:>5} {time:>7} {name}")
    return 0 if any(map(_is_active, shown)) else 1


def sqkill(words: list[str]) -> int:
    """Cancel jobs."""
    _, jobids = _parse(words, "", [])
    if not jobids:
        raise Failure("no job id was given")
    active = {job[0] for job in _jobs() if _is_active(job)}
    for jobid in map(_integer, jobids):
        if jobid not in active:
            raise Failure(f"job {jobid} is not queued or running")
        _slurm("scancel", str(jobid))
    return 0


Job = tuple[int, str, str, int, str, str]


def _parse(
    words: list[str], short: str, long: list[str]
) -> tuple[dict[str, str], list[str]]:
    try:
        options, rest = getopt.getopt(words, short, long)
    except getopt.GetoptError as error:
        raise Failure(error.msg) from error
    return dict(options), rest


def _sbatch(options: dict[str, str], command: list[str]) -> int:
    """Submit to Slurm what sqsub was told to."""
    n_cpus = _positive(options.get("-n", "1"))
    words = [
        f"--time={_minutes(options['-r'])}",
        # mpp is memory per process.
        f"--mem-per-cpu={_megabytes(options['--mpp'])}M",
        f"--ntasks={n_cpus}",
        f"--nodes={_positive(options.get('-N', '1'))}",
        f"--job-name={options.get('-j', shlex.join(command))}",
        f"--comment={MARK}",
        # Slurm would replace %j and the like in the name of the file.
        f"--output={options.get('-o', '/dev/null').replace('%', '%%')}",
        "--no-requeue",
        "--parsable",
    ]
    if "-w" in options:
        jobids = map(_integer, options["-w"].split(","))
        words.append(f"--dependency=afterany:{':'.join(map(str, jobids))}")
    script = f"#!/bin/sh\nexec {shlex.join(command)}\n"
    return int(_slurm("sbatch", *words, script=script))


def _jobs() -> list[Job]:
    form = "%i|%t|%r|%C|%M|%k|%j"
    lines = _slurm("squeue", "-h", "-t", "all", "-o", form).splitlines()
    split = (line.split("|", maxsplit=6) for line in lines)
    return sorted(_job(columns) for columns in split if columns[5] == MARK)


def _job(columns: list[str]) -> Job:
    jobid, state, reason, n_cpus, time, _, name = columns
    queue = "serial" if n_cpus == "1" else "threaded"
    shown = _state(state, reason)
    elapsed = "-" if shown in ("Q", "*Q") else f"{_elapsed(time)}s"
    return int(jobid), queue, shown, int(n_cpus), elapsed, name


def _state(state: str, reason: str) -> str:
    if state == "PD":
        return "*Q" if reason == "Dependency" else "Q"
    if state in RUNNING:
        return "R"
    return {"S": "Z", "ST": "Z", "CD": "C"}.get(state, "D")


def _is_active(job: Job) -> bool:
    return job[2] in ACTIVE


def _elapsed(time: str) -> int:
    """Return the seconds of squeue's [days-][[hours:]minutes:]seconds."""
    days, _, clock = time.rpartition("-")
    if ":" not in clock:
        return 0
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return int(days or 0) * SECONDS["d"] + seconds


def _minutes(time: str) -> int:
    """Return the minutes of a time such as 15m, 1h30m or 90."""
    if time.isdecimal():
        return _positive(time)
    if not re.fullmatch(r"(\d+(\.\d+)?[dhms])+", time):
        raise Failure(f"invalid run time: {time}")
    parts = re.findall(r"([\d.]+)([dhms])", time)
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    return max(1, -int(-seconds // 60))


def _megabytes(memory: str) -> int:
    """Return the megabytes of an amount such as 800M or 1.5G."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([MGT])B?", memory, re.IGNORECASE)
    if not match:
        raise Failure(f"invalid amount of memory: {memory}")
    scale = {"M": 1, "G": 1024, "T": 1024**2}[match[2].upper()]
    return max(1, int(float(match[1]) * scale))


def _integer(word: str) -> int:
    if not word.isdecimal():
        raise Failure(f"not a job id: {word}")
    return int(word)


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise Failure(f"not a positive number: {word}")
    return int(word)


def _slurm(*command: str, script: str = "") -> str:
    done = subprocess.run(command, input=script, capture_output=True, text=True)
    if done.returncode:
        raise Failure(done.stderr.strip(), 2)
    return done.stdout


def _write_down(command: str, words: list[str]) -> None:
    if folder := os.environ.get("SQSUB_STAND_IN_FOLDER"):
        with Path(folder, "calls").open("a") as calls:
            calls.write(json.dumps([command, *words]) + "\n")


def _is_to_fail(kind: str, command: str) -> bool:
    """Return whether this call is one of those that are to fail; count it."""
    folder = os.environ.get("SQSUB_STAND_IN_FOLDER")
    counter = Path(folder, f"{kind}.{command}") if folder else None
    if counter is None or not counter.exists():
        return False
    left = int(counter.read_text())
    counter.write_text(str(max(0, left - 1)))
    return left > 0
