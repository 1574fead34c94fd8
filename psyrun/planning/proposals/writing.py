"""What is proposed, put into the task file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psyrun.planning.proposals.answers import Setting
from psyrun.tasks.config import Config
from psyrun.tasks.loading import Task
from psyrun.tasks.rewriting import Change, TaskSource
from psyrun.utils.text import text_of


def write_settings(
    task: Task, source: TaskSource, settings: Sequence[Setting]
) -> list[str]:
    """Put what is proposed into the task file, all of it or nothing.

    Comments and formatting stay as they are, and so does the fingerprint: none of the
    settings is part of it.

    Parameters
    ----------
    task : Task
        The task as it was loaded.
    source : TaskSource
        Its file as it was read before that, by `TaskSource.read`.
    settings : sequence of Setting
        What is proposed; what is in the file already is left out.

    Returns
    -------
    list of str
        What was written, and of which tasks it was a setting before, in lines.

    Raises
    ------
    TaskError
        If the file was changed meanwhile, or does not state a setting plainly.
    StoreError
        If it cannot be written.
    """
    new = [setting for setting in settings if setting.is_new]
    if not new:
        return [f"{task.path}: nothing to write, all is as proposed"]
    source.write([_change(task, setting) for setting in new])
    stated = ", ".join(_stated(setting) for setting in new)
    return [f"{task.path}: {stated}", *_told_of_common(task, new)]


def _change(task: Task, setting: Setting) -> Change:
    own = vars(task.module).get(setting.name)
    found = own if setting.key is None else (own or {}).get(setting.key)
    return Change(setting.name, setting.key, found, setting.value)


def _stated(setting: Setting) -> str:
    value = text_of(setting.value)
    if setting.key is None:
        return f"{setting.name} = {value}"
    return f"{setting.name}[{setting.key!r}] = {value}"


def _told_of_common(task: Task, settings: Sequence[Setting]) -> Iterator[str]:
    """Tell of what psy-conf.py sets for all tasks."""
    common = [each.label for each in settings if _is_common(task, each)]
    if common and task.conf_path is not None:
        stay = "stays as it is" if len(common) == 1 else "stay as they are"
        yield f"{task.conf_path}: {', '.join(common)} {stay} for other tasks"


def _is_common(task: Task, setting: Setting) -> bool:
    own = vars(task.module)
    if setting.key is not None:
        is_own = setting.key in (own.get(setting.name) or {})
        return not is_own and setting.now is not None
    return setting.name not in own and setting.now != getattr(Config, setting.name)
