"""Snakemake's import, which goes on while tasks are loaded and planned.

The import takes as long as all that a small run does before Snakemake starts. So a
process that will most likely be needed begins with it at once. It becomes Snakemake
when it is told for what, and ends without a trace if it is not needed.

Usage: ``python -m psyrun.run.early_snakemake``, with a JSON object on standard
input: the arguments of Snakemake, its environment and folder, and its log.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from psyrun.errors import PsyrunError
from psyrun.utils.process.basics import start_below
from psyrun.utils.process.isolation import isolated, without_current_folder
from psyrun.utils.users import name_for_libraries
from psyrun.workdir.layout import TaskLayout, layout_of


class EarlySnakemake:
    """A process that imports Snakemake."""

    def __init__(self) -> None:
        self.events, self._write_end = os.pipe()
        self._process = start_below(
            [sys.executable, "-m", "psyrun.run.early_snakemake"],
            env=own_environment(),
            pass_fds=[self._write_end],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._is_taken = False
        # The import of a task may fork processes: else the events would not end
        # before these do.
        os.register_at_fork(after_in_child=self._close_in_copy)

    def _close_in_copy(self) -> None:
        if not self._is_taken:
            os.close(self._write_end)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def take(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: str
    ) -> subprocess.Popen[bytes]:
        """Have the process be Snakemake; its events come from `events`.

        Raises `OSError` if it has ended.
        """
        if self.has_ended:
            raise ProcessLookupError("Snakemake was ended while it was imported")
        told = {
            "arguments": list(arguments),
            "environment": {**environment, "PSYRUN_EVENTS": str(self._write_end)},
            "folder": str(Path.cwd()),
            "log": log,
        }
        assert self._process.stdin is not None
        with self._process.stdin as stream:
            stream.write(json.dumps(told).encode() + b"\n")
        os.close(self._write_end)
        self._is_taken = True
        return self._process

    def close(self) -> None:
        """End the process if it is not needed."""
        if self._is_taken:
            return
        self._is_taken = True
        if not self.has_ended:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        for descriptor in (self.events, self._write_end):
            os.close(descriptor)


def own_environment() -> dict[str, str]:
    """Return the environment of a Snakemake that no file of the project disturbs."""
    own = without_current_folder(isolated(os.environ))
    return {**own, **name_for_libraries(), **_settings(), **_cache()}


def _settings() -> dict[str, str]:
    """Return a place for Snakemake's settings if this user has no home."""
    from platformdirs import user_config_path

    with suppress(RuntimeError):
        if user_config_path("snakemake", "snakemake").is_absolute():
            return {}
    folder = Path(".snakemake", "home").absolute()
    kinds = ("CONFIG", "DATA", "STATE")
    return {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in kinds}


def _cache() -> dict[str, str]:
    """Return another place for Snakemake's cache if the home cannot be written to."""
    from platformdirs import user_cache_path

    # There may be no home at all, which is no OSError.
    with suppress(OSError, RuntimeError):
        place = user_cache_path("snakemake", "snakemake")
        if place.is_absolute():
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place, os.W_OK | os.X_OK):
                return {}
    return {"XDG_CACHE_HOME": str(Path(".snakemake", "cache").absolute())}


def is_likely_needed(taskdir: Path, names: Iterable[str]) -> bool:
    """Whether a task was changed since its result was merged, or has none.

    This is a guess, as quick as looking at a few files can be.
    """
    files = [taskdir / f"task_{name}.py" for name in names]
    try:
        return any(map(_is_open, files or taskdir.glob("task_*.py")))
    except (PsyrunError, OSError, LookupError, TypeError):
        # Whatever this is, it is told of when the tasks are loaded.
        return False


def _is_open(taskfile: Path) -> bool:
    layout = layout_of(taskfile.parent, taskfile.stem.removeprefix("task_"))
    marks = [mark.stat().st_mtime for mark in _marks(layout)]
    return taskfile.stat().st_mtime > max(marks, default=0.0)


def _marks(layout: TaskLayout) -> Iterable[Path]:
    for round_ in layout.rounds().values():
        yield from round_.folder.glob(round_.merge_mark("*").name)


def _main() -> None:
    failure = None
    try:
        from snakemake.cli import main
    except Exception as error:
        failure = error
    # Its end need not come: copies of the other process may hold the pipe.
    text = sys.stdin.buffer.readline()
    if not text:
        os._exit(0)
    told = json.loads(text)
    _become(told)
    if failure is not None:
        raise failure
    sys.argv[1:] = told["arguments"]
    end = None
    try:
        main()
    except SystemExit as error:
        end = error
    # It is here with the rest by now, and nothing waits for its import.
    from psyrun.utils.process.ending import leave_memory

    leave_memory(end)


def _become(told: Mapping[str, object]) -> None:
    """Take over the folder, environment and streams of the process that is wanted."""
    os.chdir(str(told["folder"]))
    os.environ.clear()
    os.environ.update(dict(told["environment"]))  # type: ignore[call-overload]
    output = os.open(str(told["log"]), os.O_WRONLY | os.O_APPEND)
    for target, stream in enumerate([os.open(os.devnull, os.O_RDONLY), output, output]):
        os.dup2(stream, target)


if __name__ == "__main__":
    _main()
