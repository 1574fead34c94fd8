"""How far the jobs of one block came, as its journals and slots tell.

Several jobs may work on a block one after the other, in one run or in several.
Jobs of one run that go on with what another has left share an *origin*: the first
of them. What failed in jobs of the same origin is not tried again by these.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psyrun.utils.environment import JOB_VARIABLE, ORIGIN_VARIABLE
from psyrun.utils.files import write_json
from psyrun.utils.records import read_record
from psyrun.workdir import frames, journal
from psyrun.workdir.in_flight import interrupted, slots
from psyrun.workdir.journal import Entry
from psyrun.workdir.layout import Round


def own_job() -> dict[str, str]:
    """Return what tells which job of a queue this process belongs to.

    It is part of the session of a journal; the texts are empty outside of queues.
    """
    job = os.environ.get(JOB_VARIABLE, "")
    return {"queued_as": job, "origin": os.environ.get(ORIGIN_VARIABLE) or job}


@dataclass(frozen=True)
class Attempts:
    """What the jobs of a block have left: numbers of assignments.

    Attributes
    ----------
    done, failed : frozenset of int
        With a row, and without one because the last evaluation failed.
    settled : frozenset of int
        Those of `failed` that failed in jobs of the same origin.
    interrupted : frozenset of int
        Being evaluated when their job ended.
    suspects : frozenset of int
        Without a row, and evaluated when their job was ended by one of them.
    """

    done: frozenset[int] = frozenset()
    failed: frozenset[int] = frozenset()
    settled: frozenset[int] = frozenset()
    interrupted: frozenset[int] = frozenset()
    suspects: frozenset[int] = frozenset()

    @classmethod
    def find(cls, round_: Round, block: int, origin: str) -> Attempts:
        """Read the journals of a block; without an origin, nothing is settled."""
        recorded = journal.latest(round_.journals_of(block), verify=True)
        return cls.of(round_, block, origin, recorded)

    @classmethod
    def of(
        cls, round_: Round, block: int, origin: str, recorded: Mapping[int, Entry]
    ) -> Attempts:
        """Return the attempts at a block whose journals were read already."""
        done = frozenset(i for i, e in recorded.items() if e.kind == frames.ROW)
        failed = frozenset(recorded) - done
        paths = round_.journals_of(block) if origin else ()
        settled = _failed_with(origin, paths)
        at = frozenset(interrupted(round_.in_flight_of(block)))
        suspects = frozenset(_suspects(round_.suspects(block)))
        return cls(
            done=done,
            failed=failed,
            settled=settled & failed,
            interrupted=at - done - failed,
            suspects=suspects - done,
        )


def _suspects(path: Path) -> list[int]:
    return read_record(path, list[int]) or []


def suspect(round_: Round, block: int, indices: Iterable[int]) -> bool:
    """Have assignments evaluated one at a time; return whether some were not yet."""
    path = round_.suspects(block)
    known = set(_suspects(path))
    is_new = not known.issuperset(indices)
    if is_new:
        write_json(path, sorted(known.union(indices)))
    return is_new


@dataclass(frozen=True)
class Evaluating:
    """An assignment that a job was evaluating when it ended.

    `after` is how long the job had been at work before it began with it, in seconds,
    and `since` when that was, in seconds since the epoch; None where that is not known.
    """

    index: int
    after: float | None
    since: float | None = None


@dataclass(frozen=True)
class JobTraces:
    """What one job of a queue has left in the journals of a block.

    Attributes
    ----------
    n_recorded : int
        How many outcomes it recorded.
    evaluating : tuple of Evaluating
        What it was evaluating when it ended.
    """

    n_recorded: int = 0
    evaluating: tuple[Evaluating, ...] = ()

    @classmethod
    def find(cls, round_: Round, block: int, job: str) -> JobTraces:
        """Read the journals of a block; `job` is as in its sessions."""
        done = Attempts.find(round_, block, "").done
        journals = {p: _Written.by(job, p) for p in round_.journals_of(block)}
        recorded = {i for written in journals.values() for i in written.indices}
        begun = min((w.begun for w in journals.values() if w.begun), default=None)
        evaluating = []
        session, path = round_.last_in_flight().get(
            block, ("", round_.in_flight(block))
        )
        for worker, slot in enumerate(slots(path)):
            own = journals.get(round_.journal(block, worker, session))
            is_at_work = slot is not None and slot.index not in recorded | done
            if slot is not None and is_at_work and own is not None and own.is_last:
                after = None if begun is None else max(0.0, own.ended - begun)
                evaluating.append(Evaluating(slot.index, after, own.ended or None))
        return cls(len(recorded), tuple(evaluating))


@dataclass
class _Written:
    """What one job wrote to one journal.

    `begun` and `ended` are the times of its first session, and of the end of what it
    recorded last; `is_last` says that no other job wrote after it.
    """

    indices: set[int] = field(default_factory=set)
    begun: float = 0.0
    ended: float = 0.0
    is_last: bool = False

    @classmethod
    def by(cls, job: str, path: Path) -> _Written:
        found = cls()
        for entry, session in _entries(path):
            # Jobs that an earlier version started do not say which they are.
            found.is_last = session.get("queued_as", job) == job
            if not found.is_last or "queued_as" not in session:
                continue
            if entry.kind == frames.SESSION:
                found.begun = found.begun or entry.start
                found.ended = found.ended or entry.start
            else:
                found.indices.add(entry.index)
                found.ended = entry.start + entry.duration
        return found


def _failed_with(origin: str, paths: Iterable[Path]) -> frozenset[int]:
    """Return the assignments that jobs of the same origin have seen fail."""
    kinds = (frames.FAILURE, frames.WITHDRAWAL)
    return frozenset(
        entry.index
        for path in paths
        for entry, session in _entries(path)
        if entry.kind in kinds and session.get("origin") == origin
    )


def _entries(path: Path) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """Yield the entries of a journal, each with the session that it belongs to."""
    session: dict[str, Any] = {}
    for entry in journal.scan(path, verify=True):
        if entry.kind == frames.SESSION:
            (session,) = journal.failures([entry])
        yield entry, session
