"""Evaluate the assignments of one block."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun import journal
from psyrun.errors import JobError, StoreError
from psyrun.evaluate import Work, evaluate
from psyrun.journal import Entry
from psyrun.layout import PROCESS
from psyrun.rounds import RoundData, parts_of_journal

if TYPE_CHECKING:
    from psyrun.steps.run import Job

_SHOWN = 10


def process(job: Job, block: int) -> None:
    """Evaluate what is missing of one block and write its store file.

    Parameters
    ----------
    job : Job
        The job.
    block : int
        Number of the block.

    Raises
    ------
    JobError
        If assignments failed. The others are kept in the journals.
    """
    with job.lock(f"{PROCESS}-{block}"):
        recorded = job.data.recorded(block)
        indices = job.data.division.indices(block)
        missing = [int(index) for index in indices if int(index) not in recorded]
        evaluate(_work(job, block, missing), job.plan.pool_size)
        known = journal.latest(job.round.journals_of(block), verify=True)
        failed = [known[index] for index in missing if _has_failed(known, index)]
        print(
            f"{len(missing) - len(failed)} assignments evaluated, {len(failed)} failed"
        )
        if failed:
            _report(failed, len(indices))
        write_block(job.data, block)


def _has_failed(known: Mapping[int, Entry], index: int) -> bool:
    return index not in known or known[index].kind != journal.ROW


def _work(job: Job, block: int, missing: list[int]) -> Work:
    task = job.task
    job.round.journals.mkdir(parents=True, exist_ok=True)
    return Work(
        space=job.data.division.space,
        indices=missing,
        execute=task.execute,
        setup=task.setup,
        exclude=task.exclude_from_result,
        check=RowCheck(job.store(job.plan.block_ext).check, job.round.keys),
        journal=lambda worker: job.round.journal(block, worker),
        session={
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "fingerprint": job.plan.fingerprint,
        },
        random_states=job.imported.random_states,
    )


def _report(failed: list[Entry], n_assignments: int) -> None:
    print(f"{len(failed)} of {n_assignments} assignments failed:", file=sys.stderr)
    for entry, failure in zip(failed, journal.failures(failed[:_SHOWN]), strict=False):
        values = ", ".join(f"{k}={v}" for k, v in failure["parameters"].items())
        print(
            f"  assignment {entry.index} ({values}): "
            f"{failure['type']}: {failure['message']}",
            file=sys.stderr,
        )
    raise JobError(
        "The others are kept. Mend the cause and run again: only what failed is "
        "evaluated then."
    )


def write_block(data: RoundData, block: int) -> None:
    """Turn the journals of a block into its store file."""
    data.round.blocks.mkdir(exist_ok=True)
    recorded = data.recorded(block)
    with data.store.writer(str(data.round.block(block, data.store.ext))) as writer:
        for part in parts_of_journal(recorded, data.store):
            writer.append(part.columns)


@dataclass
class RowCheck:
    """Check that a row can be kept: by its store, and beside the other rows.

    Attributes
    ----------
    by_store : callable
        Raises `StoreError` if the store cannot hold the values.
    reference : Path
        File with the keys of the first row of the round, made by whoever is
        first.
    """

    by_store: Callable[[Mapping[str, Any]], None]
    reference: Path
    _keys: frozenset[str] | None = field(default=None, init=False)

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Check one row.

        Raises
        ------
        StoreError
            If it has other keys than the other rows, or the store cannot hold
            one of its values.
        """
        self.by_store(row)
        if self._keys is None:
            self._keys = _agree_on_keys(self.reference, row)
        if row.keys() != self._keys:
            raise StoreError(_difference(row.keys(), self._keys))


def _agree_on_keys(reference: Path, row: Iterable[str]) -> frozenset[str]:
    """Return the keys of the round's first row, which may be this one."""
    mark = f"{socket.gethostname()}-{os.getpid()}"
    mine = reference.with_name(f".{reference.name}.{mark}")
    mine.write_text(json.dumps(list(row)), encoding="utf-8")
    try:
        os.link(mine, reference)
    except FileExistsError:
        pass
    finally:
        mine.unlink()
    return frozenset(json.loads(reference.read_text(encoding="utf-8")))


def _difference(found: Iterable[str], expected: Iterable[str]) -> str:
    lacking = sorted(set(expected) - set(found))
    surplus = sorted(set(found) - set(expected))
    parts = [f"lacks {', '.join(map(repr, lacking))}"] if lacking else []
    parts += [f"has also {', '.join(map(repr, surplus))}"] if surplus else []
    return (
        f"execute returned other keys than for the first assignment: the row "
        f"{' and '.join(parts)}. Return the same keys for all assignments, with nan "
        "where there is no value."
    )
