"""The data of the page, as JSON: sweeps within a budget of characters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Indices
from psyrun.report.axis import plain
from psyrun.report.page.aggregation import Aggregated, Spread, aggregated
from psyrun.report.page.collecting import DONE, FAILED, RUNNING, TO_DO, Sweep
from psyrun.report.page.columns import Label, Measured, Parameter
from psyrun.report.page.encoding import (
    COARSEST,
    FINEST,
    Column,
    encoded_codes,
    encoded_exactly,
    encoded_numbers,
    is_exact,
    script_text,
    size_of,
)
from psyrun.report.page.pace import Pace
from psyrun.report.page.timeline import Timeline
from psyrun.report.page.uses import described_use
from psyrun.results.causes import FailureGroup, grouped
from psyrun.results.failure_rules import TaskFailures
from psyrun.results.provenance import within
from psyrun.utils.text import shortened

BUDGET = 5_000_000
"""About how many characters the columns of all tasks of a page may take."""
_MOST_EXACT = 300_000  # bytes of a column that is not rounded
_MOST_LEVELS = 4096  # of a number that is an axis with levels
_STEPS = (FINEST, 2**14, 2**12, 2**10, COARSEST)
_MOST_GROUPS, _MOST_EXAMPLES = 50, 20
_LONGEST_TRACEBACK = 20_000
_MOST_SOURCE = 200_000

Encode = Callable[[Any], Column]


def payload_of(
    sweep: Sweep, state: str, remark: str, budget: int, pace: Pace | None = None
) -> dict[str, Any]:
    """Return what the page is told of a task, ready for `script_text`.

    Parameters
    ----------
    sweep : Sweep
        The task.
    state, remark : str
        How far it is, as ``psy status`` says it.
    budget : int
        About how many characters its columns may take. What would be more is rounded
        further, and then left out, which the page says.
    pace : Pace, optional
        How fast it goes on; None if nobody evaluates it.
    """
    columns, notes = _columns_within(sweep, budget)
    return {
        "name": sweep.name,
        "state": state,
        "remark": remark,
        "n_assignments": sweep.n_assignments,
        "counts": _counts(sweep),
        **columns,
        "constants": dict(sweep.constants),
        "versions": [
            {"name": name, "current": name in sweep.current_versions, "n": int(n)}
            for name, n in zip(sweep.version_names, _n_of_versions(sweep), strict=True)
        ],
        "failures": _failures(sweep),
        "slowest": sweep.slowest,
        "largest": sweep.largest,
        "uses": list(map(described_use, sweep.uses)),
        "pace": None if pace is None else asdict(pace),
        "timeline": None if sweep.timeline is None else _timeline(sweep.timeline),
        "origin": _origin(sweep.origin),
        "notes": [*sweep.notes, *notes],
    }


def _timeline(timeline: Timeline) -> dict[str, Any]:
    described = [
        {
            "machine": plain(lane.machine),
            "worker": lane.worker,
            "n_workers": lane.n_workers,
            "n_rows": lane.n_rows,
            "n_failed": lane.n_failed,
            "seconds": lane.seconds,
            "failed_seconds": lane.failed_seconds,
        }
        for lane in timeline.lanes
    ]
    has_failed = any(lane.n_failed for lane in timeline.lanes)
    return {
        "begins": encoded_exactly(timeline.begins),
        "step": timeline.step,
        "lanes": described,
        "busy": _shares([lane.busy for lane in timeline.lanes]),
        "failed": _shares([each.failed for each in timeline.lanes], least=1)
        if has_failed
        else None,
        "n_unknown": timeline.n_unknown,
        "n_failed_unknown": timeline.n_failed_unknown,
        "n_hidden": timeline.n_hidden,
    }


def _shares(lanes: Sequence[NDArray[np.float64]], least: int = 0) -> Column:
    """Return shares as hundredths, of which there are at least some if any."""
    shares = np.concatenate(lanes)
    hundredths = np.rint(100 * shares).astype(np.int64)
    hundredths[shares > 0] = np.maximum(hundredths[shares > 0], least)
    return encoded_codes(hundredths, 101)


def _n_of_versions(sweep: Sweep) -> Indices:
    """Return how many rows each version has made."""
    rows = sweep.versions[sweep.status == DONE]
    return np.bincount(rows, minlength=len(sweep.version_names))


def _counts(sweep: Sweep) -> dict[str, int]:
    names = {"done": DONE, "failed": FAILED, "running": RUNNING, "to_do": TO_DO}
    return {name: sweep.n_of_status[code] for name, code in names.items()}


# Columns ----------------------------------------------------------------------------


def _columns_within(sweep: Sweep, budget: int) -> tuple[dict[str, Any], list[str]]:
    """Return the columns with the finest steps that fit, and what is to be said.

    If the finest ones might not fit, repeats are put together, if that is of use.
    """
    # Before compression; two bytes of a number are 8 / 3 characters.
    is_large = 8 * len(sweep) * len(_measured(sweep)) > 3 * budget
    cells = aggregated(sweep) if is_large else None
    found = None if cells is None else _cell_columns(cells, budget)
    return _rounded_columns(sweep, budget) if found is None else found


def _cell_columns(
    cells: Aggregated, budget: int
) -> tuple[dict[str, Any], list[str]] | None:
    """Return the columns of repeats that are put together; None if they do not fit."""
    found = _with_measured(
        _fixed_columns(cells.sweep),
        cells.sweep,
        [encoded_numbers(each.values) for each in _measured(cells.sweep)],
    )
    found.pop("index", None)
    names = {"done": DONE, "failed": FAILED, "open": TO_DO}
    found["cells"] = {
        name: {"column": _encoded_counts(cells.counts[code])}
        for name, code in names.items()
    }
    for group, spreads in (("results", cells.results), ("costs", cells.costs)):
        for told, spread in zip(found[group], spreads, strict=True):
            told["spread"] = _encoded_spread(spread)
    if len(script_text(found)) > budget:
        return None
    over = ", ".join(
        f"{each.label.title} ({len(each.levels)})" for each in cells.repeats
    )
    found["repeats"] = over
    return found, [
        f"Repeats over {over} are put together, so that the page stays small: it has "
        "the number of their values, the mean, the standard deviation, the median, the "
        "smallest and the largest one. Numbers are rounded to one of "
        f"{FINEST} steps between the smallest and the largest one of their column."
    ]


def _encoded_spread(spread: Spread) -> dict[str, Column]:
    numbers = {
        "sd": spread.sd,
        "median": spread.median,
        "low": spread.low,
        "high": spread.high,
    }
    found = {name: encoded_numbers(values) for name, values in numbers.items()}
    return {"n": _encoded_counts(spread.n), **found}


def _encoded_counts(counts: Indices) -> Column:
    return encoded_codes(counts, int(counts.max(initial=0)) + 1)


def _measured(sweep: Sweep) -> list[Measured]:
    return [*sweep.results, *sweep.costs]


def _rounded_columns(sweep: Sweep, budget: int) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of all rows; see `_columns_within`."""
    fixed = _fixed_columns(sweep)
    measured = _measured(sweep)
    left = budget - _size_of_all(fixed)
    if 8 * len(sweep) <= _MOST_EXACT:
        encoded = [encoded_exactly(each.values) for each in measured]
        if sum(map(size_of, encoded)) <= left:
            return _with_measured(fixed, sweep, encoded), []
    encoded, n_steps = list[Column](), FINEST
    for n_steps in _STEPS:
        if n_steps < FINEST:
            # Those with levels stay as they are.
            fixed["parameters"] = [
                told
                if "levels" in told or "texts" in told
                else _parameter(own, n_steps)
                for told, own in zip(fixed["parameters"], sweep.parameters, strict=True)
            ]
        left = budget - _size_of_all(fixed)
        encoded = [encoded_numbers(each.values, n_steps) for each in measured]
        if sum(map(size_of, encoded)) <= left:
            break
    # Without a result, parameters are of little use.
    left_out = _drop_parameters(fixed, left - sum(map(size_of, encoded[:1])))
    kept, dropped = _as_many_as_fit(encoded, budget - _size_of_all(fixed))
    notes = []
    shown = [*kept, *(each["column"] for each in fixed["parameters"])]
    if not all(map(is_exact, shown)):
        notes.append(
            f"Numbers are rounded to one of {n_steps} steps between the smallest and "
            "the largest one of their column, so that the page stays small."
        )
    left_out += [measured[i].label.name for i in dropped]
    if left_out:
        names = ", ".join(left_out)
        notes.append(f"Left out, so that the page stays small: {names}.")
    return _with_measured(fixed, sweep, kept, dropped), notes


def _size_of_all(fixed: Mapping[str, Any]) -> int:
    return sum(size_of(each["column"]) for each in _all_columns(fixed))


def _drop_parameters(fixed: dict[str, Any], left: int) -> list[str]:
    """Remove the last parameters without levels if there is less than no room left.

    Return their names.
    """
    kept, names = list[dict[str, Any]](), list[str]()
    for told in reversed(fixed["parameters"]):
        if left < 0 and "levels" not in told and "texts" not in told:
            left += size_of(told["column"])
            names.insert(0, told["name"])
        else:
            kept.insert(0, told)
    fixed["parameters"] = kept
    return names


def _as_many_as_fit(
    encoded: Sequence[Column], left: int
) -> tuple[list[Column], list[int]]:
    kept, dropped = [], []
    for number, column in enumerate(encoded):
        if size_of(column) <= left:
            kept.append(column)
            left -= size_of(column)
        else:
            dropped.append(number)
    return kept, dropped


def _fixed_columns(sweep: Sweep) -> dict[str, Any]:
    """Return the columns of what is no result and no cost."""
    found: dict[str, Any] = {
        "status": {"column": encoded_codes(sweep.status, 4)},
        "version": {
            "column": encoded_codes(sweep.versions, len(sweep.version_names)),
        },
        "parameters": [_parameter(each) for each in sweep.parameters],
    }
    if not np.array_equal(sweep.indices, np.arange(len(sweep))):
        found["index"] = {"column": encoded_codes(sweep.indices, 2**32)}
    return found


def _all_columns(fixed: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for each in fixed.values():
        yield from each if isinstance(each, list) else [each]


def _with_measured(
    fixed: Mapping[str, Any],
    sweep: Sweep,
    encoded: Sequence[Column],
    dropped: Sequence[int] = (),
) -> dict[str, Any]:
    measured: list[tuple[str, Measured]] = [
        *(("results", each) for each in sweep.results),
        *(("costs", each) for each in sweep.costs),
    ]
    kept = [each for i, each in enumerate(measured) if i not in set(dropped)]
    found: dict[str, Any] = {
        "n": len(sweep),
        **fixed,
        "results": [],
        "costs": [],
    }
    for (group, each), column in zip(kept, encoded, strict=True):
        found[group].append(
            {**_label(each.label), "column": column, "exact": is_exact(column)}
        )
    return found


def _label(label: Label) -> dict[str, str]:
    return {"name": label.name, "title": label.title, "unit": label.unit}


def _parameter(parameter: Parameter, n_steps: int = FINEST) -> dict[str, Any]:
    found: dict[str, Any] = {
        **_label(parameter.label),
        "kind": parameter.kind,
        "repeat": parameter.is_repeat,
    }
    levels, codes = parameter.levels, parameter.codes
    if isinstance(levels, list):
        return {**found, "texts": levels, "column": encoded_codes(codes, len(levels))}
    if len(levels) > _MOST_LEVELS:
        return {**found, "column": encoded_numbers(levels[codes], n_steps)}
    column = encoded_codes(codes, len(levels))
    return {**found, "levels": encoded_exactly(levels), "column": column}


# Failures and origin ----------------------------------------------------------------


def _failures(sweep: Sweep) -> dict[str, Any]:
    failures = sweep.failures.failures
    groups = grouped(failures)
    seconds = [each.duration for each in failures if each.duration is not None]
    described = [_group(each, sweep.failures) for each in groups[:_MOST_GROUPS]]
    if len(groups) == 1:
        # It is that of all failures.
        described[0]["rule"] = ""
    return {
        "rule": sweep.failures.in_words(),
        "groups": described,
        "n_hidden": max(0, len(groups) - _MOST_GROUPS),
        "seconds": float(sum(seconds)),
        "n_unknown": len(failures) - len(seconds),
    }


def _group(group: FailureGroup, failures: TaskFailures) -> dict[str, Any]:
    first, rule = group.first, failures.rule(group.failures)
    return {
        "n": len(group.failures),
        "cause": group.cause,
        "rule": "" if rule is None else rule.sentence("such failures"),
        "place": first.place,
        "times": group.times,
        "traceback": shortened(first.traceback.rstrip(), _LONGEST_TRACEBACK),
        "index": first.index,
        "examples": [
            {"index": each.index, "values": each.values, "host": each.host}
            for each in group.failures[:_MOST_EXAMPLES]
        ],
    }


def _origin(origin: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    known = within(origin, _MOST_SOURCE)
    return [{"version": name, **_version(each)} for name, each in known.items()]


def _version(record: Mapping[str, Any]) -> dict[str, Any]:
    texts = ("command", "host", "python", "platform", "psyrun")
    git = record.get("git")
    commit = git if isinstance(git, Mapping) else {}
    return {
        **{key: str(record.get(key) or "") for key in texts},
        "recorded": _seconds(record.get("recorded")),
        "libraries": _texts(record.get("libraries")),
        "source": _texts(record.get("source")),
        "left_out": [str(each) for each in record.get("left_out") or ()],
        "git": {key: str(value) for key, value in commit.items() if key != "diff"},
        "diff": str(commit.get("diff") or ""),
    }


def _seconds(value: object) -> float | None:
    is_number = isinstance(value, int | float) and np.isfinite(value)
    return float(value) if is_number else None  # type: ignore[arg-type]


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(key): str(text) for key, text in value.items()}
