"""``psy plan``: what a task will cost, from a few of its assignments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from psyrun.cli.arguments import duration, whole
from psyrun.errors import visible
from psyrun.tasks.discovery import select
from psyrun.utils.console import INTERRUPTED, warn, width_of
from psyrun.utils.text import (
    assignment_text,
    counted,
    rough_duration,
    wrapped,
)

if TYPE_CHECKING:
    from psyrun.estimate import Estimate, Failure, NoEstimate
    from psyrun.planning.proposals import Proposal
    from psyrun.run.pilots import Foreseen

_SHOWN = 5  # failures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="name of the task")
    parser.add_argument(
        "--pilots",
        type=whole(1),
        metavar="N",
        default=16,
        help="evaluate assignments until the costs of up to N are known, those with a "
        "row included (default: 16)",
    )
    parser.add_argument(
        "--budget",
        type=duration,
        metavar="TIME",
        default=300.0,
        help="evaluate them for up to this time, such as 90s or 2h, on each core that "
        "is used (default: 5m)",
    )
    parser.add_argument(
        "--local",
        action="store_true",
        help="evaluate them on this machine, also if the task has a queue",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="put the proposed settings into the task file",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=whole(1),
        metavar="N",
        help="evaluate up to N of them at once (default: 1 on this machine, all in a "
        "queue)",
    )
    parser.epilog = (
        "The assignments that are evaluated stay: 'psy run' evaluates the others. The "
        "exit status is 1 if one of them has failed."
    )


def execute(args: argparse.Namespace) -> int:
    """Evaluate pilots, print what they tell, and return the exit status."""
    from psyrun.run.early_snakemake import EarlySnakemake, is_likely_needed

    path = select(args.taskdir, [args.task])[args.task]
    is_needed = is_likely_needed(args.taskdir, [args.task])
    early = EarlySnakemake() if is_needed else None
    try:
        from psyrun.run.pilots import PilotOptions, foresee
        from psyrun.tasks.rewriting import TaskSource

        # Whatever is done to it meanwhile.
        source = TaskSource.read(path) if args.write else None
        options = PilotOptions(args.pilots, args.budget, args.jobs, args.local)
        foreseen = foresee(path, options, early)
    finally:
        if early is not None:
            early.close()
    if foreseen.status == INTERRUPTED:
        return foreseen.status
    proposal = _tell(foreseen)
    if source is not None and proposal is not None:
        from psyrun.planning.proposals import write_settings

        written = write_settings(foreseen.task, source, proposal.changes)
        print()
        for line in written:
            _print(line, width_of(sys.stdout))
    elif proposal is not None and proposal.changes:
        print(f"\nPut that into {visible(str(path))}: psy plan {args.task} --write")
    return max(foreseen.status, int(bool(foreseen.failed) or proposal is None))


def _tell(foreseen: Foreseen) -> Proposal | None:
    """Print what is known; return what is proposed, None if nothing is."""
    from psyrun.estimate import Estimate
    from psyrun.planning.proposals import proposal_lines
    from psyrun.run.proposing import propose
    from psyrun.workdir.prediction import PredictionRecord

    run, known, width = foreseen.run, foreseen.known, width_of(sys.stdout)
    found = known.estimate
    _print(_basis(foreseen, found), width)
    for line in _failures(foreseen):
        _print(line, width)
    if not isinstance(found, Estimate):
        _warn_of_nothing(foreseen)
        return None
    for line in _doubts(foreseen, found):
        _print(line, width)
    PredictionRecord.of(found, run.desired.fingerprint).save(run.layout)
    proposal = propose(run, foreseen.task, known, found)
    print()
    for line in proposal_lines(proposal, width):
        print(line)
    return proposal


def _print(line: str, width: int | None) -> None:
    for part in wrapped(line, width, "", "  "):
        print(visible(part))


def _basis(foreseen: Foreseen, found: Estimate | NoEstimate) -> str:
    """Return what is known, and from where."""
    n_new = len(foreseen.known.evaluated) - foreseen.n_before
    n_known = len(foreseen.known.evaluated.succeeded)
    assignments = counted(found.n_assignments, "assignment")
    text = f"{foreseen.run.name}: the costs of {n_known} of {assignments} are known"
    if n_new:
        return f"{text}, {n_new} evaluated now {foreseen.place}"
    return f"{text}, nothing was evaluated"


def _failures(foreseen: Foreseen) -> Iterator[str]:
    """Yield which pilots failed, and which were ended, with their parameters."""
    causes = foreseen.known.causes
    failed = [(each, f": {causes.get(each.index, '')}") for each in foreseen.failed]
    yield from _some_pilots("failed", failed)
    ended = [(f, f": over {rough_duration(f.seconds)}") for f in foreseen.cut_off]
    yield from _some_pilots("ended by the budget", ended)


def _some_pilots(what: str, pilots: Sequence[tuple[Failure, str]]) -> Iterator[str]:
    if pilots:
        yield f"{counted(len(pilots), 'pilot')} {what}:"
    for failure, remark in pilots[:_SHOWN]:
        values = assignment_text(failure.parameters)
        yield f"  {values}{remark}"
    if (hidden := len(pilots) - _SHOWN) > 0:
        yield f"  and {hidden} more"


def _doubts(foreseen: Foreseen, found: Estimate) -> Iterator[str]:
    """Yield what makes the numbers less sure than they look."""
    if not found.time.fits:
        yield f"The numbers are rough: {found.time.reason}."
    for key, n in found.unseen.items():
        yield f"No pilot has any of {counted(n, 'other value')} of {key}."
    if foreseen.known.is_sure:
        return
    if foreseen.is_spent:
        yield "The budget is spent; a larger one, such as --budget 1h, tells more."
    else:
        n_more = 2 * max(len(foreseen.known.evaluated), foreseen.n_most)
        yield f"More pilots tell more: --pilots {n_more}."


def _warn_of_nothing(foreseen: Foreseen) -> None:
    name, ended = foreseen.run.name, foreseen.cut_off
    if ended and foreseen.is_spent:
        seconds = max(failure.seconds for failure in ended)
        warn(
            f"{name}: no pilot ended within the budget, so nothing is known but that "
            f"they take more than {rough_duration(seconds)}. Give more time, such as "
            "--budget 1h."
        )
    elif foreseen.failed:
        warn(
            f"{name}: no pilot succeeded, so that nothing can be said of the costs. "
            f"'psy failed {name}' shows why, and 'psy debug {name}' goes there."
        )
    elif foreseen.is_spent:
        warn(
            f"{name}: no pilot began within the budget, so that nothing can be said of "
            "the costs. Give more time, such as --budget 1h."
        )
    else:
        # Why, was said when it happened.
        warn(
            f"{name}: no pilot was evaluated, so that nothing can be said of the costs."
        )
