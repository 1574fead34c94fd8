"""``psy plan``: what a task will cost, from a few of its assignments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from psyrun.cli.arguments import duration, whole
from psyrun.errors import visible
from psyrun.tasks.discovery import select
from psyrun.utils.console import warn, width_of
from psyrun.utils.text import (
    counted,
    describe_parameters,
    mebibytes,
    parameters_text,
    short_duration,
    wrapped,
)

if TYPE_CHECKING:
    from psyrun.estimate import Estimate, NoEstimate, Prediction, Range
    from psyrun.run.pilots import Foreseen

_SHOWN = 5  # failures
_HOUR = 3600.0


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

        options = PilotOptions(args.pilots, args.budget, args.jobs, args.local)
        foreseen = foresee(path, options, early)
    finally:
        if early is not None:
            early.close()
    return _tell(foreseen)


def _tell(foreseen: Foreseen) -> int:
    from psyrun.estimate import Estimate
    from psyrun.utils.console import INTERRUPTED
    from psyrun.workdir.prediction import PredictionRecord

    if foreseen.status == INTERRUPTED:
        return foreseen.status
    run, found = foreseen.run, foreseen.known.estimate
    width = width_of(sys.stdout)
    for line in _lines(foreseen, found):
        for part in wrapped(line, width, "", "    "):
            print(visible(part))
    if isinstance(found, Estimate):
        PredictionRecord.of(found, run.fingerprint).save(run.layout)
    else:
        _warn_of_nothing(foreseen, found)
    has_failed = len(found.failures) > foreseen.known.n_ended
    no_estimate = not isinstance(found, Estimate)
    return max(foreseen.status, int(has_failed or no_estimate))


def _lines(foreseen: Foreseen, found: Estimate | NoEstimate) -> Iterator[str]:
    from psyrun.estimate import Estimate

    yield _basis(foreseen, found)
    if isinstance(found, Estimate):
        yield from _costs(found)
    yield from _failures(foreseen, found)


def _basis(foreseen: Foreseen, found: Estimate | NoEstimate) -> str:
    """Return what is known, and from where."""
    n_new = len(foreseen.known.evaluated) - foreseen.n_before
    n_known = len(foreseen.known.evaluated) - len(found.failures)
    text = (
        f"{foreseen.run.name}: costs of {n_known} of "
        f"{counted(found.n_assignments, 'assignment')} are known"
    )
    return f"{text}, {n_new} evaluated {foreseen.place}" if n_new else text


def _costs(found: Estimate) -> Iterator[str]:
    time, memory = found.time, found.memory
    total = _range(time.total, _core_time)
    yield f"  total time: {total} on one core, for all"
    yield f"  slowest:    {_extreme(time, short_duration)}"
    if memory is not None:
        yield f"  memory:     {_extreme(memory, _memory)}"
    if not time.fits and time.reason:
        yield f"  These are rough numbers: {time.reason}."
    for key, n in found.unseen.items():
        yield f"  No pilot has one of {counted(n, 'other value')} of {key}."


def _failures(foreseen: Foreseen, found: Estimate | NoEstimate) -> Iterator[str]:
    if not found.failures:
        return
    yield f"  {counted(len(found.failures), 'pilot')} failed:"
    for failure in found.failures[:_SHOWN]:
        cause = foreseen.known.causes.get(failure.index, "")
        yield f"    {_parameters(failure.parameters)}: {cause}"
    if (hidden := len(found.failures) - _SHOWN) > 0:
        yield f"    and {hidden} more"


def _warn_of_nothing(foreseen: Foreseen, found: NoEstimate) -> None:
    name, n_ended = foreseen.run.name, foreseen.known.n_ended
    if n_ended and foreseen.is_spent:
        seconds = max(failure.seconds for failure in found.failures)
        warn(
            f"{name}: no pilot ended within the budget, so nothing is known but that "
            f"they take more than {short_duration(seconds)}. Give more time, such as "
            "--budget 1h."
        )
    else:
        warn(
            f"{name}: no pilot succeeded, so that nothing can be said of the costs. "
            f"'psy failed {name}' shows why, and 'psy debug {name}' goes there."
        )


def _range(known: Range, text: Any) -> str:
    if known.low == known.high:
        return str(text(known.value))
    high = text(known.high) if known.high < float("inf") else "any"
    return f"{text(known.value)} ({text(known.low)} to {high})"


def _extreme(known: Prediction, text: Any) -> str:
    largest = known.largest
    return f"{_range(largest.cost, text)} with {_parameters(largest.parameters)}"


def _parameters(values: Mapping[str, Any]) -> str:
    return parameters_text(describe_parameters(values))


def _core_time(seconds: float) -> str:
    if seconds < _HOUR:
        return short_duration(seconds)
    return f"{seconds / _HOUR:.3g} h"


def _memory(n_bytes: float) -> str:
    return mebibytes(n_bytes / 1024)
