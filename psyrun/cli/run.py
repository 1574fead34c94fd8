"""``psy run``: execute tasks."""

from __future__ import annotations

import argparse

from psyrun.backend.orders import ORDERS
from psyrun.cli.arguments import add_part, part_of, whole
from psyrun.errors import PsyrunError
from psyrun.run.early_snakemake import EarlySnakemake, is_likely_needed
from psyrun.run.options import JOB, PROCESS, RunOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", nargs="*", help="names of tasks, by default all")
    _add_rows(parser)
    parser.add_argument(
        "-j",
        "--jobs",
        type=whole(1),
        metavar="N",
        help="use up to N cores at once (default: 1), or have up to N jobs in a "
        "queue (default: as many as there are)",
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="only show what would be done"
    )
    parser.add_argument(
        "--accept-failures",
        action="store_true",
        help="go without the assignments that failed",
    )
    parser.add_argument(
        "--max-failures",
        type=whole(0),
        metavar="N",
        help="stop when more than N assignments failed",
    )
    parser.add_argument(
        "--order",
        choices=ORDERS,
        help="evaluate assignments in another order than the task file says",
    )
    parser.add_argument(
        "--move-aside",
        action="store_true",
        help="rename a file that is in the place of the result but not psyrun's",
    )
    _add_display(parser)
    _add_detach(parser)
    parser.add_argument("--controller", help=argparse.SUPPRESS)


def _add_display(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="only show what went wrong"
    )


def _add_rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--continue",
        dest="keep_going",
        action="store_true",
        help="keep existing rows and add what is missing",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="evaluate all again, also what did not change",
    )
    parser.add_argument(
        "--rerun",
        metavar="WHAT",
        help="evaluate these assignments again: a Python expression of parameters and "
        "results, such as 'beta < 0.3'; 'stale', those with a row of an older "
        "version; or 'failed'",
    )
    add_part(
        parser,
        "only evaluate assignments with these values of a parameter, such as "
        "radius=0.1,0.2, or from one up to another one, such as trial=0:5; rows of "
        "others stay",
    )


def _add_detach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detach",
        action="store_const",
        const=PROCESS,
        help="return at once; the run goes on by itself, see 'psy attach'",
    )
    # An option by this whole name, as names of tasks may follow the other one.
    parser.add_argument(
        "--detach=job",
        dest="detach",
        action="store_const",
        const=JOB,
        help="put the whole run in the queue of the tasks",
    )


def execute(args: argparse.Namespace) -> int:
    """Run tasks and return the exit status."""
    if args.fresh and args.keep_going:
        raise PsyrunError(
            "--fresh evaluates all again, and --continue keeps what is there. Give one "
            "of them."
        )
    if args.fresh and args.rerun is not None:
        raise PsyrunError(
            "--fresh evaluates all again, and --rerun only some. Give one of them."
        )
    if args.fresh and args.part:
        raise PsyrunError(
            "--fresh evaluates all again, and -p only a part. Leave --fresh out, or "
            "say which rows are evaluated again with --rerun."
        )
    args.part = part_of(args)
    early = _early_snakemake(args)
    try:
        return _run(args, early)
    finally:
        if early is not None:
            early.close()


def _early_snakemake(args: argparse.Namespace) -> EarlySnakemake | None:
    """Return a Snakemake whose import begins before psyrun's own, if it pays."""
    if args.dry_run or args.detach or not is_likely_needed(args.taskdir, args.task):
        return None
    return EarlySnakemake()


def _run(args: argparse.Namespace, early: EarlySnakemake | None) -> int:
    from psyrun.planning.desired import PlanOptions
    from psyrun.run.session import run_tasks

    plan = PlanOptions(
        args.keep_going,
        args.accept_failures,
        args.max_failures,
        args.move_aside,
        args.fresh,
        args.rerun,
        args.order,
        args.part,
    )
    options = RunOptions(
        taskdir=args.taskdir,
        tasks=args.task,
        plan=plan,
        jobs=args.jobs,
        is_dry_run=args.dry_run,
        is_quiet=args.quiet,
        is_debugged=args.debug,
        detach=args.detach,
        controller=args.controller,
        snakemake_args=args.snakemake_args,
    )
    return run_tasks(options, early)
