"""What values the special variables of a task file may have."""

from __future__ import annotations

import inspect
import operator
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun.backend import Backend
from psyrun.errors import PsyrunError, TaskError, one_line
from psyrun.scheduler import Scheduler, scheduler_class
from psyrun.tasks.config import Config, Setting

if TYPE_CHECKING:
    from psyrun.pspace import ParameterSpace
    from psyrun.store import Store


_LONGEST_VALUE = 60  # characters of a value in a message


class _NotAllowedError(Exception):
    """A value is not allowed; the text says what is."""


def checked(name: str, setting: Setting) -> Any:
    """Return a special variable's value in the form that `Config` has it.

    Parameters
    ----------
    name : str
        One of `SPECIAL_NAMES`.
    setting : Setting
        What the user wrote.

    Returns
    -------
    object
        The value; a class is replaced by an instance, a text by a path.

    Raises
    ------
    TaskError
        The value is not allowed.
    """
    try:
        return _CHECKS[name](setting.value)
    except _NotAllowedError as error:
        raise TaskError(
            f"{setting.where}: {name} is {shown(setting.value)}; it must be {error}."
        ) from None
    except PsyrunError as error:
        raise TaskError(f"{setting.where}: {name}: {error}") from error


def is_allowed(name: str, value: Any) -> bool:
    """Tell whether a special variable may have a value.

    Parameters
    ----------
    name : str
        One of `SPECIAL_NAMES`.
    value : object
        Any value.

    Returns
    -------
    bool
        True if `checked` would take it.
    """
    try:
        checked(name, Setting(value, ""))
    except TaskError:
        return False
    return True


def check_places(
    name: str, path: Path, settings: Mapping[str, Setting], values: Mapping[str, Any]
) -> None:
    """Refuse files where folders are needed, and a folder instead of a result.

    Parameters
    ----------
    name : str
        Name of the task.
    path : Path
        The task file.
    settings : mapping of str to Setting
        Who set which special variable.
    values : mapping of str to object
        Their values; `resultfile` is one of them.

    Raises
    ------
    TaskError
        Naming the variable and what is in the way.
    """
    where = {key: setting.where for key, setting in settings.items()}
    workdir, result = values.get("workdir", Config.workdir), values["resultfile"]
    in_work = f"{where.get('workdir', path)}: workdir is {str(workdir)!r}"
    of_result = f"{where.get('resultfile', path)}: resultfile is {str(result)!r}"
    _check_folder(workdir / name, in_work)
    _check_folder(result.parent, of_result)
    if result.is_dir():
        raise TaskError(
            f"{of_result}, which is a folder; it must be a file. Choose another name, "
            "or remove the folder."
        )


def shown(value: Any) -> str:
    """Return a value as a message shows it.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    str
        Its repr on one line if that is short, else its type.
    """
    try:
        text = repr(value)
    except Exception:
        text = ""
    if text.isprintable() and 0 < len(text) <= _LONGEST_VALUE:
        return text
    return f"of type {type(value).__name__}"


def _check_folder(folder: Path, what: str) -> None:
    """Refuse a folder that cannot be made, as a file stands in its place."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if there is not None and not there.is_dir():
        raise TaskError(
            f"{what}, but {str(there)!r} is not a folder. Choose another path, or "
            "remove that file."
        )


def _space(value: Any) -> ParameterSpace:
    from psyrun.pspace import ParameterSpace

    if isinstance(value, ParameterSpace):
        return value
    if isinstance(value, Mapping):
        raise _NotAllowedError(
            "a parameter space: unpack the mapping with Param(**...)"
        )
    raise _NotAllowedError("a parameter space such as Param(x=[1, 2, 3])")


def _function(value: Any) -> Callable[..., Any]:
    if callable(value):
        return value  # type: ignore[no-any-return]
    raise _NotAllowedError("a function, such as one defined by 'def'")


def _optional_function(value: Any) -> Callable[..., Any] | None:
    return None if value is None else _function(value)


def _positive(value: Any) -> int:
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise _NotAllowedError("an integer of at least 1")
    return number


def _optional_number(value: Any) -> int | None:
    try:
        return None if value is None else _not_negative(value)
    except _NotAllowedError as error:
        raise _NotAllowedError(f"{error}, or None") from None


def _not_negative(value: Any) -> int:
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise _NotAllowedError("an integer of at least 0")
    return number


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _NotAllowedError("True or False")


def _path(value: Any) -> Path:
    is_path = isinstance(value, str | os.PathLike) and str(value).isprintable()
    if not is_path or not str(value):
        raise _NotAllowedError("a path on one line, as text or pathlib.Path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        # Nobody has that name: it is that of a file, as for a shell.
        return Path(value)


def _optional_path(value: Any) -> Path | None:
    return None if value is None else _path(value)


def _python(value: Any) -> str:
    return str(_path(value))


def _names(value: Any) -> tuple[str, ...]:
    is_list = isinstance(value, list | tuple | set | frozenset)
    if is_list and all(isinstance(name, str) for name in value):
        return tuple(value) if isinstance(value, list | tuple) else tuple(sorted(value))
    raise _NotAllowedError("a list of names, such as ['a', 'b']")


def _paths(value: Any) -> tuple[Path, ...]:
    if not isinstance(value, list | tuple):
        raise _NotAllowedError("a list of paths, such as ['data.csv']")
    try:
        return tuple(map(_path, value))
    except _NotAllowedError:
        raise _NotAllowedError("a list of paths, such as ['data.csv']") from None


def _arguments(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return dict(value)
    raise _NotAllowedError(
        "a dictionary with names as keys, such as {'timelimit': '15m'}"
    )


def _backend(value: Any) -> Backend:
    allowed = "DistributeBackend or LoadBalancingBackend"
    backend: Backend = _instance(value, Backend, allowed)
    return backend


def _scheduler(value: Any) -> Scheduler:
    if isinstance(value, str):
        value = scheduler_class(value)
    allowed = "a scheduler such as ImmediateRun() or Slurm()"
    scheduler: Scheduler = _instance(value, Scheduler, allowed)
    return scheduler


def _store(value: Any) -> Store:
    from psyrun.store import Store
    from psyrun.store.registry import extensions, store_named

    if isinstance(value, str):
        return store_named(value)
    allowed = f"a store such as NpzStore(), or one of {', '.join(extensions())}"
    store: Store = _instance(value, Store, allowed)
    return store


def _instance(value: Any, base: type[Any], allowed: str) -> Any:
    """Return an instance of a class, made from the class where that was given."""
    if isinstance(value, type) and issubclass(value, base):
        missing = getattr(value, "__abstractmethods__", None)
        if missing:
            raise _NotAllowedError(
                f"a complete class; {value.__name__} lacks {', '.join(sorted(missing))}"
            )
        try:
            return value()
        except TypeError as error:
            raise _NotAllowedError(
                f"an instance, as the class needs arguments ({error})"
            ) from None
    if isinstance(value, base):
        return value
    raise _NotAllowedError(allowed)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "pspace": _space,
    "execute": _function,
    "setup": _optional_function,
    "store": _store,
    "resultfile": _optional_path,
    "workdir": _path,
    "max_jobs": _positive,
    "min_items": _positive,
    "pool_size": _positive,
    "max_failures": _optional_number,
    "retries": _not_negative,
    "backend": _backend,
    "scheduler": _scheduler,
    "scheduler_args": _arguments,
    "exclude_from_result": _names,
    "python": _python,
    "file_dep": _paths,
    "overwrite_dirty": _flag,
}


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_space(space: ParameterSpace, where: str) -> None:
    """Refuse a space without assignments.

    Parameters
    ----------
    space : ParameterSpace
        The space; a difference is worked out for this.
    where : str
        File that sets it.

    Raises
    ------
    TaskError
        The space is empty, or could not be worked out.
    """
    try:
        n_items = len(space)
    except MemoryError as error:
        raise TaskError(
            f"{where}: pspace takes more memory than there is: {error}. Make it "
            "smaller, above all the space that others are subtracted from."
        ) from error
    except Exception as error:
        text = str(error) if isinstance(error, PsyrunError) else one_line(error)
        raise TaskError(
            f"{where}: pspace could not be worked out: {text} Correct it there; "
            "--debug shows the traceback."
        ) from error
    if n_items == 0:
        raise TaskError(
            f"{where}: pspace is empty; it must have at least one assignment. Check "
            "the sequences it is made of, and what is subtracted."
        )


def check_setup(
    setup: Callable[..., Any] | None, settings: Mapping[str, Setting]
) -> None:
    """Refuse a `setup` that cannot be called with a number of a process.

    Parameters
    ----------
    setup : callable or None
        The function.
    settings : mapping of str to Setting
        Who set it.

    Raises
    ------
    TaskError
        It takes another number of arguments.
    """
    signature = None if setup is None else _signature(setup)
    if signature is None:
        return
    try:
        signature.bind(0)
    except TypeError:
        raise TaskError(
            f"{settings['setup'].where}: setup{_shown(signature)} cannot be called "
            "with one argument, the number of the process. Define it as "
            "'def setup(proc_id):'."
        ) from None


def check_execute(
    execute: Callable[..., Any],
    space: ParameterSpace,
    setup: Callable[..., Any] | None,
    settings: Mapping[str, Setting],
) -> None:
    """Refuse an `execute` whose arguments are not those of the space.

    Parameters
    ----------
    execute : callable
        The function; one whose signature is unknown is taken.
    space : ParameterSpace
        The space.
    setup : callable or None
        The function that may supply further arguments.
    settings : mapping of str to Setting
        Who set them.

    Raises
    ------
    TaskError
        `execute` does not take a parameter, or needs one that nobody has.
    """
    signature = _signature(execute)
    if signature is None:
        return
    where, keys = settings["execute"].where, list(space.keys())
    for key in keys:
        if not _takes(signature, key):
            raise TaskError(
                f"{where}: execute{_shown(signature)} does not take {key!r}, which "
                "is a parameter of pspace. Add it to execute, or remove it from pspace."
            )
    for name in [] if setup else _needed(signature):
        if name not in keys:
            raise TaskError(
                f"{where}: execute{_shown(signature)} needs {name!r}, which is not "
                "a parameter of pspace. Add it to pspace, give it a default, or "
                "return it from setup(proc_id)."
            )


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _takes(signature: inspect.Signature, key: str) -> bool:
    kinds = {p.kind for p in signature.parameters.values()}
    parameter = signature.parameters.get(key)
    by_name = parameter is not None and parameter.kind in _BY_NAME
    return by_name or inspect.Parameter.VAR_KEYWORD in kinds


def _needed(signature: inspect.Signature) -> list[str]:
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in optional
    ]


def _shown(signature: inspect.Signature) -> str:
    return " ".join(str(signature).split())
