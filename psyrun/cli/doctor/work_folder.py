"""``psy doctor --verify`` and ``--repair``: the files of tasks."""

from __future__ import annotations

import argparse
from pathlib import Path

from psyrun.cli.doctor.finding import ok, problem
from psyrun.errors import PsyrunError
from psyrun.planning.desired import PlanOptions
from psyrun.planning.inspection import Fault, faults_of_task
from psyrun.planning.prepare import load_tasks
from psyrun.tasks.discovery import select
from psyrun.utils.console import report_error
from psyrun.utils.text import counted
from psyrun.workdir.damage import n_set_aside
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.plan import arguments_in


def check_work_folders(args: argparse.Namespace) -> int:
    """Verify or repair the files of tasks, and return the exit status."""
    status = 0
    check = _repair if args.repair else _verify
    for name, path in select(args.taskdir, args.names).items():
        try:
            is_right = check(name, path)
        except (PsyrunError, OSError) as error:
            status = max(status, report_error(error, debug=args.debug))
        else:
            status = max(status, 0 if is_right else 1)
    return status


def _verify(name: str, path: Path) -> bool:
    """Print what is wrong with the files of a task; return whether nothing is."""
    folder, n_files, faults = faults_of_task(path, name)
    for fault in faults:
        print(_problem(fault, _place(fault, folder)))
    _tell_set_aside(name, TaskLayout(folder))
    if not faults:
        print(ok(name, f"{counted(n_files, 'file')} in {folder}").line)
        return True
    found = f"{counted(len(faults), 'problem')} in {counted(n_files, 'file')}"
    print(f"{name}: {found}. Mend it with 'psy doctor --repair {name}'.")
    return False


def _tell_set_aside(name: str, layout: TaskLayout) -> None:
    if n_files := n_set_aside(layout):
        print(f"{name}: {counted(n_files, 'damaged file')} kept in {layout.damaged}")


def _problem(fault: Fault, place: str) -> str:
    return problem(place, f"{fault.problem}: {fault.remedy}").wrapped


def _place(fault: Fault, folder: Path) -> str:
    """Return the path of a file as short as it is clear."""
    path = fault.path
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _repair(name: str, path: Path) -> bool:
    """Mend the files of a task; return whether nothing is wrong with them now."""
    (task,) = load_tasks([path], PlanOptions())
    task.acquire()
    try:
        said = task.repair()
        rest = faults_of_task(path, name)[2]
    finally:
        task.release()
    for line in said:
        print(line)
    for fault in rest:
        print(_problem(fault, str(fault.path)))
    done = f"{counted(len(said), 'file')} mended" if said else "nothing is mended"
    print(f"{name}: {done}. Go on with 'psy run {arguments_in(task.layout)}'.")
    return not rest
