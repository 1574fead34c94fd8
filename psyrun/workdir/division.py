"""A frozen space and how its assignments are divided among process jobs."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from psyrun.backend import equal_ranges
from psyrun.backend.orders import SPACE
from psyrun.errors import one_line
from psyrun.utils import unpickling
from psyrun.utils.checksums import Checksum, verify
from psyrun.utils.files import (
    check_all,
    damaged,
    make_folder,
    opened,
    replacing,
    write_json,
)
from psyrun.utils.records import read_record
from psyrun.workdir.layout import Round
from psyrun.workdir.plan import MOST_BLOCKS, Plan
from psyrun.workdir.shares import Shares

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from psyrun.pspace import ParameterSpace
    from psyrun.pspace.candidates import Candidates
    from psyrun.pspace.order import Order
    from psyrun.pspace.rows import AnyRows
    from psyrun.store.arrays import RowType

    Indices = NDArray[np.int64]


_NUMBERS = ("kept", "former", "versions")


@dataclass(frozen=True)
class Division:
    """A frozen space, the rows that are kept for it, and its blocks.

    Attributes
    ----------
    space : ParameterSpace
        The space; its values do not change any more.
    n_blocks : int
        Number of process jobs.
    kept : ndarray of int64, shape (len(space),), or None
        For each assignment the row of the kept file that already holds its
        result, or -1. None stands for no kept rows at all.
    former : ndarray of int64, shape (n_former,), or None
        Rows of the kept file whose assignments are no longer in the space, in
        their old order.
    former_points : dict of str to sequence, or None
        The parameters of these, `n_former` values each. The kept file may have
        results under their names, or leave them out.
    fingerprints : tuple of str
        Of the versions of the task that rows of the kept file come from.
    versions : ndarray of int64, shape (n_kept_rows,), or None
        Which of these each row of the kept file comes from.
    failed_before, cut_off_before : int
        How many open assignments were tried before: they failed, or their job
        was killed.
    kept_types : mapping of str to RowType
        The types in the columns of the kept file, if its store has such.
    kept_large : frozenset of str
        Columns of it with integers that are not all exact as float64.
    kept_compared : tuple of str
        Parameters that have the values of the assignments in all of its rows.
    kept_file : Checksum or None
        That of the kept file, if it is known already.
    left_out : mapping of int to ndarray of int64
        Rows of earlier rounds, by their numbers, that are not among the kept ones, but
        may be needed again.
    order : Order or None
        In which order assignments are evaluated; None for that of the space.
    whole : ParameterSpace or None
        What the space is a part of; None if it is whole.
    part : range, ndarray of int64 or Rows, or None
        Which points of the whole it has, ascending; None if it is whole.
    shares : Shares or None
        Which of the open assignments each block has; None for equal parts.
    failed_outside : ndarray of int64, shape (n,), or None
        Other points of the whole that have failed; None if it is whole, or none has.
    portions : Shares or None
        Where jobs fetch their work, which of the open assignments each portion has that
        they fetch, in turn; None if it follows from the number of workers.
    """

    space: ParameterSpace
    n_blocks: int
    kept: Indices | None = None
    former: Indices | None = None
    former_points: Mapping[str, Sequence[Any]] | None = None
    fingerprints: tuple[str, ...] = ()
    versions: Indices | None = None
    failed_before: int = 0
    cut_off_before: int = 0
    kept_types: Mapping[str, RowType] = field(default_factory=dict)
    kept_large: frozenset[str] = frozenset()
    kept_compared: tuple[str, ...] = ()
    kept_file: Checksum | None = None
    left_out: Mapping[int, Indices] = field(default_factory=dict)
    order: Order | None = None
    whole: ParameterSpace | None = None
    part: AnyRows | None = None
    shares: Shares | None = None
    failed_outside: Indices | None = None
    portions: Shares | None = None

    def narrowed(self, whole: ParameterSpace, among: Candidates) -> Division:
        """Return a division of what is chosen, and of what has a kept row.

        Parameters
        ----------
        whole : ParameterSpace
            What the candidates are from.
        among : Candidates
            What the space of this division has, and which of that is chosen.
        """
        from psyrun.pspace.choosing import chosen_at, chosen_by
        from psyrun.pspace.rows import rows_where

        kept, is_in = self.kept, among.is_chosen
        if is_in is None:
            return self
        if kept is not None:
            is_in = is_in | (kept >= 0)
            kept = kept[is_in]
        if among.numbers is None:
            space, part = chosen_by(whole, is_in), rows_where(is_in)
        else:
            part = among.numbers[is_in]
            space = chosen_at(whole, part)
        return replace(self, space=space, kept=kept, whole=whole, part=part)

    @property
    def whole_space(self) -> ParameterSpace:
        """The space, or what it is a part of."""
        return self.space if self.whole is None else self.whole

    @property
    def n_not_chosen(self) -> int:
        """Number of assignments of the whole space that are not in the part."""
        return len(self.whole_space) - len(self.space)

    def in_whole(self, indices: Indices) -> Indices:
        """Return the places of assignments in the whole space."""
        if self.part is None:
            return indices
        from psyrun.pspace.rows import picked

        return picked(self.part, indices)

    @cached_property
    def open(self) -> Sequence[int] | Indices:
        """Assignments without a kept row, in the order of the space."""
        if self.kept is None:
            return range(len(self.space))
        import numpy as np

        return np.flatnonzero(self.kept < 0)

    def indices(self, block: int) -> Sequence[int] | Indices:
        """Return the assignments of one process job, in the order of the space.

        With another order of evaluation, each job has some of all parts of the space.
        """
        if self.shares is not None:
            return self._shared(block)
        if self.order is not None:
            return self._dealt(self.order, block)
        begin, end = equal_ranges(len(self.open), self.n_blocks)[block]
        return self.open[begin:end]

    def _shared(self, block: int) -> Indices:
        import numpy as np

        pieces = [np.arange(p.start, p.stop) for p in self._pieces.get(block, ())]
        return np.sort(self.at(np.concatenate([np.empty(0, np.int64), *pieces])))

    @cached_property
    def _pieces(self) -> dict[int, list[range]]:
        return {} if self.shares is None else self.shares.by_block()

    def at(self, positions: Indices) -> Indices:
        """Return open assignments by their positions in the order of evaluation."""
        if self.kept is None:
            return positions if self.order is None else self.order.points(positions)
        return self._in_turn[positions]

    def fetchable(self) -> tuple[Indices, tuple[int, ...] | None]:
        """Return open assignments in the order in which jobs fetch them.

        And how many each portion has; None if that follows from the number of workers.
        """
        import numpy as np

        if self.portions is None:
            return self.in_turn(self.open), None
        n_portions = max(self.portions.blocks, default=-1) + 1
        found = np.asarray(self.open, np.int64)[self.portions.in_turn()]
        return found, self.portions.sizes(n_portions)

    def _dealt(self, order: Order, block: int) -> Indices:
        import numpy as np

        if self.kept is None:
            times = np.arange(block, len(self.space), self.n_blocks)
            return np.sort(order.points(times))
        return np.sort(self._in_turn[block :: self.n_blocks])

    @cached_property
    def _in_turn(self) -> Indices:
        """What is open, in the order of evaluation."""
        return self.in_turn(self.open)

    def in_turn(self, assignments: Sequence[int] | Indices) -> Indices:
        """Return assignments in the order in which they are evaluated."""
        import numpy as np

        found = np.asarray(assignments, np.int64)
        if self.order is None:
            return found
        return found[np.argsort(self.order.times(found), kind="stable")]

    @property
    def n_kept(self) -> int:
        """Number of assignments whose rows are kept."""
        return len(self.space) - len(self.open)

    @property
    def n_former(self) -> int:
        """Number of kept rows that are no longer in the space."""
        return 0 if self.former is None else len(self.former)

    def n_older(self, names: Collection[str]) -> int:
        """Return how many assignments have a row of another version of the task.

        That is one of which the fingerprint is not among `names`.
        """
        if self.kept is None or self.versions is None:
            return 0
        if set(self.fingerprints) <= {*names}:
            return 0
        import numpy as np

        versions = self.versions[self.kept[self.kept >= 0]]
        current = [i for i, f in enumerate(self.fingerprints) if f in names]
        return len(versions) - int(np.isin(versions, current).sum())

    def save(self, round_: Round, plan: Plan) -> None:
        """Write the frozen space of a round and its numbers.

        Raises `PsyrunError` if a parameter cannot be pickled.
        """
        from psyrun.pspace.freezing import freeze
        from psyrun.workdir.progressions import compact

        found = {each.name: getattr(self, each.name) for each in fields(self)}
        frozen = {**found, "space": freeze(self.whole_space)}
        # The part is chosen again when it is read.
        frozen["whole"] = None
        frozen |= {name: compact(found[name]) for name in _NUMBERS}
        frozen["left_out"] = {n: compact(rows) for n, rows in self.left_out.items()}
        make_folder(round_.folder)
        with replacing(round_.space) as path:
            with path.open("wb") as file:
                pickle.dump(frozen, file, pickle.HIGHEST_PROTOCOL)
            counts = self._counts(round_, plan, Checksum.of(path))
            check_all()
            # Until it is there again, the round counts as not divided.
            round_.space.unlink(missing_ok=True)
            write_json(round_.division, asdict(counts))

    def _counts(self, round_: Round, plan: Plan, space: Checksum) -> DivisionCounts:
        has_kept = self.kept is not None
        path, kept = round_.kept(plan.block_ext), self.kept_file
        shares = self.shares
        if kept is None and has_kept and path.exists():
            kept = Checksum.of(path)
        return DivisionCounts(
            n_items=len(self.space),
            n_open=len(self.open),
            n_blocks=self.n_blocks,
            n_former=self.n_former,
            failed_before=self.failed_before,
            cut_off_before=self.cut_off_before,
            n_older=self.n_older(plan.names),
            ext=plan.block_ext,
            fetches=plan.fetches,
            fingerprint=plan.fingerprint,
            n_left_out=sum(map(len, self.left_out.values())),
            space_source=plan.space_source,
            order=plan.order,
            n_whole=None if self.whole is None else len(self.whole),
            space=space,
            kept=kept if has_kept and path.exists() else None,
            shared=None if shares is None else shares.sizes(self.n_blocks),
        )

    @classmethod
    def load(cls, round_: Round) -> Division:
        """Read the frozen space of a round.

        Raises `DamagedFileError` if the file is damaged or holds values that cannot
        be loaded.
        """
        from psyrun.workdir.progressions import expanded

        counts = DivisionCounts.load(round_)
        verify(round_.space, None if counts is None else counts.space)
        try:
            with opened(round_.space) as file:
                frozen = unpickling.load(file)
            frozen |= {n: expanded(frozen[n]) for n in _NUMBERS if n in frozen}
            left_out = frozen.get("left_out", {})
            frozen["left_out"] = {n: expanded(rows) for n, rows in left_out.items()}
            return cls(**{**frozen, **_thawed(frozen)})
        except (OSError, ImportError, AttributeError):
            raise
        # What was damaged can raise anything.
        except Exception as error:
            raise damaged(round_.space, f"is damaged ({one_line(error)})") from error


def _thawed(frozen: Mapping[str, Any]) -> dict[str, ParameterSpace | None]:
    """Return the space of a division, and the whole that it is a part of."""
    from psyrun.pspace.freezing import thaw

    found, part = thaw(frozen["space"]), frozen.get("part")
    if part is None:
        return {"space": found, "whole": None}
    import numpy as np

    from psyrun.pspace.choosing import chosen_at, chosen_by
    from psyrun.pspace.rows import listed_rows

    if isinstance(part, np.ndarray):
        return {"space": chosen_at(found, part), "whole": found}
    is_chosen = np.zeros(len(found), dtype=np.bool_)
    is_chosen[listed_rows(part)] = True
    return {"space": chosen_by(found, is_chosen), "whole": found}


@dataclass(frozen=True)
class DivisionCounts:
    """Numbers of a division, which can be read without NumPy and the task file.

    Attributes
    ----------
    n_items, n_open : int
        Assignments in the space, and those without a kept row.
    n_blocks : int
        Process jobs.
    n_former : int
        Kept rows that are no longer in the space.
    failed_before, cut_off_before : int
        As in `Division`.
    n_older : int
        Kept rows in the space that another version of the task computed.
    n_left_out : int
        Rows of earlier rounds that are not kept, but may be needed again.
    ext : str
        File extension of the store of the blocks.
    fetches : bool
        Whether process jobs fetch their work.
    fingerprint : str
        Of the version of the task that the blocks are computed with.
    space_source : str
        Of the source that the space comes from; empty where that is not known.
    order : str
        Name of the order in which assignments are evaluated.
    n_whole : int or None
        Assignments in the space that this one is a part of; None if it is whole.
    space, kept : Checksum or None
        Of the frozen space, and of the file with kept rows. None where there is no
        such file, or an earlier version of psyrun wrote it.
    shared : tuple of int or None
        Number of assignments of each block; None where all have equal parts.
    """

    n_items: int
    n_open: int
    n_blocks: int
    n_former: int
    failed_before: int
    cut_off_before: int
    n_older: int
    ext: str
    fetches: bool
    fingerprint: str
    space: Checksum | None = None
    kept: Checksum | None = None
    n_left_out: int = 0
    space_source: str = ""
    order: str = SPACE
    n_whole: int | None = None
    shared: tuple[int, ...] | None = None

    @classmethod
    def load(cls, round_: Round) -> DivisionCounts | None:
        """Read the numbers of a round, None where it was not divided yet."""
        return cls.read(round_) if round_.space.exists() else None

    @classmethod
    def read(cls, round_: Round) -> DivisionCounts | None:
        """Read the numbers of a round, also if its space is gone."""
        counts: DivisionCounts | None = read_record(round_.division, cls)
        if counts is not None and not counts._is_sound:
            raise damaged(round_.division, "has numbers that cannot be")
        return counts

    @property
    def _is_sound(self) -> bool:
        if self.shared is not None and (
            len(self.shared) != self.n_blocks
            or sum(self.shared) != self.n_open
            or min(self.shared, default=0) < 0
        ):
            return False
        return (
            0 <= self.n_open <= self.n_items
            and 0 <= self.n_blocks <= MOST_BLOCKS
            and min(self.n_former, self.n_left_out) >= 0
        )

    @property
    def sizes(self) -> list[int]:
        """Number of assignments of each process job."""
        if self.shared is not None:
            return [*self.shared]
        ranges = equal_ranges(self.n_open, self.n_blocks)
        return [end - begin for begin, end in ranges]
