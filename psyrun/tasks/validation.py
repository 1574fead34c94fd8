"""What values the special variables of a task file may have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun.errors import PsyrunError, TaskError, did_you_mean, one_line
from psyrun.tasks.config import SPECIAL, Config, Setting
from psyrun.tasks.values import NotAllowedError

if TYPE_CHECKING:
    from psyrun.pspace import ParameterSpace


_LONGEST_VALUE = 60  # characters of a value in a message
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def validated(name: str, setting: Setting) -> Any:
    """Return a special variable's value in the form that `Config` has it.

    A class is replaced by an instance, a text by a path. Raises `TaskError` if the
    value is not allowed.
    """
    try:
        return SPECIAL[name].read(setting.value)
    except NotAllowedError as error:
        raise TaskError(
            f"{setting.where}: {name} is {short_repr(setting.value)}; "
            f"it must be {error}."
        ) from None
    except PsyrunError as error:
        raise TaskError(f"{setting.where}: {name}: {error}") from error


def is_allowed(name: str, value: Any) -> bool:
    """Whether `validated` would take a value of a special variable."""
    try:
        validated(name, Setting(value, ""))
    except TaskError:
        return False
    return True


def check_places(
    name: str, path: Path, settings: Mapping[str, Setting], values: Mapping[str, Any]
) -> None:
    """Refuse files where folders are needed, and a folder instead of a result.

    `settings` tells who set which special variable; `values` has `resultfile`.
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


def short_repr(value: Any) -> str:
    """Return a value as messages show it: its repr if that is short, else its type."""
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


def check_space(space: ParameterSpace, where: str) -> None:
    """Refuse a space, set in a file `where`, without assignments."""
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


def check_description(
    values: Mapping[str, Any], settings: Mapping[str, Setting]
) -> None:
    """Refuse axes of results that have the name of a parameter, or are never named."""
    dims = values.get("dims", {})
    named = dict.fromkeys(name for names in dims.values() for name in names)
    for name in named:
        if name in values["pspace"].keys():  # noqa: SIM118
            raise TaskError(
                f"{settings['dims'].where}: dims names an axis {name!r}, which is a "
                "parameter. Choose another name."
            )
    for name in values.get("coords", {}):
        if name not in named:
            raise TaskError(
                f"{settings['coords'].where}: coords has {name!r}, but dims names no "
                f"such axis.{did_you_mean(name, named)} Add it to dims, or remove it."
            )


def check_known_as(values: Mapping[str, Any], settings: Mapping[str, Setting]) -> None:
    """Refuse tolerances and defaults for what is no parameter, or has no numbers."""
    from psyrun.pspace.tolerance import has_numbers

    space = values["pspace"]
    keys = space.keys()
    for name in ("match", "defaults"):
        for key in values.get(name, {}):
            if key not in keys:
                raise TaskError(
                    f"{settings[name].where}: {name} has {key!r}, which is not a "
                    f"parameter of pspace.{did_you_mean(key, keys)} It may have "
                    f"{', '.join(map(repr, keys))}."
                )
    for key in values.get("match", {}):
        if not has_numbers(space, key):
            raise TaskError(
                f"{settings['match'].where}: match has {key!r}, whose values in pspace "
                "are no numbers. Remove it."
            )


def check_setup(
    setup: Callable[..., Any] | None, settings: Mapping[str, Setting]
) -> None:
    """Refuse a `setup` that cannot be called with the number of a process."""
    if setup is None:
        return
    if kind := _kind_without_result(setup):
        raise TaskError(
            f"{settings['setup'].where}: setup is {kind}, so that a call does nothing. "
            "Define it as a plain function."
        )
    signature = _signature(setup)
    if signature is None:
        return
    try:
        signature.bind(0)
    except TypeError:
        raise TaskError(
            f"{settings['setup'].where}: setup{_text(signature)} cannot be called "
            "with one argument, the number of the process. Define it as "
            "'def setup(proc_id):'."
        ) from None


def _kind_without_result(function: Callable[..., Any]) -> str:
    """Return what a function is whose calls do not run it; empty for others."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "an asynchronous function"
    return "a generator" if inspect.isgeneratorfunction(function) else ""


def check_execute(
    execute: Callable[..., Any],
    space: ParameterSpace,
    setup: Callable[..., Any] | None,
    settings: Mapping[str, Setting],
) -> None:
    """Refuse an `execute` whose arguments are not those of the space.

    `setup` may supply further arguments, and replicates random numbers. A function
    whose signature is unknown is taken.
    """
    from psyrun.tasks.replicated import given_by_replicates

    where, keys = settings["execute"].where, list(space.keys())
    if kind := _kind_without_result(execute):
        raise TaskError(
            f"{where}: execute is {kind}, so that a call returns no results. Define it "
            "as a plain function that returns a dictionary."
        )
    given = given_by_replicates(execute, space, settings)
    signature = _signature(execute)
    if signature is None:
        return
    keys = [key for key in keys if key not in given]
    for key in keys:
        if not _takes(signature, key):
            raise TaskError(
                f"{where}: execute{_text(signature)} does not take {key!r}, which "
                "is a parameter of pspace. Add it to execute, or remove it from pspace."
            )
    for name in [] if setup else _needed(signature):
        if name not in {*keys, *given}:
            raise TaskError(
                f"{where}: execute{_text(signature)} needs {name!r}, which is not "
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


def _text(signature: inspect.Signature) -> str:
    return " ".join(str(signature).split())
