"""Cut the power at random moments, run again, and count what was evaluated again.

The project stands in an ext4 file system in a file; at the cut, all that was not
synced is gone, as the journal of the file system was not written either. Then the
file system is mounted anew, and one `psy run` must end well, with the right result.
No assignment may be evaluated again whose row was recorded longer ago than
FLUSH_SECONDS (here a fraction of a second), and nothing may end in a traceback.

A scenario follows from its number: ``powercuts.py --first 17 --runs 1``. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from image import OPTIONS, Image, why_not
from projects import Project
from slurm_stand_in import ENDED, SlurmStandIn

from psyrun.store.registry import store_named

N_POINTS = 240
FLUSH_SECONDS = 0.3
SLACK = 1.5  # seconds between an evaluation and its record on a busy machine
TIMEOUT = 120.0
PLACES = ("during a run", "at its start", "at its end")

TASK = """\
import os
import time

import psyrun.workdir.journal
from psyrun import Param, Slurm
from psyrun.backend import {backend}
from psyrun.store.registry import store_named

psyrun.workdir.journal.FLUSH_SECONDS = {flush}
pspace = Param(x=range({n_points}))
backend = {backend}
store = store_named("{store}")
max_jobs = 4
pool_size = {pool_size}
{more}

def execute(x):
    time.sleep(0.02)
    if x % 40 == 7 and os.path.exists("{outside}/failing"):
        raise ValueError(x)
    file = os.open("{outside}/calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, b"%d %f\\n" % (x, time.time()))
    os.close(file)
    return {{"root": x**0.5, "rest": x % 7 + {version}}}
"""

SLURM = """\
scheduler = Slurm()
scheduler_args = {"timelimit": "5m", "memory": "200M"}
split_and_merge = "queue"
"""


@dataclass(frozen=True)
class Scene:
    """What goes on when the power fails.

    Attributes
    ----------
    before : tuple of str
        What was done earlier: ``run``, then ``lengthen`` for example.
    command : tuple of str
        What is cut off.
    last : tuple of str
        What must end well then.
    """

    name: str
    command: tuple[str, ...] = ("run", "-j", "2")
    before: tuple[str, ...] = ()
    store: str = ".pkl"
    backend: str = "DistributeBackend"
    pool_size: int = 1
    more: str = ""
    last: tuple[str, ...] = ("run", "-j", "2")
    repeats: bool = False


CONTINUED = ("run", "-j", "2", "--continue")
SCENES = (
    Scene("first run"),
    Scene("first run, npz", store=".npz", pool_size=2),
    Scene("first run, h5", store=".h5"),
    Scene("load balancing", backend="LoadBalancingBackend", pool_size=2),
    Scene("continue", CONTINUED, ("short", "run", "long"), last=CONTINUED),
    Scene("merge", before=("run", "delete result"), store=".npz"),
    Scene("failures", before=("failing",)),
    Scene("clean", ("clean", "a"), ("run",), repeats=True),
    Scene("queue", ("run",), more=SLURM, last=("run",)),
    Scene("new code", before=("run", "new code"), store=".h5"),
)


@dataclass
class Outcome:
    """What became of one scenario."""

    n_calls: int = 0
    repeated: int = 0
    old: int = 0
    left: int = 0
    problems: list[str] = field(default_factory=list)


class PowerCut:
    """One scenario in a folder, in which the file system is made."""

    def __init__(self, number: int, seed: str, folder: Path) -> None:
        self.chance = random.Random(f"{seed} {number}")
        self.scene = SCENES[number % len(SCENES)]
        self.options = OPTIONS[number // len(SCENES) % len(OPTIONS)]
        self.outside = folder / "outside"
        self.outside.mkdir(parents=True)
        self.image = Image(folder, self.options)
        self.version = 0
        self.project = Project(self.image.place / "project")
        self.queue = SlurmStandIn(folder / "queue")
        self.queue.hold()
        self.write()

    def write(self, n_points: int = N_POINTS) -> None:
        """Write the task file, and have it on disk."""
        scene = self.scene
        text = TASK.format(
            backend=scene.backend,
            store=scene.store,
            n_points=n_points,
            pool_size=scene.pool_size,
            more=scene.more,
            outside=self.outside,
            flush=FLUSH_SECONDS,
            version=self.version,
        )
        self.project.write(text)
        os.sync()

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "psyrun.cli", *words],
            cwd=self.project.folder,
            env={**os.environ, **self.queue.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def psy(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        text = process.communicate(timeout=TIMEOUT)[0]
        return process.returncode, text

    def prepare(self) -> None:
        """Do what is done before."""
        for step in self.scene.before:
            if step == "run":
                status, text = self.psy("run", "-j", "2")
                assert status == 0, text
            elif step == "short":
                self.write(N_POINTS // 2)
            elif step == "long":
                self.write()
            elif step == "delete result":
                self.result.unlink()
            elif step == "failing":
                (self.outside / "failing").touch()
            elif step == "new code":
                self.version = 1
                self.write()
                (self.outside / "calls").unlink()
        os.sync()

    @property
    def result(self) -> Path:
        return self.project.work() / f"result{self.scene.store}"

    def calls(self) -> list[tuple[int, float]]:
        """Return the evaluations so far, and when each ended."""
        path = self.outside / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(line.split()[0]), float(line.split()[1])) for line in lines]

    def cut(self) -> float:
        """Begin with what is cut off, and cut the power at some moment."""
        before = len(self.calls())
        process = self.start(*self.scene.command)
        place = self.chance.choice(PLACES)
        n_calls = self.chance.randrange(1, N_POINTS // 2)
        if place == "at its start":
            until = time.monotonic() + self.chance.uniform(0.2, 4.0)
            while time.monotonic() < until and process.poll() is None:
                time.sleep(0.005)
        else:
            self._wait(process, before + n_calls * (1 + (place == "at its end")))
            time.sleep(self.chance.uniform(0, 0.5))
        at = self.image.cut_power()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=TIMEOUT)
        self._end_queue()
        (self.outside / "failing").unlink(missing_ok=True)
        return at

    def _wait(self, process: subprocess.Popen[str], n_calls: int) -> None:
        deadline = time.monotonic() + TIMEOUT
        while len(self.calls()) < n_calls and process.poll() is None:
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.005)

    def _end_queue(self) -> None:
        """Have the jobs of the queue be lost with their machine."""
        for job in list(self.queue.jobs()):
            if job["state"] not in ENDED:
                self.queue.save({**job, "state": "NF"})

    def examine(self, at: float) -> Outcome:
        """Run again, and compare with the promises."""
        outcome = Outcome()
        before = [(x, when) for x, when in self.calls() if when < at]
        said = [self.psy("status")]
        said.append(self.psy(*self.scene.last))
        outcome.problems += list(self._problems(said))
        after = [x for x, when in self.calls() if when >= at]
        last = dict(before)
        again = [x for x in after if x in last]
        outcome.n_calls, outcome.repeated = len(last), len(again)
        old = [x for x in again if last[x] < at - FLUSH_SECONDS - SLACK]
        outcome.old = 0 if self.scene.repeats else len(old)
        if outcome.old:
            ages = sorted(at - last[x] for x in old)[-3:]
            outcome.problems.append(f"{len(old)} of before evaluated again, {ages}")
        # Files that were about to get their name do no harm.
        outcome.left = len(list(self.project.work().rglob("*.tmp")))
        if outcome.problems:
            outcome.problems += [text for _, text in said]
        return outcome

    def _problems(self, said: list[tuple[int, str]]) -> Iterator[str]:
        for (status, text), command in zip(said, ("status", "run"), strict=True):
            if status:
                yield f"{command} ends with {status}"
            if "Traceback" in text or "fault of psyrun" in text:
                yield f"{command}: a traceback"
        if not said[-1][0]:
            yield from self._problems_of_result()

    def _problems_of_result(self) -> Iterator[str]:
        try:
            columns = store_named(self.scene.store).load(str(self.result))
        except Exception as error:
            yield f"the result cannot be loaded: {error}"
            return
        if not are_right(columns, self.version):
            yield "the result is wrong"


def are_right(columns: Any, version: int) -> bool:
    x = np.arange(N_POINTS)
    expected = {"x": x, "root": x**0.5, "rest": x % 7 + version}
    return all(np.array_equal(columns[key], expected[key]) for key in expected)


def play(number: int, seed: str, folder: Path) -> tuple[PowerCut, Outcome]:
    one = PowerCut(number, seed, folder)
    try:
        one.prepare()
        at = one.cut()
        outcome = one.examine(at)
        if outcome.problems:
            with suppress(shutil.Error):
                copy = folder / "project"
                shutil.copytree(one.project.folder, copy, symlinks=True)
    finally:
        one.image.unmount()
    return one, outcome


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60, help="how many cuts")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seconds", type=float, help="begin no more after this time")
    parser.add_argument("--seed", default=os.environ.get("CHAOS_SEED", "0"))
    parser.add_argument("--out", type=Path, help="file for a record of each")
    args = parser.parse_args(words)
    if why := why_not():
        print(f"skipped: {why}")
        return 0
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="power-", dir=where))
    print(f"seed {args.seed!r}, in {folder}", flush=True)
    begun, n_cuts, counts = time.monotonic(), 0, Counter[str]()
    for number in range(args.first, args.first + args.runs):
        if args.seconds and time.monotonic() - begun > args.seconds:
            break
        here = folder / str(number)
        one, outcome = play(number, args.seed, here)
        n_cuts += 1
        word = "BROKEN" if outcome.problems else "ok"
        print(
            f"{number:3} {one.scene.name:16} {one.options:40} evaluated "
            f"{outcome.n_calls:3}, again {outcome.repeated:3}: {word}",
            flush=True,
        )
        for problem in outcome.problems:
            print(f"    {problem}", flush=True)
        counts["again"] += outcome.repeated
        counts["left"] += outcome.left
        counts["broken"] += bool(outcome.problems)
        if args.out:
            with args.out.open("a") as stream:
                record = {"number": number, "scene": one.scene.name, **vars(outcome)}
                stream.write(json.dumps(record) + "\n")
        if not outcome.problems:
            shutil.rmtree(here)
    print(
        f"{n_cuts} power failures, {counts['broken']} broken, "
        f"{counts['again']} evaluated again, {counts['left']} hidden files left"
    )
    if not counts["broken"]:
        shutil.rmtree(folder)
    return bool(counts["broken"])


if __name__ == "__main__":
    sys.exit(main())
