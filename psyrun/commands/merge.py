"""``psy merge``: many data files into one."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser of the verb.
    """
    parser.add_argument("directory", type=Path, help="folder of the data files")
    parser.add_argument(
        "merged",
        type=Path,
        help="file to create or replace; its extension says which files are merged",
    )


def execute(args: argparse.Namespace) -> int:
    """Merge, and print how many files there were.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of the verb.

    Returns
    -------
    int
        Exit status.
    """
    from psyrun.store.merging import merge_directory

    merged = merge_directory(args.directory, args.merged)
    files = "file" if len(merged) == 1 else "files"
    print(f"{len(merged)} {files} merged into {args.merged}")
    return 0
