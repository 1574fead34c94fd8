"""Rows that were marked to be evaluated again, although they are valid.

A mark belongs to a row and to the version of the task that it is to be evaluated with:
for other versions, the row counts as before.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, is_refusal
from psyrun.store.arrays import Indices
from psyrun.utils.files import make_folder, replacing
from psyrun.workdir.layout import Round
from psyrun.workdir.rows import RoundData


def mark_replaced(round_: Round, fingerprint: str, places: Indices) -> None:
    """Mark rows of a round to be evaluated again with a version of the task.

    Parameters
    ----------
    places : ndarray of int64
        Which rows, as `places_of` numbers them; marks of before stay.

    Raises
    ------
    PsyrunError
        If the file with the marks is damaged, or cannot be written.
    """
    marks = _marks(round_)
    before = marks.get(fingerprint, np.empty(0, np.int64))
    marks[fingerprint] = np.union1d(before, places)
    _save(round_, marks)


def _save(round_: Round, marks: dict[str, Indices]) -> None:
    make_folder(round_.folder)
    with replacing(round_.replaced) as path, path.open("wb") as file:
        np.savez_compressed(file, **marks)  # type: ignore[arg-type]


def unmark(round_: Round, names: Collection[str]) -> None:
    """Forget which rows of a round were marked for a version with some fingerprints.

    Raises `PsyrunError` as `mark_replaced` does.
    """
    if has_replaced(round_, names):
        marks = {key: rows for key, rows in _marks(round_).items() if key not in names}
        _save(round_, marks)


def has_replaced(round_: Round, names: Collection[str]) -> bool:
    """Whether rows of a round are marked for a version with some fingerprints."""
    return any(len(places) for places in _for_version(round_, names))


def replaced_in(data: RoundData, names: Collection[str]) -> NDArray[np.bool_]:
    """Return which rows of a round, in the order of its `points`, are marked.

    Marks count for a version of the task with some fingerprints.
    """
    marked = np.concatenate([np.empty(0, np.int64), *_for_version(data.round, names)])
    if not len(marked):
        return np.zeros(data.n_rows, dtype=np.bool_)
    return np.isin(places_of(data), marked)


def places_of(data: RoundData) -> Indices:
    """Return numbers of the rows of a round that stay if more are evaluated.

    These are those of the assignments; rows that are not in the space come after all.
    """
    division = data.division
    former = len(division.space) + np.arange(division.n_former)
    return np.concatenate([data.with_row(), former])


def _for_version(round_: Round, names: Collection[str]) -> list[Indices]:
    marks = _marks(round_) if round_.replaced.exists() else {}
    return [places for name, places in marks.items() if name in names]


def _marks(round_: Round) -> dict[str, Indices]:
    """Return the marked rows by fingerprints of versions."""
    try:
        # Else NumPy would leave a damaged file open.
        with round_.replaced.open("rb") as file, np.load(file) as marks:
            return {name: marks[name] for name in marks.files}
    except FileNotFoundError:
        return {}
    # What was damaged can raise anything.
    except Exception as error:
        if is_refusal(error):
            raise
        raise PsyrunError(
            f"{round_.replaced}: is damaged; delete it. Then say again what is to be "
            "evaluated again, with 'psy run --rerun'."
        ) from error
