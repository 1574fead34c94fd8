"""Store files of process jobs, which are written from journals."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.store.arrays import Indices
from psyrun.store.base import Writer
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.utils.checksums import Checksum
from psyrun.utils.files import (
    check_all,
    explained,
    make_folder,
    replacing,
    synchronise,
    write_json,
)
from psyrun.workdir import frames, journal
from psyrun.workdir.checksums import BlockRecord
from psyrun.workdir.comparison import equal_parameters
from psyrun.workdir.costs import write_block_costs
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.failures import measured
from psyrun.workdir.journal import Entry
from psyrun.workdir.layout import Round
from psyrun.workdir.row_sources import JournalRows, RowSource, ordered, rows_of
from psyrun.workdir.rows import RoundData


def failed_of(recorded: Mapping[int, Entry]) -> list[Entry]:
    """Return the entries that are failures, in the order of the assignments."""
    found = [e for e in recorded.values() if e.kind == frames.FAILURE]
    return sorted(found, key=lambda entry: entry.index)


def write_block(
    data: RoundData,
    block: int,
    recorded: Mapping[int, Entry],
    *,
    lists_rows: bool,
    have: RowSource | None = None,
    attempts: Mapping[int, int] | None = None,
) -> None:
    """Write what the journals of a block hold to its store file.

    Failures are listed beside it, and with `lists_rows` also the assignments with a
    row, even if none failed, as they are not those of the division. A record of all
    of them is there before the store file gets its name. The other rows are taken from
    `have`. What rows have cost is beside it; `attempts` has how often assignments were
    tried in vain.
    """
    make_folder(data.round.blocks)
    failed = failed_of(recorded)
    parts = [JournalRows(rows_of(recorded), data.store), *([have] if have else [])]
    sources = ordered(part for part in parts if len(part.indices))
    indices = np.sort(np.concatenate([part.indices for part in parts]))
    check_all()
    for left in data.round.new_blocks(block, data.store.ext):
        left.unlink(missing_ok=True)
    new = data.round.new_block(block, data.store.ext, secrets.token_hex(4))
    try:
        with data.store.writer(str(new)) as writer:
            compared = _write(writer, data, indices, data.in_order(sources))
        # An earlier job of this block may have accepted other failures.
        check_all()
        listed = indices if failed or lists_rows else None
        _write_lists(data, block, listed, failed)
        entries = list(rows_of(recorded).values())
        write_block_costs(data, block, entries, attempts or {}, have)
        record_block(data.round, block, len(indices), new, compared)
        target = data.round.block(block, data.store.ext)
        with explained(target):
            synchronise(new)
            check_all()
            new.replace(target)
            synchronise(target.parent)
    finally:
        with suppress(OSError):
            new.unlink()


def _write(
    writer: Writer, data: RoundData, indices: Indices, pieces: Iterable[ColumnDict]
) -> tuple[str, ...]:
    """Write rows, and return which parameters all have from their assignments."""
    space, begin = data.division.space, 0
    compared = set(space.keys())
    for rows in pieces:
        writer.append(rows)
        end = begin + count_rows(rows)
        there = {key: rows[key] for key in compared if key in rows}
        compared = equal_parameters(space, indices[begin:end], there)
        begin = end
    return tuple(sorted(compared)) if begin else ()


def _write_lists(
    data: RoundData, block: int, indices: Indices | None, failed: list[Entry]
) -> None:
    """Write the lists of a block, and remove those that it does not have."""
    listed, accepted = data.round.rows(block), data.round.failed(block)
    if indices is None:
        listed.unlink(missing_ok=True)
    else:
        with explained(listed), replacing(listed) as path, path.open("wb") as file:
            np.save(file, indices)
    if not failed:
        accepted.unlink(missing_ok=True)
        return
    write_json(accepted, records_of(failed))


def records_of(failed: list[Entry]) -> dict[int, dict[str, Any]]:
    """Return what is listed of accepted failures, ready for JSON."""
    hosts = {path: _hosts_in(path) for path in {entry.path for entry in failed}}
    return {
        entry.index: {
            **cause,
            **measured(entry),
            "host": hosts[entry.path].get(entry.offset, ""),
        }
        for entry, cause in zip(failed, journal.failures(failed), strict=True)
    }


def _hosts_in(path: Path) -> dict[int, str]:
    """Return on which machine assignments failed, by the places of their payloads."""
    sessions: list[Entry] = []
    session_of: dict[int, int] = {}
    for entry in journal.scan(path):
        if entry.kind == frames.SESSION:
            sessions.append(entry)
        elif entry.kind != frames.ROW:
            session_of[entry.offset] = len(sessions)
    hosts = ["", *(str(each.get("host", "")) for each in journal.failures(sessions))]
    return {place: hosts[number] for place, number in session_of.items()}


def record_block(
    round_: Round, block: int, n_rows: int, file: Path, compared: tuple[str, ...] = ()
) -> None:
    """Record what the files of a block are, of which one may have no name yet."""
    counts = DivisionCounts.load(round_)
    BlockRecord(
        n_rows,
        Checksum.of(file),
        block=block,
        modified=file.stat().st_mtime_ns,
        compared=compared,
        rows=_of_existing(round_.rows(block)),
        failed=_of_existing(round_.failed(block)),
        costs=_of_existing(round_.costs(block)),
        space=None if counts is None else counts.space,
    ).save(round_, block)


def _of_existing(path: Path) -> Checksum | None:
    return Checksum.of(path) if path.exists() else None
