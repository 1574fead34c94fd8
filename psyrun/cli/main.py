"""The command ``psy``: arguments in, exit status out.

Nothing is imported here, nor by ``psy --help``, that takes a noticeable time;
the module of a verb is imported when the verb was asked for.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from psyrun.cli import (
    CALLING,
    HERE,
    MAKING,
    SUMMARIES,
    WITHOUT_TASKDIR,
    module_of,
)
from psyrun.errors import PsyrunError, did_you_mean, one_line, refusal_of
from psyrun.tasks.project import (
    TASKDIR,
    enter,
    is_of_task_files,
    project_above,
    seen_from,
)
from psyrun.utils import __version__
from psyrun.utils.console import report_error, warn
from psyrun.utils.process.interpreter import own_fault
from psyrun.utils.streams import (
    close_standard_output,
    keep_own_rights,
    open_standard_streams,
    print_anything,
    receive_signals,
)
from psyrun.utils.text import sentence

_EPILOG = """\
Arguments of a command: 'psy COMMAND --help'. Task files: 'psy help task-file'.

exit status: 0 done; 1 some assignment or job failed; 2 you must change
something; 130 interrupted
"""

_OWN_FAULT = 1
_PIPE_CLOSED = 141  # 128 and the number of SIGPIPE, as shells have it


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are single lines."""

    def error(self, message: str) -> NoReturn:
        """Raise a `PsyrunError`."""
        verb = self.prog.partition(" ")[2]
        where = f"{verb}: " if verb else ""
        raise PsyrunError(f"{where}{message}. See '{self.prog} --help'.")


def parser_for(verb: str | None) -> tuple[Parser, Parser]:
    """Return the parser of ``psy``, in which one verb knows its arguments.

    Returns
    -------
    whole, part : Parser
        That of ``psy``, and that of the verb; the former again without verb.
    """
    whole = Parser(
        prog="psy",
        description="Evaluate functions over large spaces of parameters.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"psyrun {__version__}")
    _add_debug(whole, default=False)
    verbs = whole.add_subparsers(title="commands", dest="verb", metavar="COMMAND")
    parts = {
        name: verbs.add_parser(
            name, help=summary, description=sentence(summary), allow_abbrev=False
        )
        for name, summary in SUMMARIES.items()
    }
    if verb is None:
        return whole, whole
    _add_debug(parts[verb], default=argparse.SUPPRESS)
    if verb not in WITHOUT_TASKDIR:
        _add_taskdir(parts[verb])
    import_module(module_of(verb)).add_arguments(parts[verb])
    return whole, parts[verb]


def _add_debug(parser: Parser, default: object) -> None:
    parser.add_argument(
        "--debug",
        action="store_true",
        default=default,
        help="show the traceback of an error",
    )


def _add_taskdir(parser: Parser) -> None:
    parser.add_argument(
        "--taskdir",
        type=Path,
        help=f"folder of the task files (default: {TASKDIR}, here or above)",
    )


def program() -> NoReturn:
    """Run ``psy`` as a program, which no thread of a task file keeps from ending."""
    receive_signals()
    keep_own_rights()
    status = _main_of_process()
    if "psyrun.tasks.loading" in sys.modules:
        # Meanwhile, psyrun may have been removed, which was told of.
        with suppress(ImportError):
            from psyrun.utils.process import offspring
            from psyrun.utils.process.ending import leave

            # A run that is detached goes on.
            leave(status, ends_offspring=offspring.is_outlived)
    sys.exit(status)


def _main_of_process() -> int:
    """Run ``psy``; what may end with the user's code is done in a copy of this process.

    Only the copy imports task files.
    """
    if _verb(sys.argv[1:]) not in CALLING:
        return main()
    from psyrun.utils.process.watched import watched

    open_standard_streams()
    return watched(main)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``psy`` and return its exit status, see its help."""
    open_standard_streams()
    print_anything()
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in _split(arguments)[0]
    try:
        with warnings.catch_warnings():
            warnings.formatwarning = partial(_format_warning, set())
            status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        close_standard_output()
        return _PIPE_CLOSED
    except (PsyrunError, OSError, KeyboardInterrupt) as error:
        return report_error(error, debug=debug)
    except ImportError:
        fault = own_fault()
        if debug or not fault:
            raise
        warn(fault)
        return PsyrunError.exit_status
    except Exception as error:
        if debug:
            raise
        if refusal := refusal_of(error):
            warn(refusal)
            return PsyrunError.exit_status
        warn(
            f"{one_line(error)}. This is a fault of psyrun, and nothing that was "
            "recorded is lost. Please report it to its developers, with what the same "
            "command prints with --debug."
        )
        return _OWN_FAULT
    return status


def _run(arguments: list[str]) -> int:
    verb = _verb(arguments)
    if verb is not None and verb not in SUMMARIES:
        raise PsyrunError(
            f"unknown command {verb!r}.{did_you_mean(verb, SUMMARIES)} "
            "See all commands with 'psy --help'."
        )
    parser, part = parser_for(verb)
    own, passed = _split(arguments) if verb == "run" else (arguments, [])
    args, unknown = parser.parse_known_args(own)
    if unknown:
        # Else it would be `psy` that complains, though the verb knows its options.
        part.error(f"unrecognized arguments: {' '.join(unknown)}")
    if args.verb is None:
        parser.print_help(sys.stderr)
        return 2
    args.snakemake_args = passed
    if args.verb not in WITHOUT_TASKDIR:
        _find_project(args)
    try:
        return int(import_module(module_of(args.verb)).execute(args))
    except SystemExit as error:
        # Of the user's code, for example of a store; it would pass for success.
        raise PsyrunError(
            f"the code of the project ended this command ({one_line(error)}). Raise "
            "an error there instead; --debug shows where."
        ) from error


def _verb(arguments: Sequence[str]) -> str | None:
    return next((word for word in arguments if not word.startswith("-")), None)


def _find_project(args: argparse.Namespace) -> None:
    """Go to the project if it is above the current folder, or say where it is.

    ``args.project`` is the way there for who stays here.
    """
    is_named, args.project = args.taskdir is not None, Path()
    if is_named:
        return
    args.taskdir = TASKDIR
    above = project_above()
    if above is None:
        return
    if args.verb in HERE and not (args.verb in MAKING and is_of_task_files(above)):
        args.project = above
        return
    args.snakemake_args = [seen_from(above, word) for word in args.snakemake_args]
    enter(above)
    warn(f"the project is in {above}, which paths are relative to")


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return what stands before and after ``--``."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def _format_warning(
    said: set[str],
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Return a warning as it is shown, or nothing if that has been `said`."""
    text = f"{filename}:{lineno}: {category.__name__}: {message}\n"
    if category is UserWarning:
        text = f"psy: warning: {message}\n"
    # Several parts of psyrun may find the same.
    is_new = text not in said
    said.add(text)
    return text if is_new else ""
