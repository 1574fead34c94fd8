"""What a sweep will cost, and what is proposed, in lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psyrun.errors import visible
from psyrun.estimate import Range
from psyrun.planning.proposals.answers import Proposal, Region, Setting, WallTime
from psyrun.utils.console import aligned
from psyrun.utils.text import (
    assignment_text,
    memory_size,
    number_text,
    range_text,
    rough_duration,
    shortened,
    text_of,
    wrapped,
)

_FEW_HOURS = 0.1  # below, what is reserved is told as time on one core
_LABEL = 12  # characters in front of what is told
_LONGEST_VALUE = 20  # characters of a value of a setting


def proposal_lines(proposal: Proposal, width: int | None = 80) -> list[str]:
    """Return what a sweep will cost and what is proposed, in lines for a terminal.

    What it is predicted from is not told.

    Parameters
    ----------
    proposal : Proposal
        What is told.
    width : int or None
        How long lines may be; None for any length.
    """
    found: list[str] = []
    if proposal.situation.n_left:
        found += _costs(proposal, width)
        found += ["", *_walls(proposal, width)]
        found += ["", *_settings(proposal.settings, width)]
    else:
        found.append("All assignments are evaluated.")
    if proposal.warnings:
        found.append("")
    for warning in proposal.warnings:
        found += wrapped(f"{warning}.", width, "Warning: ", "  ")
    return [visible(line) for line in found]


def _costs(proposal: Proposal, width: int | None) -> Iterator[str]:
    estimate, memory = proposal.estimate, proposal.memory
    yield from _labelled("time", _core_hours(proposal.core_hours), width)
    if proposal.price is not None:
        price = range_text(proposal.price, number_text)
        text = f"{price} at {proposal.situation.rate:g} for a core-hour"
        yield from _labelled("price", text, width)
    slowest = estimate.time.largest
    text = range_text(slowest.cost, rough_duration)
    yield from _extreme("slowest", text, slowest.parameters, width)
    if memory is not None and estimate.memory is not None:
        text = range_text(memory.assignment, memory_size)
        largest = estimate.memory.largest.parameters
        yield from _extreme("memory", text, largest, width)
        rows = [
            (f"{' ' * _LABEL}{each.where}", memory_size(each.memory), _percent(each))
            for each in memory.regions
        ]
        yield from aligned(rows, width) if rows else ()
    if proposal.disk is not None:
        yield from _labelled("disk", f"{memory_size(proposal.disk)} of results", width)


def _core_hours(found: Range) -> str:
    if found.value >= _FEW_HOURS:
        return f"{range_text(found, number_text)} core-hours"
    return (
        f"{range_text(found, lambda hours: rough_duration(3600 * hours))} on one core"
    )


def _labelled(label: str, text: str, width: int | None) -> list[str]:
    return wrapped(text, width, label.ljust(_LABEL), " " * _LABEL)


def _extreme(
    label: str, text: str, parameters: Mapping[str, Any], width: int | None
) -> list[str]:
    where = assignment_text(parameters)
    return _labelled(label, f"{text} with {where}", width)


def _percent(region: Region) -> str:
    """Return a share of the space in words."""
    share = 100 * region.share
    return "< 1 % of the space" if share < 1 else f"{share:.0f} % of the space"


def _walls(proposal: Proposal, width: int | None) -> list[str]:
    def as_now(each: WallTime) -> str:
        if proposal.situation.is_queued:
            return "as it is set"
        return f"with psy run -j {each.cores}"

    rows = [("jobs", "cores", "wall time", "longest job", "")]
    for each in proposal.walls:
        wall = range_text(each.wall, rough_duration)
        job = rough_duration(each.longest_job.value)
        now = as_now(each) if each.is_current else ""
        rows.append((str(each.n_jobs), str(each.cores), wall, job, now))
    return aligned(rows, width)


def _settings(settings: Sequence[Setting], width: int | None) -> list[str]:
    rows = [("setting", "now", "proposed")]
    rows += [(s.label, _shown(s.now), _proposed(s)) for s in settings]
    cells = aligned(rows)
    longest = max(map(len, cells))
    reasons = ["because", *(setting.reason for setting in settings)]
    found = []
    for cell, reason in zip(cells, reasons, strict=True):
        found += wrapped(reason, width, cell.ljust(longest + 2), " " * (longest + 4))
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if callable(value):
        return "a function"
    return shortened(text_of(value), _LONGEST_VALUE)


def _proposed(setting: Setting) -> str:
    return _shown(setting.value) if setting.is_new else "as it is"
