"""``psy plot``: a result over the axes of the space, or what rows have cost."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


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


def execute(args: argparse.Namespace) -> int:
    """Print the plot."""
    from psyrun.report.plot import drawn, wanted_of
    from psyrun.report.terminal import limits_of, render
    from psyrun.report.terminal.style import Style

    wanted = wanted_of(
        args.result, args.over, args.by, args.reduce, args.band, args.cost
    )
    taskdir = args.taskdir if args.project == Path() else None
    style = Style.of(sys.stdout)
    picture = drawn(args.task, taskdir, wanted, limits_of(style))
    print(render(picture, style), end="")
    return 0
