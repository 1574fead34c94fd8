"""What `Slurm` takes as `scheduler_args`: options of sbatch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from math import ceil
from typing import Any

from psyrun.errors import SchedulerError, did_you_mean
from psyrun.scheduler import units
from psyrun.scheduler.commands import call
from psyrun.scheduler.jobs import Cause
from psyrun.scheduler.options import Option, dashed, names_of

UNLIMITED = "UNLIMITED"


_CLOCK = re.compile(
    r"(?:(?P<d>\d+)-(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?"
    r"|(?:(?P<h>\d+):)?(?P<m>\d+):(?P<s>\d+))"
)


def slurm_time(value: Any) -> str:
    """Return a time limit as sbatch wants it: ``'D-HH:MM'``, rounded up to minutes.

    Takes ``'1h30m'``, a number of minutes, a timedelta, or a form of Slurm's own:
    ``'30:00'``, ``'HH:MM:SS'``, ``'D-HH'``, ``'D-HH:MM'``, ``'D-HH:MM:SS'``,
    ``'UNLIMITED'``.
    """
    text = value.strip().upper() if isinstance(value, str) else ""
    if text in (UNLIMITED, "INFINITE"):
        return UNLIMITED
    clock = _CLOCK.fullmatch(text)
    try:
        minutes = units.minutes(value if clock is None else _minutes(clock))
    except ValueError as error:
        raise ValueError(
            f"{error}, or one of Slurm's forms such as '1-12:00'"
        ) from None
    days, rest = divmod(minutes, 24 * 60)
    return f"{days}-{rest // 60:02}:{rest % 60:02}"


def _minutes(clock: re.Match[str]) -> int:
    part = {name: int(text) for name, text in clock.groupdict(default="0").items()}
    hours = 24 * part["d"] + part["dh"] + part["h"]
    return 60 * hours + part["dm"] + part["m"] + ceil((part["ds"] + part["s"]) / 60)


def slurm_memory(value: Any) -> str:
    """Return an amount of memory as sbatch wants it, such as ``'1G'`` or ``'1536M'``.

    Takes ``'1.5G'`` or a number of megabytes; 0 means all that a node has.
    """
    if units.megabytes(value) == 0:
        return "0"
    return units.memory(value)


def _nodes(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d+-\d+", value):
        return value
    try:
        return units.count(value)
    except ValueError as error:
        raise ValueError(f"{error}, or a range such as '1-4'") from None


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    if isinstance(value, bool | Mapping | set) or not str(value).strip():
        raise ValueError("it must be a text, a number or a list of texts")
    text = str(value)
    if "\n" in text or "\0" in text:
        raise ValueError("it must be a single line")
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it must be True or False, as the option takes no value")
    return value


def _flag_or_text(value: Any) -> bool | str:
    return value if isinstance(value, bool) else _text(value)


_MEMORIES = ("memory", "memory_per_cpu", "mem-per-gpu")


def _memory(flag: str, *other_names: str) -> Option:
    return Option(flag, check=slurm_memory, other_names=other_names, excludes=_MEMORIES)


_GUIDE = {
    "timelimit": Option("-t", check=slurm_time, other_names=("time",)),
    "memory": _memory("--mem", "mem"),
    "memory_per_cpu": _memory("--mem-per-cpu", "mem-per-cpu"),
    "n_cpus": Option("-c", check=units.count, other_names=("cpus-per-task",)),
    "n_nodes": Option("-N", check=_nodes, other_names=("nodes",)),
    "cores-per-socket": Option("--cores-per-socket", check=units.count),
    "sockets-per-node": Option("--sockets-per-node", check=units.count),
}

_WITH_VALUE = """
    account acctg-freq batch bb bbf begin cluster-constraint constraint container
    container-id core-spec cpu-freq cpus-per-gpu deadline delay-boot exclude export
    export-file extra extra-node-info gpu-bind gpu-freq gpus gpus-per-node
    gpus-per-socket gpus-per-task gres gres-flags hint input kill-on-invalid-dep
    licenses mail-type mail-user mcs-label mem-bind mincpus network nodefile nodelist
    ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket
    oom-kill-step partition power prefer priority profile qos reservation segment
    signal switches thread-spec threads-per-core tmp tres-bind tres-per-task
    wait-all-nodes wckey
"""

_WITHOUT_VALUE = """
    consolidate-segments contiguous hold ignore-pbs overcommit oversubscribe reboot
    spread-job stepmgr use-min-nodes
"""

_WITH_OR_WITHOUT = "exclusive get-user-env nice no-kill propagate resv-ports"


OPTIONS: dict[str, Option] = {
    **_GUIDE,
    **{name: Option(f"--{name}", check=_text) for name in _WITH_VALUE.split()},
    **{name: Option(f"--{name}", check=_flag) for name in _WITHOUT_VALUE.split()},
    **{
        name: Option(f"--{name}", check=_flag_or_text)
        for name in _WITH_OR_WITHOUT.split()
    },
    "mem-per-gpu": _memory("--mem-per-gpu"),
    "time-min": Option("--time-min", check=slurm_time),
}
"""The guide's arguments by their names, the others by sbatch's long names."""


_NAMES = names_of(OPTIONS)
_PRINTS = "psyrun needs sbatch to print a job's number and to return at once"
_REPEATS = "psyrun itself repeats what is missing"
_LOGS = "psyrun keeps what each job prints in its log"

_SELF = {
    "array": "psyrun makes the job arrays itself, by max_jobs and min_items",
    "output": _LOGS,
    "error": _LOGS,
    "open-mode": _LOGS,
    "job-name": "psyrun names the jobs after the task",
    "comment": "psyrun finds its jobs again by their comment",
    "dependency": "psyrun submits a job when those before it have ended",
    "requeue": _REPEATS,
    "no-requeue": _REPEATS,
    "chdir": "jobs run in the folder in which psy runs",
    "clusters": "psyrun asks one cluster for its jobs, that of SLURM_CLUSTERS in the "
    "environment",
    "wrap": "psyrun writes the command of each job",
    "uid": "jobs run as you",
    "gid": "jobs run as you",
    **dict.fromkeys(["wait", "parsable", "quiet", "verbose", "test-only"], _PRINTS),
    **dict.fromkeys(["help", "usage", "version"], _PRINTS),
}


def known_names(scheduler_args: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments under the names of the table `OPTIONS`.

    They may be written with ``'_'`` or ``'-'``, and by sbatch's names. Unknown
    names are left as they are. Raises `SchedulerError` where an argument is given
    twice, or psyrun sets it itself.
    """
    found: dict[str, Any] = {}
    written: dict[str, str] = {}
    for name, value in scheduler_args.items():
        spelt = dashed(str(name))
        if spelt in _SELF:
            raise SchedulerError(
                f"scheduler_args: {name!r} cannot be set: {_SELF[spelt]}. Remove it."
            )
        key = _NAMES.get(spelt, str(name))
        if key in found:
            raise SchedulerError(
                f"scheduler_args: {written[key]!r} and {name!r} are the same option of "
                "sbatch. Keep one of them."
            )
        found[key], written[key] = value, str(name)
    return found


def with_site_options(names: Mapping[str, Any]) -> Mapping[str, Option]:
    """Return `OPTIONS` and those of some names that this site's sbatch lists.

    These may be options of plug-ins. Raises `SchedulerError` for an unknown name.
    """
    options = dict(OPTIONS)
    unknown = [name for name in names if name not in options]
    listed = _listed() if unknown else set()
    for name in unknown:
        if dashed(name) not in listed:
            raise SchedulerError(
                f"scheduler_args: Slurm does not know {name!r}."
                f"{did_you_mean(name, [*OPTIONS, 'time', 'mem', 'nodes'])} It accepts "
                f"{', '.join(_GUIDE)} and the long options of sbatch, such as "
                "'partition' and 'account'; see 'man sbatch'."
            )
        options[name] = _site_option(name)
    return options


def _site_option(name: str) -> Option:
    return Option(f"--{dashed(name)}", check=_flag_or_text)


def _listed() -> set[str]:
    try:
        printed = call(["sbatch", "--help"], time_out=10).stdout
    except SchedulerError:
        return set()
    return set(re.findall(r"--([a-z][a-z0-9-]+)", printed))


def check_together(values: Mapping[str, Any]) -> None:
    """Raise `SchedulerError` if values exclude one another."""
    given = [name for name in _MEMORIES if name in values]
    if len(given) > 1:
        raise SchedulerError(
            f"scheduler_args: {' and '.join(map(repr, given))} exclude each other in "
            "sbatch. Keep one of them."
        )


def sbatch_arguments(values: Mapping[str, Any]) -> list[str]:
    """Return the words of sbatch's command line that state values."""
    stated: list[str] = []
    for name, value in values.items():
        stated += (OPTIONS.get(name) or _site_option(name)).words(value)
    return stated


_SAME = {
    "n_cpus": "cpus_per_task",
    "n_nodes": "nodes",
    "partition": "slurm_partition",
    "account": "slurm_account",
    "qos": "qos",
    "constraint": "constraint",
    "gres": "gres",
    "ntasks": "tasks",
    "ntasks-per-gpu": "tasks_per_gpu",
    "ntasks-per-node": "tasks_per_node",
    "cpus-per-gpu": "cpus_per_gpu",
}

# That plug-in states these itself, and refuses them among the extra options.
_LEFT_OUT = ("export", "gpus")


def minutes(values: Mapping[str, Any]) -> int | None:
    """Return the time limit in minutes; None if there is none."""
    limit = values.get("timelimit", UNLIMITED)
    if limit == UNLIMITED:
        return None
    days, _, clock = limit.partition("-")
    hours, _, rest = clock.partition(":")
    return 24 * 60 * int(days) + 60 * int(hours) + int(rest)


def resources(values: Mapping[str, Any]) -> dict[str, int | str]:
    """Return arguments as ``snakemake-executor-plugin-slurm`` reads them.

    Options that have no resource of their own are in ``slurm_extra``.
    """
    found: dict[str, int | str] = {}
    limit = minutes(values)
    if limit is not None:
        found["runtime"] = limit
    for name, resource in (("memory", "mem_mb"), ("memory_per_cpu", "mem_mb_per_cpu")):
        if name in values:
            found[resource] = units.megabytes(values[name])
    found |= {_SAME[name]: value for name, value in values.items() if name in _SAME}
    found |= _gpus(values)
    extra = sbatch_arguments(
        {
            name: value
            for name, value in values.items()
            if name not in (*_SAME, *_LEFT_OUT, "timelimit", "memory", "memory_per_cpu")
        }
    )
    return found | ({"slurm_extra": shlex.join(extra)} if extra else {})


def _gpus(values: Mapping[str, Any]) -> dict[str, int | str]:
    if "gpus" not in values:
        return {}
    model, _, number = str(values["gpus"]).rpartition(":")
    found: dict[str, int | str] = {"gpu": int(number) if number.isdecimal() else number}
    return found | ({"gpu_model": model} if model else {})


def raised(
    values: Mapping[str, Any], cause: Cause, factor: float
) -> dict[str, Any] | None:
    """Return arguments with `factor` times the memory or time; None if impossible."""
    more: dict[str, Any] = {}
    limit = minutes(values)
    if cause is Cause.TIME and limit is not None:
        more["timelimit"] = slurm_time(ceil(limit * factor))
    if cause is Cause.MEMORY:
        for name in _MEMORIES:
            amount = units.megabytes(values.get(name, 0))
            if amount:
                more[name] = units.memory(ceil(amount * factor))
    return {**values, **more} if more else None
