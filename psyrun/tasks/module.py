"""Running a task file as a module."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, ModuleType, TracebackType

from psyrun.errors import PsyrunError, TaskError, one_line
from psyrun.tasks import paths
from psyrun.utils.files import read_bytes
from psyrun.utils.process.state import guarded, outliving_exit


def run_file(path: Path, module_name: str) -> tuple[ModuleType, list[ast.stmt]]:
    """Run a file as a fresh module; return it and its statements.

    The module replaces any former one in ``sys.modules``, so that its classes
    and functions can be pickled, and loaded wherever the file was run under
    the same name. No compiled copy is written or read. The current folder, the
    standard streams and the like are as before then, see
    `psyrun.utils.process.state`.

    Raises `TaskError` where the file cannot be read, is not Python, or raised an
    exception, which is the cause of this one.
    """
    source = _read(path)
    tree, code = _compile(source, path)

    def run() -> ModuleType:
        module = sys.modules[module_name] = _new_module(path, module_name)
        with guarded(module_name), outliving_exit():
            exec(code, module.__dict__)
        return module

    try:
        with _interruptions() as interruptions:
            module = paths.call(run, path.parent.absolute(), _warn(path))
    # A task file that calls sys.exit is a mistake like any other.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and interruptions:
            raise
        sys.modules.pop(module_name, None)
        raise _raised(path, error) from error
    return module, tree.body


@contextmanager
def _interruptions() -> Iterator[list[int]]:
    """Yield a list that has an entry after Ctrl-C, which a file could raise itself."""
    found: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield [signal.SIGINT]
        return

    def note(number: int, frame: FrameType | None) -> None:
        found.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield found
    finally:
        # The file may have set a handler of its own.
        if signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _warn(path: Path) -> Callable[[str], None]:
    def warn(hint: str) -> None:
        warnings.warn(f"{path}: {hint}", UserWarning, stacklevel=5)

    return warn


def check_syntax(path: Path) -> None:
    """Refuse a file that is not Python, without running it and without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _compile(_read(path), path)


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        cause = error.strerror or "it is a named pipe"
        raise TaskError(
            f"{path}: cannot be read: {cause}. See the tasks there are with 'psy list'."
        ) from error


def _compile(source: bytes, path: Path) -> tuple[ast.Module, CodeType]:
    try:
        tree = ast.parse(source, path.name)
        return tree, compile(source, str(path.absolute()), "exec", dont_inherit=True)
    except SyntaxError as error:
        place = f"{path}:{error.lineno or 1}"
        raise TaskError(f"{place}: {error.msg}. Correct the syntax there.") from error
    except ValueError as error:
        raise TaskError(f"{path}: {error}. Save it as a text file.") from error
    except (MemoryError, RecursionError) as error:
        raise TaskError(
            f"{path}: is nested too deeply for Python. Write shorter expressions."
        ) from error


def _new_module(path: Path, module_name: str) -> ModuleType:
    file = str(path.absolute())
    loader = importlib.machinery.SourceFileLoader(module_name, file)
    spec = importlib.util.spec_from_file_location(module_name, file, loader=loader)
    if spec is None:
        raise TaskError(f"{path}: cannot be run as a module. Its name must end in .py.")
    return importlib.util.module_from_spec(spec)


def _raised(path: Path, error: BaseException) -> TaskError:
    place = f"{path}:{_last_line(path, error.__traceback__)}"
    if isinstance(error, PsyrunError):
        return TaskError(f"{place}: {error}")
    return TaskError(
        f"{place}: raised {one_line(error)} while it was loaded. Correct it there; "
        "--debug shows the traceback."
    )


def _last_line(path: Path, traceback: TracebackType | None) -> int:
    """Return the innermost line of the file itself that the error came through."""
    file, line = str(path.absolute()), 1
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == file:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
