"""Why jobs ended, from all that there is to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from psyrun.errors import QueueError
from psyrun.queue import waiting as waits
from psyrun.queue.job import QueuedJob
from psyrun.queue.script import JobTrace
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.jobs import Cause, Ending, JobId, JobStatus
from psyrun.utils.text import counted
from psyrun.workdir.layout import TaskLayout

VANISHED = Ending(
    Cause.VANISHED, "the queue does not know it any more and has no output of it"
)
"""The ending of a job of which nothing else can be said."""

_BY_QUEUE = (Cause.TIME, Cause.NODE, Cause.CANCELLED)
START_PATIENCE = 60.0
"""Seconds that a queue is given to start some job before it is asked why."""
_FIRST_QUESTION = 10.0  # seconds until it is asked first, only to show it
_FIRST_PAUSE = 2.0  # seconds until it is asked again whether a job can start
_SHOWN = 3


@dataclass(frozen=True)
class Evidence:
    """What is known of a job that its queue does not list any more.

    Attributes
    ----------
    jobid : int or str
        What the queue calls the job.
    trace : JobTrace
        What the job left in the file that takes its output.
    has_results : bool
        Whether all the files that it makes are there; they appear whole or not at
        all.
    is_at_work : bool
        Whether the job renews its lock, whatever its queue says.
    is_settled : bool
        Whether what the job wrote last, and what accounting knows of it, has had
        the time to appear.
    """

    jobid: JobId
    trace: JobTrace
    has_results: bool = False
    is_at_work: bool = False
    is_settled: bool = True

    @property
    def is_done(self) -> bool:
        """Whether the job has done what it was to do."""
        status = self.trace.exit_status
        return self.has_results if status is None else status == 0


def why_ended(jobs: Sequence[Evidence], scheduler: Scheduler) -> list[Ending | None]:
    """Return why jobs ended, None for each that may not have ended yet.

    All that is known of a job is weighed here and nowhere else, whether it was
    watched or is found by a later run. The first line that applies counts:

    ==  ==============================================  ==================
    no  what there is                                   the ending
    ==  ==============================================  ==================
    1   exit status 0; or none, and all files are there done
    2   output: out of memory                           out of memory [1]_
    3   accounting: out of memory                       out of memory
    4   exit status 1 or 2: a step that has said why    failed [2]_
    5   node failure, but the job renews its lock       None [3]_
    6   accounting: time, node, cancelled               as accounting says
    7   output: time, node, cancelled                   as the output says
    8   any other exit status, such as by a signal      failed
    9   accounting: failed                              failed
    10  the job renews its lock, or it is too early     None
    11  no output; the queue took it out of its array   cancelled
    12  nothing                                         vanished [4]_
    ==  ==============================================  ==================

    .. [1] Queues that watch the memory themselves cancel the job then, so that
       accounting calls it cancelled. And a step whose worker was killed goes on to
       exit with 1, as it does after any failure.
    .. [2] A queue that ends a job ends its shell too, which then writes no exit
       status. So what accounting says of other causes came later.
    .. [3] A machine that is cut off from the queue may go on writing.
    .. [4] Also where accounting says that the job completed: there is no sign of
       what it was to do.

    Raises
    ------
    QueueUnreachableError
        If the queue does not answer.
    """
    asked = [job.jobid for job in jobs if not job.is_done]
    accounting = scheduler.get_endings(asked) if asked else {}
    endings = [
        _ending(job, accounting.get(job.jobid), scheduler.explain(job.trace.text))
        for job in jobs
    ]
    # A job that left a trace began, and may just be forgotten by now.
    lost = [
        job.jobid
        for job, ending in zip(jobs, endings, strict=True)
        if ending == VANISHED and job.trace == JobTrace()
    ]
    never_begun = scheduler.why_not_begun(lost) if lost else {}
    return [
        never_begun.get(job.jobid, ending) if ending == VANISHED else ending
        for job, ending in zip(jobs, endings, strict=True)
    ]


def _ending(
    job: Evidence, accounting: Ending | None, output: Ending | None
) -> Ending | None:
    """Return the ending by lines 1 to 10 and 12 of the table of `why_ended`."""
    if job.is_done:
        return Ending(Cause.DONE, "done", 0)
    status, by_queue = job.trace.exit_status, (output, accounting)
    for ending in by_queue:
        if ending is not None and ending.cause is Cause.MEMORY:
            return ending if status is None else ending._replace(exit_status=status)
    if job.trace.is_explained:
        return job.trace.ending
    for ending in reversed(by_queue):
        if ending is not None and ending.cause in _BY_QUEUE:
            is_cut_off = ending.cause is Cause.NODE and job.is_at_work
            return None if is_cut_off else ending
    if status is not None:
        return job.trace.ending
    if accounting is not None and accounting.cause is Cause.FAILED:
        return accounting
    return VANISHED if job.is_settled and not job.is_at_work else None


class PendingReasons:
    """Finds out why jobs do not start, and tells it where none of them does.

    Some of the reasons pass by themselves, and others never do, such as a
    request that no machine can meet. What the queue says is also kept for `psy status`.
    """

    def __init__(self, warn: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._warn = warn
        self._clock = clock
        self._next: dict[Scheduler, float] = {}
        self._since: dict[Scheduler, float] = {}
        self._said: dict[Scheduler, set[str]] = {}

    def update(
        self,
        scheduler: Scheduler,
        items: Sequence[QueuedJob],
        statuses: Mapping[JobId, JobStatus],
    ) -> None:
        """Note how jobs stand; ask now and then why those that wait do."""
        now = self._clock()
        waiting = [job for job in items if _waits(job, statuses)]
        if len(waiting) < len(items):
            self._since.pop(scheduler, None)
        since = self._since.setdefault(scheduler, now)
        for layout in _layouts(items) - _layouts(waiting):
            waits.forget(layout)
        if not waiting:
            self._next.pop(scheduler, None)
            return
        if now < self._next.setdefault(scheduler, now + _FIRST_QUESTION):
            return
        self._next[scheduler] = now + START_PATIENCE
        try:
            told = scheduler.get_waiting([job.id for job in waiting if job.id])
        except QueueError:
            return
        for layout in _layouts(waiting):
            own = [
                told[j.id] for j in waiting if j.task.layout == layout and j.id in told
            ]
            waits.WaitingReport.of(own).save(layout)
        if len(waiting) == len(items) and now - since >= START_PATIENCE:
            self._tell(
                scheduler, items, Counter(w.reason for w in told.values() if w.reason)
            )

    def _tell(
        self, scheduler: Scheduler, items: Sequence[QueuedJob], reasons: Counter[str]
    ) -> None:
        said = self._said.setdefault(scheduler, set())
        # How many wait for what changes all the time.
        if reasons and not said.issuperset(reasons):
            said.update(reasons)
            self._warn(f"{_names(items)}: {_described(reasons)}")


def _waits(item: QueuedJob, statuses: Mapping[JobId, JobStatus]) -> bool:
    known = None if item.id is None else statuses.get(item.id)
    return known is not None and known.status in ("Q", "*Q")


def _layouts(items: Iterable[QueuedJob]) -> set[TaskLayout]:
    return {item.task.layout for item in items}


class Obstacles:
    """Finds queued jobs that do not start, whether others end or not.

    That is asked at the first look at them, and a few times more: a queue needs a
    while to find out, and machines may fail later.
    """

    def __init__(self, warn: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._warn = warn
        self._clock = clock
        self._next: dict[Scheduler, tuple[float, float]] = {}
        self._known: set[JobId] = set()
        self._said: set[tuple[str, str]] = set()

    def find(
        self,
        scheduler: Scheduler,
        items: Sequence[QueuedJob],
        statuses: Mapping[JobId, JobStatus],
    ) -> dict[QueuedJob, Ending]:
        """Return the jobs that can never start, with why; say what keeps others."""
        jobs = {item.id: item for item in items if item.id is not None}
        waiting = [j for j in jobs if statuses[j].status in ("Q", "*Q")]
        if not self._is_due(scheduler, waiting):
            return {}
        try:
            found = scheduler.get_obstacles(waiting)
        except QueueError:
            return {}
        passing = Counter(o.text for o in found.values() if not o.is_final)
        for text, number in passing.items():
            name = jobs[next(j for j, o in found.items() if o.text == text)].array_name
            if (name, text) not in self._said:
                self._said.add((name, text))
                self._warn(f"{name}: {counted(number, 'job')} in the queue ({text})")
        return {
            jobs[job]: Ending(Cause.CANCELLED, f"can never start ({o.text})", 2)
            for job, o in found.items()
            if o.is_final
        }

    def _is_due(self, scheduler: Scheduler, waiting: Sequence[JobId]) -> bool:
        """Whether to ask: about new jobs soon, then ever more rarely."""
        now = self._clock()
        moment, pause = self._next.get(scheduler, (now, _FIRST_PAUSE))
        if not self._known.issuperset(waiting):
            self._known.update(waiting)
            moment, pause = now, _FIRST_PAUSE
        if not waiting or now < moment:
            return False
        self._next[scheduler] = now + pause, min(2 * pause, START_PATIENCE)
        return True


def _names(items: Iterable[QueuedJob]) -> str:
    names = list(dict.fromkeys(item.array_name for item in items))
    hidden = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {hidden} more" if hidden > 0 else "")


def _described(reasons: Counter[str]) -> str:
    shown = [
        f"{counted(number, 'job')} in the queue ({reason})"
        for reason, number in reasons.most_common(_SHOWN)
    ]
    return ", ".join(shown)
