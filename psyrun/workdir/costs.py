"""What rows of a task have cost, from the first record of each to the result.

The journals of a block have that of its rows until the block is written. Then it is in
a file beside the block, and after the merge in the result, or in a file beside it. Rows
that are taken over bring theirs along. Nothing depends on it: what is lost or damaged
of it is not known any more, and that is all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, StoreError
from psyrun.pspace import ParameterSpace
from psyrun.pspace.digest import Digests
from psyrun.pspace.replicates import seeding_of
from psyrun.store.arrays import Indices
from psyrun.store.base import Store
from psyrun.store.costs import ARRAYS, RECORD, Costs
from psyrun.store.metadata import (
    Metadata,
    metadata_of,
    read_beside,
    write_beside,
)
from psyrun.utils.files import Filename, file_beside, link
from psyrun.workdir import frames, journal
from psyrun.workdir.checksums import BlockRecord
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.journal import Entry
from psyrun.workdir.layout import Round
from psyrun.workdir.row_sources import (
    FileRows,
    JournalRows,
    RowSource,
    are_in_sequence,
)
from psyrun.workdir.rows import RoundData
from psyrun.workdir.taken import Taken

_ASSIGNMENT = "assignment"
_MOST_KIB = np.iinfo(np.uint32).max


def costs_of_entries(
    entries: Sequence[Entry],
    attempts: Mapping[int, int],
    space: ParameterSpace | None = None,
) -> Costs:
    """Return the costs of rows of journals.

    `attempts` has how often assignments were tried in vain before, and `space` is where
    they are from.
    """
    records = np.zeros(len(entries), RECORD)
    records["start"] = _numbers(entries, "start", np.float64)
    records["duration"] = _numbers(entries, "duration", np.float64)
    records["peak"] = np.minimum(_numbers(entries, "peak", np.uint64), _MOST_KIB)
    records["attempt"] = 1
    if attempts:
        tried = (1 + attempts.get(entry.index, 0) for entry in entries)
        records["attempt"] = np.fromiter(tried, np.int64, len(entries))
    # Entries of a journal have one path in common.
    paths = {id(path): path for path in map(attrgetter("path"), entries)}
    of_entry = np.fromiter((id(e.path) for e in entries), np.uint64, len(entries))
    known, at = np.unique(of_entry, return_inverse=True)
    sessions = [_session(paths[number]) for number in known.tolist()]
    hosts = tuple(dict.fromkeys(["", *(host for host, _ in sessions)]))
    versions = tuple(dict.fromkeys(["", *(version for _, version in sessions)]))
    if len(entries):
        places = [(hosts.index(h), versions.index(v)) for h, v in sessions]
        records["host"], records["version"] = np.array(places, np.uint16)[at].T
    seeds = None if space is None else _seeds(space, [e.index for e in entries])
    return Costs.of_records(records, hosts, versions, seeds)


def _seeds(space: ParameterSpace, indices: list[int]) -> NDArray[np.uint64] | None:
    """Return the seeds of assignments, which follow from what these are.

    None if the space has no replicates, or values without a digest.
    """
    with suppress(PsyrunError):
        if (seeding := seeding_of(space)) is not None:
            digests = Digests()
            seeds = (seeding.seed_of(space[index], digests) for index in indices)
            return np.fromiter(seeds, np.uint64, len(indices))
    return None


def _numbers(entries: Sequence[Entry], name: str, dtype: type) -> NDArray[Any]:
    return np.fromiter(map(attrgetter(name), entries), dtype, len(entries))


def _session(path: Path) -> tuple[str, str]:
    """Return the machine and the version of the first job that wrote to a journal."""
    with suppress(PsyrunError, OSError, ValueError):
        for entry in journal.scan(path):
            if entry.kind == frames.SESSION:
                (session,) = journal.failures([entry])
                found = session.get("host", ""), session.get("fingerprint", "")
                return str(found[0]), str(found[1])
            break
    return "", ""


def failed_attempts(paths: Iterable[Path]) -> Counter[int]:
    """Return how often assignments have failed, as the journals of a block say."""
    found: Counter[int] = Counter()
    for path in paths:
        with suppress(OSError):
            for kind, index, *_ in journal.outcomes(path):
                if kind in (frames.FAILURE, frames.WITHDRAWAL):
                    found[index] += 1
    return found


def write_block_costs(
    data: RoundData,
    block: int,
    recorded: Sequence[Entry],
    attempts: Mapping[int, int],
    have: RowSource | None = None,
) -> None:
    """Write what the rows of a block have cost to a file beside it.

    They are those `recorded`, and those that are taken from elsewhere. If that cannot
    be written, it is not known.
    """
    path = data.round.costs(block)
    with suppress(StoreError, OSError):
        path.unlink(missing_ok=True)
    parts = [costs_of_entries(recorded, attempts, data.division.space)]
    indices = [_numbers(recorded, "index", np.int64)]
    if have is not None:
        parts.append(costs_of_source(data, have))
        indices.append(have.indices)
    metadata = Costs.joined(parts).metadata()
    arrays = {**metadata.arrays, _ASSIGNMENT: np.concatenate(indices)}
    with suppress(StoreError, OSError):
        write_beside(path, Metadata(metadata.about, arrays), None)


def _of_block(round_: Round, block: int, indices: Indices) -> Costs:
    """Return the costs of some assignments of a block, as far as they are known."""
    counts = DivisionCounts.load(round_)
    found = Costs.unknown(len(indices), "" if counts is None else counts.fingerprint)
    record = BlockRecord.load(round_, block)
    known = None if record is None else record.costs
    for path in (round_.costs(block), round_.finished / round_.costs(block).name):
        if known is None or known.problem_of(path):
            continue
        arrays = read_beside(path)
        there = arrays.get(_ASSIGNMENT, np.empty(0, np.int64))
        costs = Costs.of(Metadata.decoded(arrays, path), len(there), path)
        order = np.argsort(there)
        at = np.searchsorted(there, indices, sorter=order)
        is_there = at < len(there)
        is_there[is_there] = there[order[at[is_there]]] == indices[is_there]
        both = Costs.joined([found, costs])
        rows = np.arange(len(indices))
        rows[is_there] = len(indices) + order[at[is_there]]
        return both.take(rows)
    return found


def costs_of(
    data: RoundData,
    sources: Sequence[RowSource] | None = None,
    *,
    with_former: bool = True,
    with_seeds: bool = True,
) -> Costs:
    """Return the costs of all rows of a round, in the order of its `pieces`.

    Those of `sources` that were found before stand for those of the space. Seeds of
    rows in journals take a while to compute.
    """
    sources = data.sources() if sources is None else sources
    indices = [source.indices for source in sources]
    found = Costs.joined(
        costs_of_source(data, source, with_seeds=with_seeds) for source in sources
    )
    if not are_in_sequence(indices):
        found = found.take(np.argsort(np.concatenate(indices), kind="stable"))
    former = data.former_rows
    if not with_former or not len(former.rows):
        return found
    return Costs.joined([found, _of_file(data, former.path, former.rows)])


def costs_of_source(
    data: RoundData, source: RowSource, *, with_seeds: bool = True
) -> Costs:
    """Return the costs of rows in one place, in the order of the assignments."""
    if isinstance(source, JournalRows):
        # There are failures of few of them.
        paths = dict.fromkeys(entry.path for entry in source.entries)
        attempts = failed_attempts(paths)
        space = data.division.space if with_seeds else None
        return costs_of_entries(source.entries, attempts, space)
    assert isinstance(source, FileRows)
    path = Path(source.path)
    if path.parent in (data.round.blocks, data.round.finished):
        block = int(path.name.removesuffix(data.store.ext))
        return _known(lambda: _of_block(data.round, block, source.indices), source)
    rows = np.arange(len(source.indices)) if source.rows is None else source.rows
    return _of_file(data, source.path, rows)


def _known(read: Any, source: FileRows) -> Costs:
    try:
        found: Costs = read()
    except (PsyrunError, OSError):
        return Costs.unknown(len(source.indices))
    return found


def _of_file(data: RoundData, filename: Filename, rows: Indices) -> Costs:
    """Return the costs of rows of the result of a round, or of its kept file."""
    round_, path = data.round, Path(filename)
    is_kept = path == round_.kept(data.store.ext)
    beside = file_beside(path) if is_kept else round_.costs_of_rows
    known = stored_costs(data.store, path, beside)
    if known is None or (len(rows) and rows.max() >= len(known)):
        found = Costs.unknown(len(rows))
    else:
        found = known.take(rows)
    division = data.division
    if is_kept and division.versions is not None and found.lack_versions:
        return found.with_versions(division.fingerprints, division.versions[rows])
    return found


def stored_costs(
    store: Store, path: Filename, beside: Path | None = None
) -> Costs | None:
    """Return the costs of the rows of a file, None if they are not known."""
    with suppress(PsyrunError, OSError):
        metadata = metadata_of(store, path, ARRAYS, beside)
        if metadata is not None and ARRAYS[0] in metadata.arrays:
            return Costs.of(metadata, len(metadata.arrays[ARRAYS[0]]), path)
    return None


def costs_of_kept(round_: Round, store: Store, division: Division) -> Costs | None:
    """Return the costs of the rows that a division keeps, None if they are not known.

    They are in the order of the kept file. The division need not be written yet.
    """
    path = round_.kept(store.ext)
    known, versions = stored_costs(store, path, file_beside(path)), division.versions
    if known is None or versions is None or len(known) != len(versions):
        return None
    return known.with_versions(division.fingerprints, versions)


def keep_costs(store: Store, kept: Path, taken: Iterable[Taken]) -> None:
    """Take over the costs of rows that are taken over, one after the other.

    A `kept` file that is a second name of a result may have them already.
    """
    with suppress(PsyrunError, OSError):
        # One column is enough to see that they are there.
        known = metadata_of(store, kept, ARRAYS[:1])
        if known is None or ARRAYS[0] not in known.arrays:
            parts = (costs_of(data).take(rows) for data, rows in taken)
            costs = Costs.joined(parts)
            write_beside(file_beside(kept), costs.metadata(), kept)


def keep_costs_of_file(store: Store, kept: Path, result: Filename) -> None:
    """Take over the costs of all rows of a result."""
    known = stored_costs(store, result)
    if known is not None:
        with suppress(PsyrunError, OSError):
            write_beside(file_beside(kept), known.metadata(), kept)


def keep_costs_of_rows(round_: Round, result: Filename) -> None:
    """Keep the costs of the rows in a result whose format has no room for them."""
    beside, path = file_beside(result), round_.costs_of_rows
    with suppress(PsyrunError, OSError):
        path.unlink(missing_ok=True)
        if beside.is_file() and not link(beside, path):
            path.write_bytes(beside.read_bytes())
