"""``psy init``: a project folder that plain snakemake understands, too."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from psyrun.utils.console import warn

_SNAKEFILE = """\
from psyrun.utils.resources import shipped

config.setdefault("psy_taskdir", {taskdir})


include: str(shipped("workflow", "Snakefile"))


# Rules of an included file are not made unless they are asked for.
rule results:
    input:
        rules.all.input,
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make the folder of the task files, and a workflow/Snakefile with which "
        "plain 'snakemake' runs the tasks. What exists is left as it is."
    )


def execute(args: argparse.Namespace) -> int:
    """Create what does not exist, and print what was done."""
    if args.project != Path():
        warn(f"this is a project of its own, apart from that in {args.project}")
    if args.taskdir.is_dir():
        print(f"exists   {args.taskdir}")
    else:
        args.taskdir.mkdir(parents=True)
        print(f"created  {args.taskdir}")
    taskdir = json.dumps(str(args.taskdir))
    _create(Path("workflow", "Snakefile"), _SNAKEFILE.format(taskdir=taskdir))
    has_tasks = any(args.taskdir.glob("task_*.py"))
    print("Next: psy run" if has_tasks else "Next: psy new-task NAME")
    return 0


def _create(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        print(f"exists   {path}")
    else:
        print(f"created  {path}")
