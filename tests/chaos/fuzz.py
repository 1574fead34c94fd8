"""Damage files that psyrun wrote, and look what its commands make of it.

Each trial takes a project folder in some state, damages one of the files that psyrun
wrote (bits flipped, cut, empty, zeros, parts repeated, replaced, removed), and calls
commands. The rule is: right data, or one clear line. No traceback, no hang, no wrong
data, and nothing evaluated again without saying so.

A trial follows from its number and the seed: ``fuzz.py --first 17 --runs 1``. Most
commands are called in a copy of this process, which takes milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from damage import damage
from fuzzed import KINDS, N_POINTS, Kind, copy, files_of, kind_of_file, queue_of
from projects import Project

import psyrun
from psyrun.cli import SUMMARIES, main, module_of
from psyrun.errors import PsyrunError
from psyrun.utils.resources import shipped

LIMIT = 60  # seconds for a command
MEMORY = 8 << 30  # bytes
MOST_LINES = 6  # of an error; a run may tell one of each job
READING = [
    ["status"],
    ["status", "-vv"],
    ["list"],
    ["failed", "a"],
    ["load", "partial"],
    ["merge", "--partial", "a", "partial.pkl"],
]
ACTING = [
    ["run", "-j", "2"],
    ["run", "-j", "2", "--continue"],
    ["run", "--dry-run"],
    ["kill", "a"],
    ["clean", "a"],
    ["attach", "a"],
    ["snakemake"],
    ["merge", "psy-work/a/round-1/blocks", "merged.pkl"],
]
# What a run says if more is evaluated than was open.
TOLD = re.compile(
    r"damag|lost|gone|differ|again|missing|unreadable|cannot be|no row|repair|new",
    re.IGNORECASE,
)


@dataclass
class Said:
    """What a command printed, and how it ended; None if it did not."""

    command: list[str]
    status: int | None
    output: str


@dataclass
class Trial:
    """One damaged file."""

    number: int
    kind: str
    file: str
    how: str
    commands: int = 0
    faults: list[str] = field(default_factory=list)


def call(command: list[str]) -> int:
    """Do what a command does, in this process."""
    if command[0] == "load":
        return load(partial="partial" in command)
    if command[0] == "snakemake":
        snakefile = str(shipped("workflow", "Snakefile"))
        profile = str(shipped("profiles", "local"))
        words = ["--snakefile", snakefile, "--profile", profile, "--cores", "2"]
        os.execv(sys.executable, [sys.executable, "-m", "snakemake", *words])
    return main.main(command)


def load(*, partial: bool) -> int:
    """Load the result as a user does, and print what is wrong with it."""
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            columns = psyrun.load("a", partial=partial)
    except PsyrunError as error:
        print(f"psy: {error}", file=sys.stderr)
        return 2
    problem = problem_of(columns, is_whole=not partial)
    if told:
        print(told[0].message, file=sys.stderr)
    elif problem:
        print(f"WRONG DATA: {problem}")
    return 0


def problem_of(columns: Any, *, is_whole: bool) -> str:
    """Return what is wrong with some rows, empty if nothing."""
    if not columns and not is_whole:
        return ""
    try:
        x = [int(value) for value in columns["x"]]
        n_more = len(set(x)) - len(x)
        if n_more or not set(x) <= set(range(N_POINTS)) or x != sorted(x):
            return f"rows for {x}"
        # A task that is to be continued has the result of before.
        n_points = N_POINTS // 2 if x == list(range(N_POINTS // 2)) else N_POINTS
        known = [value for value in range(n_points) if value % 10 != 3]
        if is_whole and not set(known) <= set(x):
            return f"{len(x)} rows only"
        if [int(v) for v in columns["square"]] != [value**2 for value in x]:
            return "wrong numbers"
        if [str(v).lstrip("x") for v in columns["text"]] != [str(v) for v in x]:
            return "wrong texts"
        half = np.asarray(list(columns["half"]))
        if not np.array_equal(half, np.array([[v / 2, v] for v in x]).reshape(-1, 2)):
            return "wrong arrays"
    except Exception as error:
        return f"odd columns ({type(error).__name__}: {error})"
    return ""


def in_copy(act: Callable[[], int], output: Path, folder: Path) -> int | None:
    """Call something in a copy of this process; return its status, None if it hangs."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.setsid()
            os.chdir(folder)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            status = act()
            sys.stdout.flush()
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
    return ended(pid)


def ended(pid: int) -> int | None:
    """Wait for a process; end it and all of its session if that takes too long."""
    deadline = time.monotonic() + LIMIT
    pause = 0.001
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(pause)
        pause = min(0.05, 2 * pause)


def read_with(
    commands: list[list[str]], project: Project, outputs: Path
) -> Iterator[Said]:
    """Call commands that read, in one copy; yield what each said."""
    said = [outputs / str(number) for number in range(len(commands))]
    statuses = outputs / "statuses"

    def act() -> int:
        for path, command in zip(said, commands, strict=True):
            file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
            try:
                status = call(command)
            except SystemExit:
                status = 97
            except BaseException:
                traceback.print_exc()
                status = 99
            sys.stdout.flush()
            sys.stderr.flush()
            with statuses.open("a") as stream:
                stream.write(f"{status}\n")
        return 0

    whole = in_copy(act, outputs / "whole", project.folder)
    found = statuses.read_text().split() if statuses.exists() else []
    for number, command in enumerate(commands):
        text = said[number].read_text(errors="replace") if number <= len(found) else ""
        if number < len(found):
            yield Said(command, int(found[number]), text)
        elif number == len(found):
            yield Said(command, whole, text)


def act_once(project: Project, outputs: Path, command: list[str]) -> Said:
    path = outputs / "act"
    status = in_copy(lambda: call(command), path, project.folder)
    return Said(command, status, path.read_text(errors="replace"))


def judge(said: Said) -> Iterator[str]:
    """Yield which rules a command broke, by what it said."""
    text, name = said.output, " ".join(said.command)
    if said.status is None:
        yield f"{name}: hangs"
    elif said.status not in (0, 1, 2):
        yield f"{name}: ends with {said.status}: {text[-300:]}"
    elif said.status and not text.strip():
        yield f"{name}: fails in silence"
    if "Traceback (most recent" in text and not is_of_user(text):
        yield f"{name}: traceback: {text[-600:]}"
    elif "fault of psyrun" in text:
        yield f"{name}: unexpected: {text[-400:]}"
    if "WRONG DATA" in text:
        yield f"{name}: {text[text.index('WRONG DATA') :][:200]}"
    is_short = said.command[0] not in ("run", "snakemake")
    if is_short and said.status == 2 and len(text.splitlines()) > MOST_LINES:
        yield f"{name}: many lines: {text[:600]}"


def is_of_user(text: str) -> bool:
    return "ValueError: no " in text and "psyrun/" not in text


def judge_run(project: Project, kind: Kind, said: Said, n_open: int) -> Iterator[str]:
    """Yield which rules a run broke, by what it did."""
    name = " ".join(said.command)
    calls = project.calls()
    if len(calls) > n_open and not TOLD.search(told_of(project, said)):
        yield f"{name}: {len(calls)} evaluated, {n_open} were open; nothing said"
    if said.status == 0:
        path = project.work() / f"result{kind.store}"
        with suppress(PsyrunError):
            columns = psyrun.store.registry.store_named(kind.store).load(path)
            problem = problem_of(columns, is_whole=True)
            if not problem and len(columns["x"]) <= N_POINTS // 2:
                problem = "of before"
            if problem:
                yield f"{name}: result: {problem}"


def told_of(project: Project, said: Said) -> str:
    logs = sorted(project.work().glob("a:*.log"))
    return said.output + "".join(log.read_text(errors="replace") for log in logs)


class Templates:
    """Project folders in each state, made when they are first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[Path, int]] = {}

    def copy(self, kind: Kind) -> tuple[Project, int]:
        """Return a fresh project, and how many of its assignments are open."""
        name = re.sub(r"\W+", "-", kind.name)
        here = self._folder / name
        if kind.name not in self._known:
            project = kind.project(here)
            template = self._folder / f"{name}-template"
            shutil.copytree(here, template, symlinks=True)
            self._known[kind.name] = template, self._open(project, kind)
        template, n_open = self._known[kind.name]
        project = copy(template, here)
        if "Slurm" in kind.more:
            queue_of(project)
        return project, n_open

    def _open(self, project: Project, kind: Kind) -> int:
        """Count what an undisturbed run evaluates."""
        if not kind.runs:
            return N_POINTS
        project.psy("run", "-j", "2", *(["--continue"] if "cont" in kind.name else []))
        return len(project.calls())


def play(
    number: int, seed: str, templates: Templates, share: float, kinds: Sequence[Kind]
) -> Trial:
    """Damage one file and call commands."""
    chance = random.Random(f"{seed} {number}")
    kind = kinds[number % len(kinds)]
    project, n_open = templates.copy(kind)
    files = list(files_of(project))
    # So that many files of one kind do not hide others.
    kinds = sorted({kind_of_file(path, project) for path in files})
    wanted = chance.choice(kinds)
    path = chance.choice([p for p in files if kind_of_file(p, project) == wanted])
    trial = Trial(number, kind.name, wanted, damage(path, files, chance))
    outputs = project.folder / "outputs"
    outputs.mkdir()
    commands = [["load"], *chance.sample(READING, 2)]
    all_said = list(read_with(commands, project, outputs))
    for said in all_said:
        trial.faults += judge(said)
    if chance.random() < share:
        command = chance.choice(ACTING)
        runs = command[0] in ("run", "snakemake") and "--dry-run" not in command
        if kind.runs or not runs:
            project.calls()
            said = act_once(project, outputs, command)
            all_said.append(said)
            trial.faults += judge(said)
            if runs:
                trial.faults += judge_run(project, kind, said, n_open)
    trial.commands = len(all_said)
    return trial


def chosen(n_kinds: int, seed: str) -> Sequence[Kind]:
    """Return some kinds of projects, drawn by the seed: to make all takes a while."""
    if n_kinds >= len(KINDS):
        return KINDS
    return random.Random(f"{seed} kinds").sample(KINDS, n_kinds)


def prepare() -> None:
    """Import what commands need, once."""
    for verb in SUMMARIES:
        with suppress(ImportError):
            import_module(module_of(verb))
    for name in ("npz", "h5.file", "merging", "registry"):
        import_module(f"psyrun.store.{name}")
    for name in ("session", "snakemake", "summary", "display"):
        import_module(f"psyrun.run.{name}")


def table(trials: list[Trial]) -> Iterator[str]:
    """Yield a line for each kind of file: trials, commands and faults."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.file].append(trial)
    yield f"{'file':44} {'trials':>6} {'commands':>8} {'faults':>6}"
    for name, group in [*sorted(groups.items()), ("in all", trials)]:
        n_broken = sum(bool(trial.faults) for trial in group)
        n_commands = sum(trial.commands for trial in group)
        yield f"{name:44} {len(group):6} {n_commands:8} {n_broken:6}"


def options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5_000, help="how many files")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    parser.add_argument("--kinds", type=int, default=99, help="how many of projects")
    parser.add_argument("--seed", default=os.environ.get("CHAOS_SEED", "0"))
    parser.add_argument(
        "--share", type=float, default=0.25, help="trials with commands that change"
    )
    parser.add_argument("--out", type=Path, help="file for a record of each trial")
    return parser.parse_args(words)


def run(words: list[str] | None = None) -> int:
    args = options(words)
    print(f"seed {args.seed!r}", flush=True)
    prepare()
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    begun = time.monotonic()
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=where) as folder:
        templates, kinds = Templates(Path(folder)), chosen(args.kinds, args.seed)
        for number in range(args.first, args.first + args.runs):
            if args.seconds and time.monotonic() - begun > args.seconds:
                break
            trial = play(number, args.seed, templates, args.share, kinds)
            trials.append(trial)
            # The first tell enough: others are about the same file.
            for fault in trial.faults[:2]:
                head = f"{number} {trial.kind}: {trial.file} {trial.how}"
                print(f"BROKEN {head}: {fault}", flush=True)
            if args.out:
                with args.out.open("a") as stream:
                    stream.write(json.dumps(trial.__dict__) + "\n")
    print(*table(trials), sep="\n")
    n_broken = Counter(bool(trial.faults) for trial in trials)[True]
    print(f"{len(trials)} damaged files, {n_broken} faults")
    return bool(n_broken)


if __name__ == "__main__":
    sys.exit(run())
