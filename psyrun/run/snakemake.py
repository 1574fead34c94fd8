"""The Snakemake process: the only place that knows Snakemake's options."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from psyrun.errors import PsyrunError
from psyrun.run.early_snakemake import EarlySnakemake, own_environment
from psyrun.scheduler.immediate import LOCAL
from psyrun.utils.process.basics import start_below
from psyrun.utils.resources import shipped

SNAKEFILES = "psy_snakefiles"
"""Key of Snakemake's configuration: the Snakefiles of the plans that were accepted."""

MARK = ".psyrun.json"
"""File of an installed profile with the digests of what was installed."""

_PYTHON = (sys.executable, "-m", "snakemake")
_PATIENCE = 10.0  # seconds between asking Snakemake to end and killing it


def command(
    snakefiles: Iterable[Path],
    *,
    jobs: int | None,
    profile: str,
    extra: Sequence[str] = (),
    until: Sequence[str] = (),
) -> list[str]:
    """Return the command that has Snakemake follow accepted plans.

    Parameters
    ----------
    snakefiles : iterable of Path
        The generated Snakefiles of the tasks.
    jobs : int or None
        How many cores may be used at once, or how many jobs may be in a queue;
        None leaves that to the profile.
    extra : sequence of str
        The user's arguments for Snakemake.
    until : sequence of str
        Names of the last rules that are executed, if not all are.
    """
    paths = json.dumps([str(path) for path in snakefiles])
    values, rest = _split_config(extra)
    return [
        *_PYTHON,
        *("--snakefile", str(shipped("workflow", "Snakefile"))),
        *("--profile", str(profile_path(profile))),
        *("--logger", "psyrun"),
        *(("--until", *until) if until else ()),
        # Between options that take all that follows, and what the user gave.
        # What psyrun's rules make is whole or not there. And where a file that is
        # there is made again, Snakemake forgets those that are missing and that
        # are made from it, if their rules call it ancient (9.27).
        "--ignore-incomplete",
        *_limit(jobs, profile),
        *rest,
        *("--config", f"{SNAKEFILES}={paths}", *values),
    ]


def _limit(jobs: int | None, profile: str) -> list[str]:
    if profile == LOCAL:
        return ["--cores", str(jobs or 1)]
    return [] if jobs is None else ["--jobs", str(jobs)]


def _split_config(extra: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take the values of --config out: Snakemake only heeds its last use."""
    values: list[str] = []
    rest: list[str] = []
    target = rest
    for argument in extra:
        option = next((o for o in ("--config", "-C") if argument.startswith(o)), None)
        is_other = option == "--config" and argument[8:9] not in ("", "=")
        if option is not None and not is_other:
            target = values
            value = argument.removeprefix(option).removeprefix("=")
            values += [value] if value else []
            continue
        if argument.startswith("-"):
            target = rest
        target.append(argument)
    return values, rest


class Snakemake:
    """A running Snakemake; `events` is a descriptor with lines of its logger plug-in.

    Its own output goes to the log. If there is an `early` one whose import has begun,
    it is that.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: IO[bytes],
        early: EarlySnakemake | None = None,
    ) -> None:
        environment = {**own_environment(), **environment}
        if early is not None:
            with suppress(OSError):
                self._process = early.take(
                    arguments[len(_PYTHON) :], environment, log.name
                )
                self.events = early.events
                return
        events, write_end = os.pipe()
        self._process = start_below(
            arguments,
            env={**environment, "PSYRUN_EVENTS": str(write_end)},
            pass_fds=[write_end],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Out of reach of the terminal's Ctrl-C, so that the order in which
            # things end is up to the controller.
            start_new_session=True,
        )
        os.close(write_end)
        self.events = events

    def wait(self) -> int:
        """Wait for the end and return the exit status."""
        return self._process.wait()

    def interrupt(self) -> None:
        """Have Snakemake end, the hard way if it takes long."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End Snakemake at once, so that it does nothing more."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def decode_events(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Decode lines of the logger plug-in."""
    return (json.loads(line) for line in lines)


def installation_path(name: str) -> Path:
    """Return where ``snakemake --profile NAME`` finds a user's profile.

    Raises `PsyrunError` if there is no home folder.
    """
    from platformdirs import user_config_path

    with suppress(RuntimeError):
        folder = user_config_path("snakemake", "snakemake")
        if folder.is_absolute():
            return folder / name
    raise PsyrunError(
        "this user has no home folder for Snakemake's profiles. Set HOME or "
        "XDG_CONFIG_HOME to the path of a folder."
    )


def profile_path(name: str) -> Path:
    """Return the installed profile, which may be edited, or else the shipped one."""
    # In a home that cannot be read, no run needs one.
    with suppress(PsyrunError, OSError):
        installed = installation_path(name)
        if (installed / MARK).is_file():
            return installed
    return shipped("profiles", name)


def site_arguments(profile: str, extra: Sequence[str]) -> str:
    """Return the value of ``--psyrun-args``: scheduler arguments of all tasks of a run.

    The user's arguments for Snakemake, `extra`, win over the profile.
    """
    option = "--psyrun-args"
    given = None
    for argument, following in zip_longest(extra, extra[1:], fillvalue=""):
        if argument == option:
            given = following
        elif argument.startswith(f"{option}="):
            given = argument.removeprefix(f"{option}=")
    return _arguments_in_profile(profile) if given is None else given


def _arguments_in_profile(profile: str) -> str:
    import yaml

    text = (profile_path(profile) / "config.yaml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text) or {}
    return str(settings.get("psyrun-args") or "")
