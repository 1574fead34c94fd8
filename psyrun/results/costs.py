"""What rows have cost, as columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.store.costs import RECORD, SEED, Costs
from psyrun.workdir.costs import costs_of
from psyrun.workdir.failures import Failure
from psyrun.workdir.rows import RoundData

ATTRS: dict[str, dict[str, str]] = {
    "cost_start": {"long_name": "start of the evaluation (UTC)"},
    "cost_duration": {"long_name": "duration of the evaluation", "units": "s"},
    "cost_peak_memory": {
        "long_name": "peak memory of the evaluation",
        "units": "bytes",
    },
    "cost_host": {"long_name": "machine"},
    "cost_attempt": {"long_name": "number of the attempt"},
    "cost_version": {"long_name": "version of the task"},
}
"""Names of the columns, and what is to be known of them."""
SEED_ATTRS = {"cost_seed": {"long_name": "seed of the replicate"}}
"""The same for a column that is there only if the space has replicates."""
_SHOWN = 12  # digits of a version


def known_costs(data: RoundData) -> Costs | None:
    """Return the costs of the rows of a round, in the order of the space.

    None if they cannot be read.
    """
    try:
        return costs_of(data, with_former=False, with_seeds=False)
    except (PsyrunError, OSError):
        return None


def costs_of_failures(failures: Sequence[Failure]) -> Costs:
    """Return what the last evaluations of assignments have cost that failed."""
    hosts = tuple(dict.fromkeys(["", *(failure.host for failure in failures)]))
    places = {host: place for place, host in enumerate(hosts)}
    records = np.zeros(len(failures), RECORD)
    records["start"] = [_or_nan(failure.start) for failure in failures]
    records["duration"] = [_or_nan(failure.duration) for failure in failures]
    records["peak"] = [failure.peak or 0 for failure in failures]
    records["host"] = [places[failure.host] for failure in failures]
    records["attempt"] = [failure.attempt for failure in failures]
    return Costs.of_records(records, hosts)


def with_failures(costs: Costs, failures: Sequence[Failure]) -> Costs:
    """Return the costs of rows, and after them those of failed assignments."""
    return Costs.joined([costs, costs_of_failures(failures)]) if failures else costs


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def attrs_of(costs: Costs) -> dict[str, dict[str, str]]:
    """Return the names of the columns that there are, and what is to be known."""
    return ATTRS | SEED_ATTRS if SEED in costs.columns else ATTRS


def cost_columns(costs: Costs) -> dict[str, NDArray[Any]]:
    """Return the columns with the costs of rows.

    What is not known is nan, NaT, zero, or an empty text.
    """
    records = costs.columns
    versions = [version[:_SHOWN] for version in costs.versions]
    columns = (
        _times(records["start"]),
        costs.seconds,
        costs.peaks,
        np.array(costs.hosts)[records["host"]],
        records["attempt"].astype(np.int64),
        np.array(versions)[records["version"]],
    )
    found = dict(zip(ATTRS, columns, strict=True))
    if SEED in records:
        found |= dict.fromkeys(SEED_ATTRS, _digits(records[SEED]))
    return found


def _digits(seeds: NDArray[np.uint64]) -> NDArray[np.str_]:
    """Return seeds as text: not all programs have integers of 64 bits, or gaps."""
    return np.where(seeds == 0, "", seeds.astype(str))


def _times(seconds: NDArray[np.float64]) -> NDArray[np.datetime64]:
    is_known = np.isfinite(seconds)
    found = np.full(len(seconds), "NaT", "datetime64[ms]")
    found[is_known] = np.rint(seconds[is_known] * 1000).astype("datetime64[ms]")
    return found
