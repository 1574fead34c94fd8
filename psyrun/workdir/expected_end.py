"""When the evaluations of a round are expected to end, as its run has found out.

The run of a task refines this while it goes on. `psy status`, pages and notebooks read
it, so that none of them has to predict anything. Nothing depends on it: what cannot be
written or read is not known, and that is all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass

from psyrun.errors import PsyrunError
from psyrun.utils.files import write_json
from psyrun.utils.records import read_record
from psyrun.workdir.layout import Round

_SOON = 120.0  # seconds; what ends before is told to the second
_WEEK = 6 * 86_400.0  # seconds for which the name of a day is enough
_LAST = 2.0e11  # seconds since the epoch, in the year 8307: calendars end in 9999


@dataclass(frozen=True)
class ExpectedEnd:
    """When something will be done; times are in seconds since the epoch.

    Attributes
    ----------
    end : float
        The most likely time.
    earliest, latest : float
        The interval in which it is with 90 % probability; `latest` is None where
        nothing is known of it.
    made : float
        When this was predicted.
    fits : bool
        Whether a model described what assignments take. If not, it follows from the
        mean of those that have ended.
    """

    end: float
    earliest: float
    latest: float | None
    made: float
    fits: bool

    @property
    def is_sound(self) -> bool:
        """Whether times can be like that."""
        latest = self.end if self.latest is None else self.latest
        return 0 < self.earliest <= self.end <= latest < _LAST

    def has_passed(self, now: float | None = None) -> bool:
        """Whether even the latest time has passed, so that this tells nothing."""
        last = self.end if self.latest is None else self.latest
        return last < (time.time() if now is None else now)

    def text(self, now: float | None = None) -> str:
        """Return it for people, such as ``14:20 (14:05-14:50)``, in local time."""
        now = time.time() if now is None else now
        seconds = (self.latest or self.end) - now < _SOON
        end = clock_text(self.end, now, seconds)
        first = clock_text(self.earliest, self.end, seconds)
        if self.latest is None:
            return f"{end} (not before {first})"
        last = clock_text(self.latest, self.end, seconds)
        return end if first == last else f"{end} ({first}-{last})"

    @classmethod
    def of_all(cls, ends: Iterable[ExpectedEnd | None]) -> ExpectedEnd | None:
        """Return when the last of several things will be done.

        None if that is not known of one of them, or there are none.
        """
        expected = list(ends)
        found = [end for end in expected if end is not None and not end.has_passed()]
        if not found or len(found) < len(expected):
            return None
        latest = [each.latest for each in found if each.latest is not None]
        return cls(
            end=max(each.end for each in found),
            earliest=max(each.earliest for each in found),
            latest=max(latest) if len(latest) == len(found) else None,
            made=min(each.made for each in found),
            fits=all(each.fits for each in found),
        )

    def save(self, round_: Round) -> None:
        """Keep this as what is expected of a round."""
        with suppress(OSError, PsyrunError):
            write_json(round_.expected_end, asdict(self))

    @classmethod
    def load(cls, round_: Round, since: float = 0.0) -> ExpectedEnd | None:
        """Return what is expected of a round.

        Parameters
        ----------
        round_ : Round
            The round.
        since : float
            When the run began, in seconds since the epoch: what was predicted before
            is of another one.

        Returns
        -------
        ExpectedEnd or None
            None if there is nothing that can be used, or its times have passed.
        """
        with suppress(OSError, PsyrunError):
            found: ExpectedEnd | None = read_record(round_.expected_end, cls)
            if found is not None and found.is_sound and found.made >= since:
                return None if found.has_passed() else found
        return None


def forget(round_: Round) -> None:
    """Remove what is expected of a round, as nobody evaluates it any more."""
    with suppress(OSError):
        round_.expected_end.unlink(missing_ok=True)


def clock_text(moment: float, reference: float, seconds: bool = False) -> str:
    """Return a time of day, with the day if that is not the one of a reference.

    Both are in seconds since the epoch, and the text is in local time.
    """
    at, there = time.localtime(moment), time.localtime(reference)
    text = time.strftime("%H:%M:%S" if seconds else "%H:%M", at)
    if at[:3] == there[:3]:
        return text
    is_near = abs(moment - reference) < _WEEK
    return f"{time.strftime('%a' if is_near else '%Y-%m-%d', at)} {text}"
