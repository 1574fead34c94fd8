"""The warnings of psyrun 0.8, for what filters them by their class.

Of these, only `IneffectiveExcludeWarning` is issued. Running jobs and results of an
earlier version are told of by ``psy run`` itself.
"""

from psyrun.errors import IneffectiveExcludeWarning

__all__ = [
    "IneffectiveExcludeWarning",
    "JobsRunningWarning",
    "TaskWarning",
    "TaskWorkdirDirtyWarning",
]


class TaskWarning(UserWarning):
    """A warning about a task; not issued any more."""


class JobsRunningWarning(TaskWarning):
    """Jobs of a task still run; not issued any more."""


class TaskWorkdirDirtyWarning(TaskWarning):
    """Results of an earlier version would be replaced; not issued any more."""
