"""The commands of ``psy``: one module per verb.

A module has two functions: ``add_arguments(parser)`` declares what the verb
takes, and ``execute(args)`` does the work and returns the exit status. It is
imported only when its verb was asked for.
"""

from psyrun.utils.process.isolation import isolate

# Before anything else is imported.
isolate()

SUMMARIES = {
    "run": "evaluate all tasks that are not up to date",
    "plan": "predict what a task will cost, from a few assignments",
    "attach": "follow a run that goes on elsewhere, up to its end",
    "status": "show how far tasks are",
    "space": "show the axes of the spaces of tasks, and what is done of them",
    "diff": "show by what tasks differ from their rows, before they are run",
    "failed": "list the assignments of a task that failed",
    "debug": "evaluate one assignment of a task in the debugger",
    "test": "try one assignment of each task, without saving anything",
    "list": "list the names of all tasks",
    "new-task": "create a task file to fill in",
    "kill": "stop the runs of tasks with all their jobs",
    "clean": "delete all files that were generated for tasks",
    "merge": "put the rows of all data files of a folder into one file",
    "plot": "show a result over its parameters, in the terminal or in a file",
    "report": "write one page that shows tasks: results, failures and costs",
    "export": "write a result to a file of another format, such as CSV or netCDF",
    "init": "set a project folder up, also for plain snakemake",
    "snakefile": "print the path of the Snakefile, for plain snakemake",
    "doctor": "check this machine and its queue, and say what to correct",
    "profile": "print the path of a Snakemake profile, or install it",
    "help": "show help on a command or on task files",
}
"""What each verb does, in a few words."""

WITHOUT_TASKDIR = {"snakefile", "profile", "help"}
"""Verbs that have nothing to do with task files."""

MAKING = {"init", "new-task"}
"""Verbs that make files of a project."""

HERE = {*MAKING, "merge", "export", "plot"}
"""Verbs that are about the current folder, also if the project is one above."""

CALLING = {"test", "debug"}
"""Verbs that call the functions of a task, which may end the process."""


def module_of(verb: str) -> str:
    """Return the name of a verb's module, such as ``psyrun.cli.new_task``."""
    return f"psyrun.cli.{verb.replace('-', '_')}"
