"""What a task was predicted to cost.

Two of them are kept: the last one, which is replaced by each that follows, and for each
round the one that was there when it began. So what a run has cost can be compared with
what was expected beforehand, however often the rest of it was predicted since. Nothing
depends on them: what cannot be written or read is not known, and that is all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun.errors import PsyrunError
from psyrun.utils.files import damaged, write_json
from psyrun.utils.ranges import Range
from psyrun.utils.records import read_record
from psyrun.utils.text import describe_parameters, shortened
from psyrun.workdir.layout import Round, TaskLayout

if TYPE_CHECKING:
    from psyrun.estimate import Estimate

_LONGEST = 60  # characters of the text of a parameter
_INFINITE = 1e18  # seconds or bytes; records have no larger numbers


@dataclass(frozen=True)
class PredictionRecord:
    """What the assignments of a task were predicted to cost.

    Attributes
    ----------
    made : float
        When, in seconds since the epoch.
    n_assignments, n_known : int
        Number of points of the space, and of those from which it was predicted.
    total_seconds : Range
        Sum of the times of all assignments, in seconds on one core.
    largest_seconds : Range
        Time of the slowest assignment.
    largest_parameters : dict of str to str
        Short texts of the parameters of that assignment.
    peak_bytes : Range or None
        Memory of the assignment that needs most; None if nothing is known of it.
    fits : bool
        Whether a model described the times of those that were known.
    reason : str
        Why it did not; empty if it did.
    fingerprint : str
        Version of the task; empty if it is not known.
    """

    made: float
    n_assignments: int
    n_known: int
    total_seconds: Range
    largest_seconds: Range
    largest_parameters: Mapping[str, str]
    peak_bytes: Range | None
    fits: bool
    reason: str
    fingerprint: str

    @classmethod
    def of(
        cls, estimate: Estimate, fingerprint: str, made: float | None = None
    ) -> PredictionRecord:
        """Return what is kept of an estimate, by default one that was made now."""
        slowest, memory = estimate.time.largest, estimate.memory
        texts = describe_parameters(slowest.parameters)
        return cls(
            made=time.time() if made is None else made,
            n_assignments=estimate.n_assignments,
            n_known=estimate.n_pilots,
            total_seconds=_limited(estimate.time.total),
            largest_seconds=_limited(slowest.cost),
            largest_parameters={k: shortened(v, _LONGEST) for k, v in texts.items()},
            peak_bytes=None if memory is None else _limited(memory.largest.cost),
            fits=estimate.time.fits,
            reason=estimate.time.reason,
            fingerprint=fingerprint,
        )

    def save(self, layout: TaskLayout) -> None:
        """Keep this as the last one of a task."""
        self._save(layout.prediction)

    def save_as_first(self, round_: Round) -> None:
        """Keep this as the one that was there when a round began, unless there is one.

        Whoever predicts may call this: the first one to do so is the one that counts.
        """
        if PredictionRecord.first(round_) is None:
            self._save(round_.prediction)

    @classmethod
    def keep_for(
        cls, layout: TaskLayout, round_: Round, versions: Collection[str]
    ) -> None:
        """Keep the last one as first of a round, if it is for one of its versions."""
        last = cls.load(layout)
        if last is not None and last.is_for(versions):
            last.save_as_first(round_)

    def is_for(self, versions: Collection[str]) -> bool:
        """Whether it is for one of some versions of the task, or for any."""
        return not self.fingerprint or self.fingerprint in versions

    def _save(self, path: Path) -> None:
        with suppress(OSError, PsyrunError):
            write_json(path, self._as_json())

    def _as_json(self) -> dict[str, Any]:
        peak = self.peak_bytes
        return {
            **asdict(self),
            "total_seconds": _without_infinity(self.total_seconds),
            "largest_seconds": _without_infinity(self.largest_seconds),
            "peak_bytes": None if peak is None else _without_infinity(peak),
        }

    @classmethod
    def load(cls, layout: TaskLayout) -> PredictionRecord | None:
        """Return the last one of a task, None if there is none that can be used."""
        return _loaded(layout.prediction)

    @classmethod
    def first(cls, round_: Round) -> PredictionRecord | None:
        """Return the one that was there when a round began; None as for `load`."""
        return _loaded(round_.prediction)


def _loaded(path: Path) -> PredictionRecord | None:
    with suppress(OSError, PsyrunError):
        record: PredictionRecord | None = read_record(path, PredictionRecord)
        if record is not None and not _is_sound(record):
            raise damaged(path, "has costs that cannot be")
        return record
    return None


def _is_sound(record: PredictionRecord) -> bool:
    costs = (record.total_seconds, record.largest_seconds, record.peak_bytes)
    return 0 <= record.n_known <= record.n_assignments and all(
        0 <= cost.low <= cost.high and cost.value >= 0
        for cost in costs
        if cost is not None
    )


def _limited(known: Range) -> Range:
    """Return what a record can hold of a cost."""
    value, low = (min(float(end), _INFINITE) for end in (known.value, known.low))
    return Range(value, low, known.high if known.high < _INFINITE else math.inf)


def _without_infinity(cost: Range) -> dict[str, float]:
    """Return what is recorded of a cost, as JSON has no infinite numbers."""
    return {key: end for key, end in asdict(cost).items() if not math.isinf(end)}
