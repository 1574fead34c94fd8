"""The special variables of a task file, each declared once."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from psyrun.backend import Backend, DistributeBackend
from psyrun.backend.orders import ORDERS, SPACE
from psyrun.scheduler import ImmediateRun, Scheduler
from psyrun.tasks import values
from psyrun.utils.process.threads import AUTO
from psyrun.utils.text import sentence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from psyrun.pspace import ParameterSpace
    from psyrun.store import Store

FORMER_SPELLING = "schedular_args"
"""Is taken as ``scheduler_args``, with a warning."""


PLACES = ("auto", "local", "queue")
"""Where split and merge of a task in a queue may be done."""


class Special(NamedTuple):
    """What there is to know of a special variable beside its default.

    Attributes
    ----------
    read : callable
        Takes what the task file says, and returns the value that `Config` has.
        Raises `psyrun.tasks.values.NotAllowedError`.
    allowed : str
        What it may be, in a few words.
    meaning : str
        What it is for; a phrase without a full stop.
    default : str
        The default in words; None where ``repr`` of the value will do.
    makes_rows : bool
        Whether rows depend on it, so that a change makes them outdated. All others
        only say how to run the task.
    divides : bool
        Whether a change divides anew what is missing among jobs.
    """

    read: Callable[[Any], Any]
    allowed: str
    meaning: str
    default: str | None = None
    makes_rows: bool = False
    divides: bool = False


def special(
    read: Callable[[Any], Any],
    allowed: str,
    meaning: str,
    *,
    value: Any = MISSING,
    factory: Any = MISSING,
    default: str | None = None,
    makes_rows: bool = False,
    divides: bool = False,
) -> Any:
    """Declare a special variable; its default is a value or comes from a factory."""
    known = Special(read, allowed, meaning, default, makes_rows, divides)
    if factory is not MISSING:
        return field(default_factory=factory, metadata={"special": known})
    return field(default=value, metadata={"special": known})


def _pickle_store() -> Store:
    from psyrun.store import PickleStore

    return PickleStore()


@dataclass(frozen=True, kw_only=True, eq=False)
class Config:
    """The special variables of a task file.

    Only `pspace` and `execute` must be set. Paths are relative to the folder
    in which ``psy`` runs; a ``~`` in front is the home folder.
    """

    # To add one, declare it here and use it: the checks, `psy help task-file`, the
    # reference (tests/tasks/test_config.py) and the fingerprints follow from this.
    pspace: ParameterSpace = special(
        values.space,
        "parameter space",
        "the assignments to evaluate, such as `Param(x=[1, 2, 3])`",
        makes_rows=True,
    )
    execute: Callable[..., Mapping[str, Any]] = special(
        values.function,
        "function",
        "evaluates one assignment: takes its parameters as keyword arguments, "
        "returns a dictionary of results; not called with those that an assignment "
        "lacks if it has a default",
        makes_rows=True,
    )
    setup: Callable[[int], Mapping[str, Any]] | None = special(
        values.optional(values.function),
        "function",
        "called once in each worker process as `setup(proc_id)`, with numbers from "
        "0 to `pool_size - 1`; returns a dictionary of further arguments for "
        "`execute`",
        default="none",
        makes_rows=True,
        value=None,
    )
    store: Store = special(
        values.store,
        "store, its class, or a file extension",
        "the data store that results are written with; if only `resultfile` is "
        "set, its extension decides",
        default="PickleStore()",
        factory=_pickle_store,
    )
    resultfile: Path | None = special(
        values.optional(values.path),
        "path",
        "where the results are written to",
        default="<workdir>/<task>/result<ext>",
        value=None,
    )
    workdir: Path = special(
        values.path,
        "path",
        "folder for all other files; each task has a folder of its own in it",
        default="psy-work",
        value=Path("psy-work"),
    )
    max_jobs: int | None = special(
        values.limit(at_least=1),
        "integer, at least 1, or `None`",
        "most process jobs; `None` for any number",
        divides=True,
        value=100,
    )
    min_items: int = special(
        values.integer(at_least=1),
        "integer, at least 1",
        "fewest assignments that a process job gets, if all get equally many",
        divides=True,
        value=1,
    )
    pool_size: int = special(
        values.integer(at_least=1),
        "integer, at least 1",
        "worker processes in each process job",
        value=1,
    )
    threads: int | Literal["auto"] | None = special(
        values.threads,
        "integer, at least 1, `'auto'` or `None`",
        "threads that libraries such as OpenBLAS have in each worker process; "
        "`'auto'` for its share of the cores, `None` for as many as they would have",
        value=AUTO,
    )
    backend: Backend = special(
        values.backend,
        "backend or its class",
        "how assignments are shared out among jobs",
        default="DistributeBackend",
        divides=True,
        factory=DistributeBackend,
    )
    order: str = special(
        values.choice(*ORDERS),
        "`'space'`, `'even'` or `'random'`",
        "in which order assignments are evaluated; the result is always in the order "
        "of the space",
        divides=True,
        value=SPACE,
    )
    predict_times: bool = special(
        values.flag,
        "`True` or `False`",
        "whether jobs get assignments that are predicted to take equally long, once "
        "some have been evaluated, rather than equally many, or fetch the slowest "
        "first",
        divides=True,
        value=True,
    )
    scheduler: Scheduler = special(
        values.scheduler,
        "scheduler, its class, or its name",
        "what jobs are submitted to: this machine, or a queue such as `Slurm()`",
        default="ImmediateRun()",
        factory=ImmediateRun,
    )
    scheduler_args: Mapping[str, Any] = special(
        values.arguments,
        "dictionary",
        "arguments for the scheduler, such as a time limit; a function is called "
        "with the name of a job and returns the value for it; joined with those of "
        "`psy-conf.py`",
        default="{}",
        factory=dict,
    )
    exclude_from_result: tuple[str, ...] = special(
        values.names,
        "list of names",
        "parameters and results that are left out of the result",
        default="[]",
        makes_rows=True,
        value=(),
    )
    dims: Mapping[str, tuple[str, ...]] = special(
        values.dimensions,
        "dictionary of names",
        "for results that are arrays the names of their axes, such as "
        '`{"wave": ("t",)}`',
        default="{}",
        factory=dict,
    )
    coords: Mapping[str, NDArray[Any]] = special(
        values.coordinates,
        "dictionary of sequences",
        'for these axes the values along them, such as `{"t": [0.0, 0.1, 0.2]}`',
        default="{}",
        factory=dict,
    )
    attrs: Mapping[str, Mapping[str, Any]] = special(
        values.attributes,
        "dictionary of dictionaries",
        "for parameters, results and axes what is to be known of them, such as "
        '`{"wave": {"units": "mV"}}`',
        default="{}",
        factory=dict,
    )
    match: Mapping[str, float] = special(
        values.tolerances,
        "dictionary of numbers",
        "for parameters the largest difference, absolute or relative, of numbers that "
        'are the same when rows are taken over, such as `{"beta": 1e-9}`',
        default="{}",
        factory=dict,
    )
    defaults: Mapping[str, Any] = special(
        values.former_values,
        "dictionary",
        "for new parameters what `execute` used before they were any, so that rows of "
        'before are taken over, such as `{"sigma": 1.0}`',
        default="{}",
        factory=dict,
    )
    python: str = special(
        values.command,
        "path or command",
        "the Python that jobs run with; psyrun must be installed in it",
        default="the Python that runs `psy`",
        value=sys.executable,
    )
    file_dep: tuple[Path, ...] = special(
        values.paths,
        "list of paths",
        "files and folders on whose content the results depend",
        default="[]",
        value=(),
    )
    max_failures: int | None = special(
        values.optional(values.integer(at_least=0)),
        "integer, at least 0, or `None`",
        "how many assignments may fail before the run is stopped; jobs "
        "that begin later evaluate nothing",
        value=None,
    )
    timeout: float | None = special(
        values.optional(values.duration),
        "time such as `'10m'`, number of seconds, or `None`",
        "how long one evaluation may take; one that takes longer is ended, and the "
        "assignment has failed",
        value=None,
    )
    retries: int = special(
        values.integer(at_least=0),
        "integer, at least 0",
        "how often a job in a queue is submitted again if it used up its memory or "
        "time, with twice as much of it, or if its machine failed; on this machine how "
        "often an assignment is evaluated again whose process was killed, as it is "
        "when memory runs out",
        value=0,
    )
    rate: float | None = special(
        values.optional(values.number(at_least=0)),
        "number, at least 0, or `None`",
        "price of a core-hour, such as `0.04`, from which `psy plan` works out what a "
        "sweep costs",
        value=None,
    )
    split_and_merge: str | None = special(
        values.optional(values.choice(*PLACES)),
        "`'auto'`, `'local'` or `'queue'`",
        "for tasks in a queue, whether split and merge are done where `psy run` runs "
        "(`'local'`), in jobs of their own (`'queue'`), or locally if they are small",
        default="what the profile says, else `'auto'`",
        value=None,
    )
    keep_blocks: bool = special(
        values.flag,
        "`True` or `False`",
        "whether the files with the rows of each process job are kept once these are "
        "in the result, which doubles the space on disk",
        value=False,
    )
    overwrite_dirty: bool = special(
        values.flag,
        "`True` or `False`",
        "whether results of an earlier version of the task may be replaced; if "
        "not, `psy run` refuses and says so",
        value=True,
    )


class Setting(NamedTuple):
    """A value of a special variable, and who set it.

    Attributes
    ----------
    value : object
        The value as it was written.
    where : str
        File, or ``'command line'``, for messages.
    """

    value: Any
    where: str


SPECIAL: dict[str, Special] = {
    each.name: each.metadata["special"] for each in fields(Config)
}
"""All special variables, in the order in which the reference lists them."""
SPECIAL_NAMES = frozenset(SPECIAL)
DIVIDING = tuple(sorted(name for name, each in SPECIAL.items() if each.divides))
"""Those of which a change divides anew what is missing."""


def default_of(name: str) -> str | None:
    """Return the default of a special variable in words; None if it must be set."""
    (default,) = (each.default for each in fields(Config) if each.name == name)
    said = SPECIAL[name].default
    return said or (None if default is MISSING else repr(default))


def _attributes() -> str:
    """Return the special variables as a docstring lists attributes."""
    lines = ["Attributes", "----------"]
    for name, special in SPECIAL.items():
        default = default_of(name)
        after = "required" if default is None else f"default {default}"
        meaning = sentence(special.meaning)
        lines.append(f"{name} : {special.allowed}; {after}")
        lines.append(
            textwrap.fill(
                meaning,
                79,
                initial_indent="    ",
                subsequent_indent="    ",
                break_on_hyphens=False,
                break_long_words=False,
            )
        )
    return "\n".join(lines)


Config.__doc__ = f"{inspect.getdoc(Config)}\n\n{_attributes()}\n"
