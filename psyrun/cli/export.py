"""``psy export``: a result for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from psyrun.cli.values import values_by_name
from psyrun.utils.text import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="a task, its work folder, or a data file")
    parser.add_argument(
        "out",
        type=Path,
        help="file to write; its extension is .csv, .parquet, .arrow, .nc, .zarr or "
        ".xlsx",
    )
    parser.add_argument(
        "--columns", metavar="NAMES", help="only these columns, such as 'n,error'"
    )
    parser.add_argument(
        "--where",
        action="append",
        metavar="NAME=VALUES",
        help="only the rows where a parameter has one of these values, such as "
        "'n=1,2'; can be given several times",
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="all rows that there are so far, also while the task runs",
    )
    parser.add_argument(
        "--costs",
        action="store_true",
        help="add columns with the start, duration, peak memory, host, attempt and "
        "version of each row",
    )
    parser.add_argument(
        "--former",
        action="store_true",
        help="add rows that are no longer in the result but still on disk, and a "
        "column row_status that tells which rows are current, older or former",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the file if it exists"
    )


def execute(args: argparse.Namespace) -> int:
    """Write the file, and print how much there was."""
    from psyrun.results.export import export

    columns = None
    if args.columns is not None:
        columns = [name.strip() for name in args.columns.split(",")]
    n_rows = export(
        args.task,
        args.out,
        columns=columns,
        where=values_by_name(args.where or (), "export: --where"),
        partial=args.partial,
        costs=args.costs,
        former=args.former,
        force=args.force,
        taskdir=args.taskdir if args.project == Path() else None,
    )
    print(f"{counted(n_rows, 'row')} written to {args.out}")
    return 0
