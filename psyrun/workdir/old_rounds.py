"""Rounds of before whose rows may be needed again, and how they are removed.

A round is removed under another name, and made smaller by way of two names, so that
whoever is killed leaves it whole or not at all; `recover` does the rest.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from psyrun.utils.files import make_folder
from psyrun.workdir.costs import keep_costs
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import Plan
from psyrun.workdir.rows_there import rows_of_rounds
from psyrun.workdir.taken import Taken, pieces_of

_REMOVED, _LARGE, _SMALL = "removed", "large", "small"
_NAMES = re.compile(rf"\.(round-\d+)\.({_REMOVED}|{_LARGE}|{_SMALL})")
OF_ROWS = "rows"
"""In the place of the source of a space that was made from the rows there are."""


def remove_round(round_: Round) -> None:
    """Remove a round: it is gone at once, even if its files are not yet."""
    hidden = _hidden(round_, _REMOVED)
    shutil.rmtree(hidden, ignore_errors=True)
    if round_.folder.exists():
        round_.folder.replace(hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def _hidden(round_: Round, kind: str) -> Path:
    return round_.folder.with_name(f".{round_.folder.name}.{kind}")


def recover(layout: TaskLayout) -> None:
    """Finish, or undo, what was begun with the rounds of a task."""
    for path in sorted(layout.folder.glob(".round-*")):
        if (found := _NAMES.fullmatch(path.name)) is None:
            continue
        there = path.with_name(found[1])
        if found[2] == _LARGE and not there.exists():
            path.replace(there)
        else:
            shutil.rmtree(path, ignore_errors=True)


def reduce_round(taken: Taken, plan: Plan) -> None:
    """Leave only some rows of a round; `plan` is any plan of the task."""
    data, rows = taken
    round_, store = data.round, data.store
    counts = DivisionCounts.load(round_)
    small = Round(_hidden(round_, _SMALL))
    shutil.rmtree(small.folder, ignore_errors=True)
    make_folder(small.folder)
    with store.writer(small.kept(store.ext)) as writer:
        for piece in pieces_of([taken]):
            writer.append(piece)
    keep_costs(store, small.kept(store.ext), [taken])
    fingerprint = "" if counts is None else counts.fingerprint
    there = rows_of_rounds([(data, fingerprint)], same_space=False)
    plan = replace(
        plan,
        block_ext=store.ext,
        fetches=False,
        fingerprint=fingerprint,
        space_source=OF_ROWS,
    )
    Division(
        there.some(rows),
        0,
        np.arange(len(rows)),
        fingerprints=there.fingerprints,
        versions=there.versions[rows],
    ).save(small, plan)
    large = _hidden(round_, _LARGE)
    shutil.rmtree(large, ignore_errors=True)
    round_.folder.replace(large)
    small.folder.replace(round_.folder)
    shutil.rmtree(large, ignore_errors=True)
