"""Task files, run and checked.

The value of a special variable (see `Config`) is the last one of this table
that is there:

====  ============  =======================================================
rank  set by        how
====  ============  =======================================================
1     default       what `Config` says
2     psy-conf.py   variable of that file in the folder of the task files
3     task file     variable of ``task_<name>.py``
4     command line  argument of ``psy``
====  ============  =======================================================

The entries of `scheduler_args` are joined, so that psy-conf.py can say what all
tasks need on a cluster, such as an account; those of the task file win.

Variables of psy-conf.py cannot be seen in a task file. Both files run with
the folder of the task files and the current folder first on ``sys.path``.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from psyrun.errors import PsyrunError, SchedulerError, TaskError, did_you_mean
from psyrun.scheduler import ImmediateRun
from psyrun.scheduler.options import joined
from psyrun.tasks.config import FORMER_SPELLING, SPECIAL_NAMES, Config, Setting
from psyrun.tasks.discovery import task_name
from psyrun.tasks.fingerprint.names import names_of
from psyrun.tasks.import_path import add_to_import_path, separate_imports
from psyrun.tasks.module import run_file
from psyrun.tasks.paths import resolved
from psyrun.tasks.spelling import COMMON_WORDS, check_arguments, check_spelling
from psyrun.tasks.validation import (
    check_description,
    check_execute,
    check_known_as,
    check_places,
    check_setup,
    check_space,
    short_repr,
    validated,
)

if TYPE_CHECKING:
    from psyrun.pspace.tolerance import KnownAs

CONF_NAME = "psy-conf.py"
"""File with values for all tasks of a folder."""

_ARGUMENTS = "scheduler_args"
# What describes results, and what values of such dictionaries are then.
_DESCRIBING: dict[str, tuple[type, ...]] = {
    "dims": (str, list, tuple),
    "coords": (object,),
    "attrs": (Mapping,),
}
_OF_PARAMETERS = ("match", "defaults")
"""Dictionaries by the names of parameters."""
_REQUIRED = {
    "pspace": "'pspace = Param(x=[1, 2, 3])'",
    "execute": "a function 'def execute(x): return {'y': x**2}'",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Task(Config):
    """A task file that has been run and checked.

    It has the attributes of `Config`, and these.

    Attributes
    ----------
    name : str
        Name of the task.
    path : Path
        The task file.
    taskdir : Path
        Folder of the task file.
    conf_path : Path or None
        The ``psy-conf.py`` of that folder, if there is one.
    module : ModuleType
        The module that the task file made.
    resultfile : Path
        Where the results are written to.
    argument_sources : tuple of dict
        What `scheduler_args` was joined from, for a scheduler that is only known
        later: that of psy-conf.py, then that of the task file.
    """

    name: str
    path: Path
    taskdir: Path
    conf_path: Path | None
    module: ModuleType
    resultfile: Path
    argument_sources: tuple[Mapping[str, Any], ...]

    @property
    def known_as(self) -> KnownAs:
        """By which rows assignments are known, as `match` and `defaults` say."""
        from psyrun.pspace.tolerance import KnownAs

        return KnownAs(self.match, self.defaults)


def load_task(
    path: Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    with_space: bool = True,
) -> Task:
    """Run a task file and check it.

    The module that it makes is called ``task_<name>``. `overrides` are the special
    variables that the command line sets. Whether the space is empty may take a pass
    over it; `with_space` set to False spares that.

    Raises `TaskError` where the file cannot be run, or a special variable is missing,
    misspelt or has a value that is not allowed.
    """
    path = Path(path)
    name = task_name(path)
    add_to_import_path(path.parent)
    conf_path = common_file(path.parent)
    conf: dict[str, Setting] = {}
    if conf_path is not None:
        _, _, conf = _settings(conf_path, "psy-conf")
    module, statements, own = _settings(path, f"task_{name.replace('.', '_')}")
    separate_imports()
    given = _overriding(overrides or {})
    settings = conf | own | given
    values = _values(name, path, settings, with_space)
    sources = _argument_sources(*([given] if _ARGUMENTS in given else [conf, own]))
    scheduler = values.get("scheduler", ImmediateRun())
    values[_ARGUMENTS] = joined(scheduler.OPTIONS, *sources)
    _check_arguments(name, settings, values)
    check_arguments(
        statements,
        module.__dict__,
        str(path),
        options=scheduler.OPTIONS or {},
        given=values[_ARGUMENTS],
    )
    return Task(
        name=name,
        path=path,
        taskdir=path.parent,
        conf_path=conf_path,
        module=module,
        argument_sources=sources,
        **values,
    )


def common_file(taskdir: Path) -> Path | None:
    """Return the file of what the tasks of a folder have in common, None without one.

    Raises `TaskError` if something of that name is no file: its tasks would have other
    settings than they should have.
    """
    path = taskdir / CONF_NAME
    if path.is_file():
        return path
    if path.is_symlink() and not path.exists():
        raise TaskError(
            f"{path}: is a link to {str(path.readlink())!r}, which is not there. Mend "
            "the link, or remove it."
        )
    if path.exists():
        raise TaskError(f"{path}: is no file. Rename it, or put a file there.")
    return None


def _settings(
    path: Path, module_name: str
) -> tuple[ModuleType, list[ast.stmt], dict[str, Setting]]:
    """Run a file and return its statements, and the special variables that it sets."""
    module, statements = run_file(path, module_name)
    namespace = module.__dict__
    _take_old_spelling(namespace, path)
    check_spelling(statements, namespace, str(path))
    read = COMMON_WORDS & names_of(statements).used
    settings = {
        name: Setting(namespace[name], str(path))
        for name in (SPECIAL_NAMES & namespace.keys()) - read
        # "from psyrun import store" imports a module; no variable can be one.
        if not isinstance(namespace[name], ModuleType)
    }
    return module, statements, settings


def _take_old_spelling(namespace: dict[str, Any], path: Path) -> None:
    if FORMER_SPELLING not in namespace:
        return
    if "scheduler_args" in namespace:
        raise TaskError(
            f"{path}: both scheduler_args and schedular_args are set. Keep only "
            "scheduler_args."
        )
    message = f"{path}: schedular_args is taken as scheduler_args. Rename it."
    warnings.warn(message, UserWarning, stacklevel=4)
    namespace["scheduler_args"] = namespace.pop(FORMER_SPELLING)


def _argument_sources(
    *places: Mapping[str, Setting],
) -> tuple[Mapping[str, Any], ...]:
    """Return the scheduler's arguments of each place that gives some."""
    given = [place[_ARGUMENTS] for place in places if _ARGUMENTS in place]
    return tuple(validated(_ARGUMENTS, setting) for setting in given)


def _overriding(overrides: Mapping[str, Any]) -> dict[str, Setting]:
    for name in overrides:
        if name not in SPECIAL_NAMES:
            raise TaskError(
                f"command line: unknown name {name!r}."
                f"{did_you_mean(name, SPECIAL_NAMES)} The names are "
                f"{', '.join(sorted(SPECIAL_NAMES))}."
            )
    return {name: Setting(value, "command line") for name, value in overrides.items()}


def _values(
    name: str, path: Path, settings: Mapping[str, Setting], with_space: bool
) -> dict[str, Any]:
    """Return the values of all special variables that have one."""
    from psyrun.tasks.replicated import check_repeated

    for required, example in _REQUIRED.items():
        if required not in settings:
            raise TaskError(
                f"{path}: {required} is not set. Add it, for example {example}."
            )
    settings = _without_own_variables(settings)
    values = {name: validated(name, settings[name]) for name in sorted(settings)}
    values |= _store_and_result(name, settings, values)
    if "file_dep" in values:
        deps = (resolved(each, path.parent) for each in values["file_dep"])
        values["file_dep"] = tuple(deps)
    check_places(name, path, settings, values)
    if with_space:
        check_space(values["pspace"], settings["pspace"].where)
    check_description(values, settings)
    check_known_as(values, settings)
    check_setup(values.get("setup"), settings)
    check_execute(values["execute"], values["pspace"], values.get("setup"), settings)
    if with_space:
        check_repeated(values["execute"], values["pspace"], settings)
    return values


def _without_own_variables(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """Leave out what older task files use for something else, and warn of it."""
    found = dict(settings)
    for name in (*_DESCRIBING, *_OF_PARAMETERS):
        if name in settings and (problem := _why_own(name, settings)):
            del found[name]
            where = settings[name].where
            message = (
                f"{where}: {name} {problem}; it is taken for a variable of your own."
            )
            warnings.warn(message, UserWarning, stacklevel=5)
    return found


def _why_own(name: str, settings: Mapping[str, Setting]) -> str:
    """Return why a variable is none of psyrun's; empty if it is."""
    from psyrun.pspace import ParameterSpace

    value = settings[name].value
    if name in _OF_PARAMETERS:
        space = settings["pspace"].value
        known = space.keys() if isinstance(space, ParameterSpace) else []
        return _why_of_no_parameters(name, value, known)
    if not _may_describe(value, _DESCRIBING[name]):
        return f"is {short_repr(value)}, which describes no results"
    if name == "coords" and "dims" not in settings:
        return "is set, but dims is not"
    return ""


def _why_of_no_parameters(name: str, value: Any, known: Collection[str]) -> str:
    if not isinstance(value, Mapping):
        return f"is {short_repr(value)}, which is no dictionary of parameters"
    is_close = any(
        key in known or (isinstance(key, str) and did_you_mean(key, known))
        for key in value
    )
    return "" if is_close or not value else "names no parameter of pspace"


def _may_describe(value: Any, kinds: tuple[type, ...]) -> bool:
    if not isinstance(value, Mapping):
        return False
    return not value or any(isinstance(each, kinds) for each in value.values())


def _store_and_result(
    name: str, settings: Mapping[str, Setting], values: Mapping[str, Any]
) -> dict[str, Any]:
    from psyrun.store import AutodetectStore, PickleStore
    from psyrun.store.registry import store_for

    store, resultfile = values.get("store"), values.get("resultfile")
    if store is None or isinstance(store, AutodetectStore):
        try:
            store = PickleStore() if resultfile is None else store_for(resultfile)
        except PsyrunError as error:
            raise TaskError(f"{settings['resultfile'].where}: {error}") from error
    if resultfile is None:
        workdir = values.get("workdir", Config.workdir)
        resultfile = workdir / name / f"result{store.ext}"
    if resultfile.suffix != store.ext:
        raise TaskError(
            f"{settings['resultfile'].where}: resultfile is {str(resultfile)!r}, but "
            f"store is {type(store).__name__}, which writes {store.ext!r} files. Give "
            "the result that extension, or choose the store for the other."
        )
    return {"store": store, "resultfile": resultfile}


def _check_arguments(
    name: str, settings: Mapping[str, Setting], values: Mapping[str, Any]
) -> None:
    if "scheduler" not in values:
        return
    where = settings.get(_ARGUMENTS, settings["scheduler"]).where
    try:
        values["scheduler"].validate(values[_ARGUMENTS], f"{name}:split")
    except SchedulerError as error:
        raise TaskError(f"{where}: {error}") from error
