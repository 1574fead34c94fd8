"""The script that runs the jobs of an array, and the trace that each leaves.

The trace of a job is the file that takes its output: a line as it starts and
one as it ends, and in between whatever the queue itself has to say, such as
that the job used too much memory. It is there where no accounting is, and
long after the queue has forgotten the job.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from psyrun.scheduler.jobs import Cause, Ending
from psyrun.utils.environment import (
    CORES_VARIABLE,
    FOLDER_VARIABLE,
    JOB_OF_SLURM,
    JOB_VARIABLE,
    ORIGIN_VARIABLE,
    VARIABLES,
)
from psyrun.utils.files import opened, read_bytes, replacing
from psyrun.utils.text import describe_exit
from psyrun.workdir.plan import DEFAULT_PYTHON

COMMANDS, SCRIPT = "commands", "run.sh"
_LONGEST_TRACE = 1 << 16  # bytes of the end of a trace that are read
_MARK = "psyrun:"
_UNKNOWN_HOST = "an unknown machine"
EXPLAINED = (1, 2)
"""Exit statuses of psyrun's steps after which they have said why."""

_STANDARD_PATH = "/usr/local/bin:/usr/bin:/bin"
"""For jobs whose queue gives them none."""

_PYTHON = re.compile(r"^PATH=(.*?):\$", re.MULTILINE)
_COMMANDS = re.compile(r"^commands=(.*)$", re.MULTILINE)

# The commands stand in a file of their own, one on each line, so that neither
# the length of a script nor that of an argument limits their number.
_TEXT = """\
#!/bin/sh
# Runs the job at position $1 of this array; written by psyrun.
cd {project} || exit 1
PATH={python}:${{PATH:-{standard}}}; export PATH
{variable}={key}:$1; export {variable}
{deadline}
{cores}
unset {servers} {origin}
commands={commands}
by_hand() {{
    n=$1
    while IFS= read -r line; do
        [ "$n" -gt 0 ] || {{ printf '%s\\n' "$line"; break; }}
        n=$((n - 1))
    done < "$commands"
}}
command=$(sed -n "$(($1 + 1))p" "$commands" 2>/dev/null) || command=$(by_hand "$1")
echo "{mark} start $(uname -n) $(date +%s)"
if [ -z "$command" ]; then
    echo "$commands: cannot be read on this machine"
    exit 1
fi
/bin/sh -c "$command"
status=$?
echo "{mark} exit $status $(date +%s)"
exit $status
"""


def write_script(
    folder: Path,
    key: str,
    commands: Sequence[str],
    project: Path,
    minutes: int | None = None,
    cores: object = None,
) -> None:
    """Write what the jobs of an array run in the folder `project`.

    There is a shell command for each position, without line breaks. `minutes` is the
    time limit of each job, and `cores` what it has asked for, where that is known.
    """
    folder = folder.absolute()
    _write(folder / COMMANDS, "".join(f"{command}\n" for command in commands))
    text = _TEXT.format(
        project=shlex.quote(str(project.absolute())),
        # What stands for Python in the rules is the one that runs here.
        python=shlex.quote(str(Path(sys.executable).parent)),
        standard=_STANDARD_PATH,
        variable=JOB_VARIABLE,
        deadline=_deadline(minutes),
        cores=_cores(cores),
        # Those of the run that submitted the job are out of reach, or gone.
        servers=FOLDER_VARIABLE,
        origin=ORIGIN_VARIABLE,
        key=key,
        commands=shlex.quote(str(folder / COMMANDS)),
        mark=_MARK,
    )
    _write(folder / SCRIPT, text)


def _write(path: Path, text: str) -> None:
    # A queue may start it after the power has failed here.
    with replacing(path) as beside:
        beside.write_bytes(os.fsencode(text))


def python_of(folder: Path) -> str:
    """Return what stands for Python in the commands that `write_script` was given."""
    with suppress(OSError, ValueError):
        text = os.fsdecode(read_bytes(folder / SCRIPT))
        found = _PYTHON.search(text)
        if found is not None:
            return str(Path(*shlex.split(found[1]), DEFAULT_PYTHON))
    return DEFAULT_PYTHON


def commands_of(folder: Path) -> Path | None:
    """Return where the script of a folder has its commands from; None if not known."""
    with suppress(OSError, ValueError):
        text = os.fsdecode(read_bytes(folder / SCRIPT))
        found = _COMMANDS.search(text)
        if found is not None:
            return Path(*shlex.split(found[1]))
    return None


def _deadline(minutes: int | None) -> str:
    """Return what tells a job when its queue will end it."""
    own, of_slurm = VARIABLES
    # What is inherited is about the job in which the one that submits runs, or ran.
    inherited = shlex.quote(os.environ.get(of_slurm, ""))
    is_inherited = f'[ -z "${JOB_OF_SLURM}" ] || [ "${of_slurm}" = {inherited} ]'
    lines = [f"if {is_inherited}; then unset {of_slurm}; fi"]
    if minutes is None:
        return "\n".join([*lines, f"unset {own}"])
    # Slurm knows best, but only newer versions say so (not 22.05).
    estimate = f"${{now:+$((now + {60 * minutes}))}}"
    setting = f"{own}=${{{of_slurm}:-{estimate}}}; export {own}"
    return "\n".join([*lines, "now=$(date +%s)", setting])


def _cores(number: object) -> str:
    """Return what tells a job how many cores it has."""
    if isinstance(number, int) and number > 0:
        return f"{CORES_VARIABLE}={number}; export {CORES_VARIABLE}"
    # What is inherited is about the job in which the one that submits runs.
    return f"unset {CORES_VARIABLE}"


def command(folder: Path) -> tuple[str, ...]:
    """Return what runs a job of an array; it takes the position as last argument."""
    return ("/bin/sh", str(folder.absolute() / SCRIPT))


@dataclass(frozen=True)
class JobTrace:
    """What a job left in the file that takes its output.

    `host` is empty if it has not started, `exit_status` is None if its command has
    not come to an end, and `text` is the end of what else was printed. `started` and
    `ended` are seconds since the epoch, by the clock of its machine, or None.
    """

    host: str = ""
    exit_status: int | None = None
    text: str = ""
    started: int | None = None
    ended: int | None = None

    @property
    def is_explained(self) -> bool:
        """Whether the job failed and has said why, as psyrun's steps do."""
        return self.exit_status in EXPLAINED

    @property
    def ending(self) -> Ending | None:
        """The ending by the exit status alone; None if there is none."""
        status = self.exit_status
        if status is None:
            return None
        if status == 0:
            return Ending(Cause.DONE, "done", 0)
        # As a shell tells of a child that was ended by a signal.
        text = describe_exit(128 - status if status > 128 else status)
        return Ending(Cause.FAILED, text, status)

    @classmethod
    def read(cls, path: Path) -> JobTrace:
        """Read a trace; there may be none, and its last line may be torn."""
        try:
            with opened(path) as file:
                head = file.read(4096)
                size = file.seek(0, 2)
                file.seek(max(0, size - _LONGEST_TRACE))
                tail = file.read()
        except OSError:
            return cls()
        return cls.parse(head.decode(errors="replace"), tail.decode(errors="replace"))

    @classmethod
    def parse(cls, head: str, tail: str) -> JobTrace:
        """Take a trace apart, of which the beginning and the end are given."""
        host, exit_status = "", None
        started = ended = None
        for line in [*_own_lines(head), *_own_lines(tail)]:
            match line.split():
                case [_, "start", *words]:
                    # A machine that cannot say its name has started the job, too. One
                    # that the queue started again has not ended.
                    host = words[0] if len(words) == 2 else _UNKNOWN_HOST
                    exit_status, started, ended = None, _time(words), None
                case [_, "exit", status, *words]:
                    exit_status, ended = int(status), _time(words)
        rest = [line for line in tail.splitlines() if not line.startswith(_MARK)]
        return cls(host, exit_status, "\n".join(rest).strip(), started, ended)


def _time(words: Sequence[str]) -> int | None:
    return int(words[-1]) if words and words[-1].isdecimal() else None


def _own_lines(text: str) -> list[str]:
    whole = text.splitlines(keepends=True)
    return [line for line in whole if line.startswith(_MARK) and line.endswith("\n")]
