"""``psy merge``: many data files, or what there is of a task, into one file."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path

from psyrun.errors import PsyrunError, StoreError
from psyrun.utils.files import read_json
from psyrun.utils.leftovers import remove_abandoned
from psyrun.utils.text import counted
from psyrun.workdir.layout import record_of_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory",
        type=Path,
        help="folder of the data files; with --partial, a task or its work folder",
    )
    parser.add_argument(
        "merged",
        type=Path,
        help="file to create or replace; its extension says which files are merged",
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="write all rows that a task has so far, also while it runs",
    )


def execute(args: argparse.Namespace) -> int:
    """Merge, and print how much there was."""
    if args.partial or any(args.directory.glob(f"*{args.merged.suffix}")):
        _refuse_to_replace_a_result(args.merged, args.project, args.taskdir)
    target = Path(os.path.realpath(args.merged))
    remove_abandoned(target.parent, target.name)
    return _merge_task(args) if args.partial else _merge_folder(args)


def _merge_folder(args: argparse.Namespace) -> int:
    from psyrun.store.merging import merge_directory

    _refuse_to_replace_a_part(args.directory, args.merged)
    n_files = len(merge_directory(args.directory, args.merged))
    print(f"{counted(n_files, 'file')} merged into {args.merged}")
    return 0


def _refuse_to_replace_a_part(directory: Path, merged: Path) -> None:
    """Refuse to replace a file that may be one of those that are to be merged.

    Whether it is the result of an earlier merge cannot be known.
    """
    if merged.exists() and merged.resolve().parent == directory.resolve():
        raise PsyrunError(
            f"{merged}: exists already, in the folder whose files are merged. Choose "
            "another name or folder for the merged file; or remove it if it is the "
            "outcome of an earlier merge."
        )


def _refuse_to_replace_a_result(merged: Path, project: Path, taskdir: Path) -> None:
    """Refuse to replace what a task of the project needs to be up to date."""
    if not merged.exists():
        return
    target = merged.resolve()
    pattern = record_of_task(project / taskdir, "*")
    for record in sorted(pattern.parent.glob(pattern.name)):
        # Records are a convenience: a damaged one must not stop others.
        with suppress(StoreError, KeyError, TypeError, AttributeError):
            where = read_json(record)
            folder = (project / where["workdir"] / record.stem).resolve()
            if (
                target == (project / where["resultfile"]).resolve()
                or folder in target.parents
            ):
                raise PsyrunError(
                    f"{merged}: is of the task {record.stem!r}, and 'psy run' writes "
                    "it. Choose another name for the merged file."
                )


def _merge_task(args: argparse.Namespace) -> int:
    from psyrun.results.load import write_partial

    taskdir = args.taskdir if args.project == Path() else None
    n_rows = write_partial(str(args.directory), args.merged, taskdir)
    print(f"{counted(n_rows, 'row')} written to {args.merged}")
    return 0
