"""What a sweep will cost, and what is proposed, in lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psyrun.errors import visible
from psyrun.estimate import Estimate, NoEstimate
from psyrun.planning.proposals.answers import Proposal, Setting, WallTime
from psyrun.utils.console import aligned
from psyrun.utils.text import (
    counted,
    describe_parameters,
    memory_size,
    number_text,
    parameters_text,
    range_text,
    rough_duration,
    shortened,
    text_of,
    wrapped,
)

_LABEL = 12  # characters in front of what is told
_MOST_SHOWN = 3  # failures
_LONGEST_VALUE = 20  # characters of a value of a setting


def proposal_lines(name: str, proposal: Proposal, width: int | None = 80) -> list[str]:
    """Return what a sweep will cost and what is proposed, in lines for a terminal.

    Parameters
    ----------
    name : str
        Name of the task.
    proposal : Proposal
        What is told.
    width : int or None
        How long lines may be; None for any length.
    """
    found = [*_head(name, proposal, width)]
    if proposal.estimate.failures:
        found += ["", *_failures(name, proposal.estimate, width)]
    if proposal.situation.n_left:
        found += ["", *_costs(proposal, width)]
        found += ["", *_walls(proposal.walls)]
        found += ["", *_settings(proposal.settings, width)]
    if proposal.warnings:
        found.append("")
    for warning in proposal.warnings:
        found += wrapped(f"{warning}.", width, "Warning: ", "  ")
    return [visible(line) for line in found]


def failure_lines(name: str, found: NoEstimate, width: int | None = 80) -> list[str]:
    """Return that nothing is known, as all pilots failed, and which these are.

    Parameters
    ----------
    name : str
        Name of the task.
    found : NoEstimate
        What is told.
    width : int or None
        How long lines may be; None for any length.
    """
    assignments = counted(found.n_assignments, "assignment")
    head = f"what {assignments} cost is not known, as no pilot succeeded"
    lines = [*wrapped(f"{name}: {head}", width, "", "  ")]
    if found.failures:
        lines += _failures(name, found, width)
    return [visible(line) for line in lines]


def _head(name: str, proposal: Proposal, width: int | None) -> list[str]:
    estimate, n_left = proposal.estimate, proposal.situation.n_left
    all_of = counted(estimate.n_assignments, "assignment")
    if not n_left:
        return [f"{name}: {all_of}, all of them evaluated"]
    text = f"{name}: {all_of}, {n_left} to evaluate; "
    text += f"predicted from {counted(estimate.n_pilots, 'pilot')}"
    if math.isfinite(estimate.time.error) and estimate.time.fits:
        text += f", whose times it fits within a factor of {estimate.time.error:.2f}"
    return wrapped(text, width, "", "  ")


def _failures(
    name: str, found: Estimate | NoEstimate, width: int | None
) -> Iterator[str]:
    """Yield which pilots failed; `psy failed` says why."""
    failures = found.failures
    n_timed_out = sum(failure.timed_out for failure in failures)
    text = f"{counted(len(failures), 'pilot')} failed"
    if n_timed_out:
        text += f", {n_timed_out} of them ended after some time, which counts as the "
        text += "least that they take"
    yield from wrapped(f"{text}; see 'psy failed {name}':", width, "", "  ")
    for failure in failures[:_MOST_SHOWN]:
        how = "ended after" if failure.timed_out else "failed after"
        yield from _parameters(
            f"{how} {rough_duration(failure.seconds)}: ", failure.parameters, width, 2
        )
    if len(failures) > _MOST_SHOWN:
        yield f"  and {len(failures) - _MOST_SHOWN} more"


def _parameters(
    before: str, parameters: Mapping[str, Any], width: int | None, indent: int
) -> list[str]:
    text = before + parameters_text(describe_parameters(parameters))
    return wrapped(text, width, " " * indent, " " * (indent + 2))


def _costs(proposal: Proposal, width: int | None) -> Iterator[str]:
    estimate, memory = proposal.estimate, proposal.memory
    text = f"{range_text(proposal.core_hours, number_text)} core-hours"
    if proposal.price is not None:
        price = range_text(proposal.price, number_text)
        text += f", price {price} at {proposal.situation.rate:g} each"
    yield from _labelled("time", text, width)
    slowest = estimate.time.largest
    text = range_text(slowest.cost, rough_duration)
    yield from _extreme("slowest", text, slowest.parameters, width)
    if memory is not None and estimate.memory is not None:
        text = range_text(memory.assignment, memory_size)
        largest = estimate.memory.largest.parameters
        yield from _extreme("memory", text, largest, width)
        rows = [
            (f"{' ' * _LABEL}{each.where}", memory_size(each.memory), percent(each))
            for each in memory.regions
        ]
        yield from aligned(rows, width) if rows else ()
    if proposal.disk is not None:
        yield from _labelled("disk", f"{memory_size(proposal.disk)} of results", width)


def _labelled(label: str, text: str, width: int | None) -> list[str]:
    return wrapped(text, width, label.ljust(_LABEL), " " * _LABEL)


def _extreme(
    label: str, text: str, parameters: Mapping[str, Any], width: int | None
) -> list[str]:
    where = parameters_text(describe_parameters(parameters))
    return _labelled(label, f"{text} with {where}", width)


def percent(region: Any) -> str:
    """Return a share of the space in words."""
    share = 100 * region.share
    return "< 1 % of the space" if share < 1 else f"{share:.0f} % of the space"


def _walls(walls: Sequence[WallTime]) -> list[str]:
    rows = [("jobs", "cores", "wall time", "longest job", "")]
    for each in walls:
        wall = range_text(each.wall, rough_duration)
        job = rough_duration(each.longest_job.value)
        now = "as it is set" if each.is_current else ""
        rows.append((str(each.n_jobs), str(each.cores), wall, job, now))
    return aligned(rows)


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
