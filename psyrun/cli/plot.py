"""``psy plot``: a result over the axes of the space, or what rows have cost."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psyrun.report.choice import Wanted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="a task, its work folder, or a data file")
    parser.add_argument(
        "result",
        nargs="?",
        help="the result to plot (default: the first that is a number)",
    )
    parser.add_argument(
        "--over",
        metavar="X[,Y]",
        help="the parameter along the axis; two of them make a heat map (default: that "
        "with most values)",
    )
    parser.add_argument(
        "--by", metavar="Z", help="the parameter that colours and signs tell apart"
    )
    parser.add_argument(
        "--reduce",
        metavar="HOW",
        help="what is shown of several rows: mean (default), median, min, max, or a "
        "quantile such as q90",
    )
    parser.add_argument(
        "--band",
        metavar="BAND",
        help="what is drawn around it: std, sem, or two quantiles such as q10:q90",
    )
    parser.add_argument(
        "--cost",
        metavar="COST",
        help="plot what rows have cost instead: time, memory, or failed (the share "
        "of assignments that failed)",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="FILE",
        type=Path,
        help="write a picture instead; its extension is .png, .pdf or .svg",
    )


def execute(args: argparse.Namespace) -> int:
    """Print the plot, or write it to a file and print what it shows."""
    from psyrun.report.plot import drawn, wanted_of
    from psyrun.report.terminal import limits_of, render
    from psyrun.report.terminal.style import Style

    wanted = wanted_of(
        args.result, args.over, args.by, args.reduce, args.band, args.cost
    )
    taskdir = args.taskdir if args.project == Path() else None
    if args.out is not None:
        return _write(args.out, args.task, taskdir, wanted)
    style = Style.of(sys.stdout)
    picture = drawn(args.task, taskdir, wanted, limits_of(style))
    print(render(picture, style), end="")
    return 0


def _write(out: Path, task: str, taskdir: Path | None, wanted: Wanted) -> int:
    from psyrun.report.figure import LIMITS, check_format, save
    from psyrun.report.plot import drawn

    check_format(out)
    picture = drawn(task, taskdir, wanted, LIMITS)
    save(picture, out)
    for line in (picture.title, *picture.notes):
        print(line)
    print(f"written to {out}")
    return 0
