"""The state of a task, to be looked at and followed from Python and in notebooks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, nullcontext
from html import escape
from pathlib import Path
from typing import Any, TypeVar

from psyrun.errors import PsyrunError
from psyrun.run.status import TaskStatus, status_of
from psyrun.tasks.discovery import select
from psyrun.tasks.project import TASKDIR, project_above
from psyrun.utils.files import Filename
from psyrun.utils.progress import Bar, Lines, Rate, has_bar, speed
from psyrun.utils.text import counted, duration

_T = TypeVar("_T")
_LOOKS = 0.1  # of the time, at most, goes into looking at files
_BAR = "width: 100%; max-width: 30em; display: block"


class Run:
    """The run of a task, as far as its files tell.

    It reads what the jobs have written each time it is asked. So it shows runs of
    other processes and machines, and those that were there before this Python. In a
    notebook it is shown with a progress bar.

    Parameters
    ----------
    task : str
        Name of the task.
    taskdir : str or path-like, optional
        Folder of the task files. By default ``psy-tasks`` in the current folder or in
        the closest one above that has it. Later changes of the current folder do not
        matter.

    Attributes
    ----------
    name : str
        Name of the task.

    Raises
    ------
    PsyrunError
        If there is no such task.

    Examples
    --------
    >>> run = psyrun.Run("decay")  # doctest: +SKIP
    >>> run.watch()  # until it has ended  # doctest: +SKIP
    """

    def __init__(self, task: str, *, taskdir: Filename | None = None) -> None:
        root = (project_above() if taskdir is None else None) or Path()
        folder = TASKDIR if taskdir is None else Path(taskdir)
        self.name = task
        self._root = root.absolute()
        self._path = Path()
        self._path = self._in_project(lambda: select(folder, [task])[task])

    @property
    def state(self) -> str:
        """What ``psy status`` calls it, such as ``running`` or ``done``."""
        return self._status().state

    @property
    def n_assignments(self) -> int:
        """Number of assignments of the space; 0 if that is not known yet."""
        return _counts(self._status())[2]

    @property
    def n_done(self) -> int:
        """Number of assignments that have a row."""
        return _counts(self._status())[0]

    @property
    def n_failed(self) -> int:
        """Number of assignments that failed last, and have no row."""
        return _counts(self._status())[1]

    def __repr__(self) -> str:
        return f"<Run {_in_words(self._status())}>"

    def _repr_html_(self) -> str:
        return _as_html(self._status())

    def watch(self, *, interval: float = 1.0) -> None:
        """Show how far the run is, until nobody runs the task any more.

        To interrupt that does not stop the run.

        Parameters
        ----------
        interval : float, default 1
            Seconds between two looks at least. If looking takes long, they are more.

        Raises
        ------
        PsyrunError
            If `interval` is not above 0.
        """
        if not interval > 0:
            raise PsyrunError(f"watch: interval is {interval!r}; give seconds above 0.")
        view = _View.suited()
        try:
            for status in self._until_ended(interval):
                view.update(status)
        except KeyboardInterrupt:
            # In a notebook, that is how one takes the next cell.
            if not isinstance(view, _NotebookView):
                raise
        finally:
            view.close()

    def _until_ended(self, interval: float) -> Iterator[TaskStatus]:
        while True:
            begun = time.monotonic()
            status = self._status()
            yield status
            if not status.is_going_on:
                return
            time.sleep(max(interval, (time.monotonic() - begun) / _LOOKS))

    def _status(self) -> TaskStatus:
        return self._in_project(lambda: status_of(self._path, self.name))

    def _in_project(self, look: Callable[[], _T]) -> _T:
        # Only where that is another one: other threads have the same current folder.
        is_here = self._root == Path.cwd()
        with nullcontext() if is_here else chdir(self._root):
            return look()


class _View:
    """Shows one status after the other where Python prints."""

    @classmethod
    def suited(cls) -> _View:
        """Return what suits where this Python prints to."""
        return _NotebookView() if _is_notebook() else cls()

    def __init__(self) -> None:
        self._progress = (
            Bar() if has_bar(sys.stdout) else Lines(print, pause=1.0, at_once=True)
        )
        self._last: TaskStatus | None = None

    def update(self, status: TaskStatus) -> None:
        self._last = status
        end = "" if status.expected is None else status.expected.text()
        self._progress.update(*_counts(status), end)

    def close(self) -> None:
        self._progress.close()
        if self._last is not None:
            print(_in_words(self._last))


class _NotebookView(_View):
    """Shows one status in the place of the one before."""

    def __init__(self) -> None:
        from IPython import display

        self._show: Any = display.display
        self._html: Any = display.HTML
        self._handle: Any = None
        self._rate: Rate | None = None

    def update(self, status: TaskStatus) -> None:
        done, _, total = _counts(status)
        if self._rate is None and total:
            self._rate = Rate(done)
        html = self._html(_as_html(status, self._rate))
        if self._handle is None:
            self._handle = self._show(html, display_id=True)
        else:
            self._handle.update(html)

    def close(self) -> None:
        pass


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _counts(status: TaskStatus) -> tuple[int, int, int]:
    """Return how many are done, have failed, and are in the space."""
    numbers = status.numbers
    return (numbers.n_done, numbers.n_failed, numbers.n_items) if numbers else (0, 0, 0)


def _in_words(status: TaskStatus) -> str:
    return f"{status.name}: {', '.join([status.state, *_details(status)])}"


def _details(status: TaskStatus) -> Iterator[str]:
    done, failed, total = _counts(status)
    if total:
        yield f"{done} of {counted(total, 'assignment')} done"
    if failed:
        yield f"{failed} failed"
    if status.state == "new":
        yield f"start it with 'psy run {status.name}'"
    yield from status.remarks
    yield from filter(None, [status.changed, status.kept])


def _as_html(status: TaskStatus, rate: Rate | None = None) -> str:
    """Return a status as HTML, with a bar if its numbers are known."""
    done, _, total = _counts(status)
    parts = [*_details(status), *_pace(status, rate)]
    text = escape(", ".join(parts))
    head = f"<b>{escape(status.name)}</b>: {escape(status.state)}"
    bar = f'<progress value="{done}" max="{total}" style="{_BAR}"></progress>'
    return f"<div>{head}{bar if total else '<br>'}{text}</div>"


def _pace(status: TaskStatus, rate: Rate | None) -> Iterator[str]:
    if rate is None or not status.is_going_on:
        return
    done, failed, total = _counts(status)
    if per_second := speed(rate.per_second(done)):
        yield per_second
    left = rate.seconds_left(done, total, failed)
    if left and status.expected is None:
        yield f"about {duration(left)} left"
