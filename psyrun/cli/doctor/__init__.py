"""``psy doctor``: check this machine, queues and work folders; say what to fix."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun.cli.arguments import seconds
from psyrun.errors import PsyrunError, SchedulerError
from psyrun.tasks.import_path import add_to_import_path
from psyrun.utils.console import report_error
from psyrun.utils.text import counted

if TYPE_CHECKING:
    from psyrun.cli.doctor.finding import Finding
    from psyrun.scheduler import Scheduler

_SUBMITS_WITH = {"Slurm": "sbatch", "Sqsub": "sqsub"}
_SHORT = {"timelimit": "5m"}
"""What a short job asks for instead of what new task files do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="QUEUE",
        help="a scheduler such as slurm, sqsub or MODULE.CLASS; without it, check this "
        "machine, and the queues whose commands are here. With --verify or --repair, "
        "names of tasks (default: all tasks)",
    )
    files = parser.add_mutually_exclusive_group()
    files.add_argument(
        "--verify",
        action="store_true",
        help="check all files that psyrun wrote of tasks; nothing is changed",
    )
    files.add_argument(
        "--repair",
        action="store_true",
        help="rebuild what is damaged or gone of them from what is left",
    )
    parser.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="argument for the scheduler, such as account=lab; may be repeated, and "
        "wins over those of psy-conf.py",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=120.0,
        metavar="SECONDS",
        help="how long the short job that is submitted may take before it is cancelled "
        "(default: %(default).0f)",
    )
    parser.epilog = "exit status: 0 if there is no problem, 1 otherwise"


def execute(args: argparse.Namespace) -> int:
    """Check, and print a line for each check."""
    if args.verify or args.repair:
        from psyrun.cli.doctor.work_folder import check_work_folders

        return check_work_folders(args)
    return _check(args, _queue_of(args.names))


def _queue_of(names: Sequence[str]) -> str | None:
    if len(names) > 1:
        raise PsyrunError(
            f"doctor: {names[1]!r} is one queue too many. Name one, or check the files "
            "of tasks with 'psy doctor --verify'."
        )
    return names[0] if names else None


def _check(args: argparse.Namespace, queue: str | None) -> int:
    from psyrun.queue.site import read_pairs

    add_to_import_path(args.taskdir)
    given = read_pairs(args.arg, "doctor: --arg")
    status = 0
    conf: dict[str, Any] = {}
    try:
        conf = _conf(args.taskdir)
    except PsyrunError as error:
        if queue is not None:
            raise
        status = report_error(error, debug=args.debug)
    if queue is not None:
        return _report(_of_queue(_class(queue), conf, given, args.timeout))
    status = max(status, _report(_of_machine(args.taskdir, conf)))
    for name, program in _SUBMITS_WITH.items():
        if shutil.which(program):
            print(f"\n{name}")
            found = _of_queue(_class(name), conf, given, args.timeout)
            status = max(status, _report(found))
    return status


def _report(findings: Iterable[Finding]) -> int:
    counts = {"ok": 0, "warning": 0, "problem": 0}
    for finding in findings:
        print(finding.line, flush=True)
        counts[finding.level] += 1
    found = [counted(counts[kind], kind) for kind in ("problem", "warning")]
    print(f"{' and '.join(found)} in {counted(sum(counts.values()), 'check')}")
    return 1 if counts["problem"] else 0


def _of_machine(taskdir: Path, conf: Mapping[str, Any]) -> Iterator[Finding]:
    from psyrun.cli.doctor.machine import check_machine

    return check_machine(taskdir, _workdir(conf) or Path("psy-work").absolute())


def _of_queue(
    kind: type[Scheduler],
    conf: Mapping[str, Any],
    given: Mapping[str, Any],
    patience: float,
) -> Iterator[Finding]:
    from psyrun.cli.doctor.queue import check_queue
    from psyrun.scheduler.options import joined

    scheduler, defaults = _made(kind, conf), dict(kind.USER_DEFAULT_ARGS)
    short = {name: value for name, value in _SHORT.items() if name in defaults}
    site = conf.get("scheduler_args", {})
    sources = [defaults, short, site if isinstance(site, Mapping) else {}, given]
    workdir = _workdir(conf)
    folders = [Path.cwd(), *([] if workdir is None else [workdir])]
    return check_queue(
        scheduler, joined(scheduler.OPTIONS, *sources), folders, patience
    )


def _made(kind: type[Scheduler], conf: Mapping[str, Any]) -> Scheduler:
    """Return the scheduler of psy-conf.py if it is of this kind, or a new one."""
    found = conf.get("scheduler")
    return found if isinstance(found, kind) else kind()


def _conf(taskdir: Path) -> dict[str, Any]:
    """Return the variables of psy-conf.py, if there is one."""
    from psyrun.tasks.loading import common_file
    from psyrun.tasks.module import run_file

    path = common_file(taskdir)
    return {} if path is None else run_file(path, "psy-conf")[0].__dict__


def _workdir(conf: Mapping[str, Any]) -> Path | None:
    workdir = conf.get("workdir")
    return None if workdir is None else Path(workdir).absolute()


def _class(name: str) -> type[Scheduler]:
    from psyrun.scheduler import scheduler_class
    from psyrun.scheduler.registry import scheduler_names

    known = {one.lower(): one for one in scheduler_names()}
    found = scheduler_class(known.get(name.lower(), name))
    try:
        found()
    except TypeError as error:
        raise SchedulerError(f"scheduler {name!r}: {error}") from error
    return found
