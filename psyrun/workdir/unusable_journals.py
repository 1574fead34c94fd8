"""Keeps what of journals cannot be used, before they are rewritten or removed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from psyrun.utils.checksums import free_name
from psyrun.utils.files import explained, make_folder, replacing
from psyrun.utils.process.basics import log_line
from psyrun.workdir.damage import set_aside, try_to
from psyrun.workdir.journal import Unusable, unusable_of
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.notices import leave_notice

REPEATED = "; what only it held is evaluated again"


def keep_unusable_of(round_: Round, paths: Iterable[Path], outcome: str = "") -> None:
    """Keep what cannot be used of journals, which may be about to be removed."""
    for path in paths:
        # What cannot be read cannot be kept either, nor did it give any rows.
        if (found := try_to(unusable_of, path)) is not None:
            keep_unusable(round_, found, outcome)


def keep_unusable(round_: Round, unusable: Unusable, outcome: str = "") -> None:
    """Copy damaged parts of journals, and move those of other blocks.

    The run says where they are kept, once, and the `outcome`.
    """
    for path, place in unusable.misplaced.items():
        origin = f"was written for block {place.block} of round {place.round}"
        _say(round_, f"{path}: {origin}; kept as {set_aside(path, round_.damaged)}")
    for path, parts in unusable.damaged.items():
        if path not in unusable.misplaced:
            _keep_parts(round_, path, parts, outcome)


def _keep_parts(
    round_: Round, path: Path, parts: Iterable[range], outcome: str
) -> None:
    new = {part: kept for part in parts if (kept := _keep(round_, path, part))}
    if len(new) == 1:
        ((part, kept),) = new.items()
        what = f"{len(part)} bytes at {part.start} are damaged; kept as {kept}"
        _say(round_, f"{path}: {what}{outcome}")
    elif new:
        size, folder = sum(map(len, new)), next(iter(new.values())).parent
        what = f"{size} bytes in {len(new)} parts are damaged; kept in {folder}"
        _say(round_, f"{path}: {what}{outcome}")


def _keep(round_: Round, path: Path, part: range) -> Path | None:
    """Copy a part of a journal; return where it is, None if an earlier job did that."""
    name = f"{path.name}.{part.start}-{part.stop}"
    target = round_.damaged / path.relative_to(round_.folder.parent).with_name(name)
    with explained(path), path.open("rb") as journal:
        content = os.pread(journal.fileno(), len(part), part.start)
    if target.exists() and target.read_bytes() == content:
        return None
    target = free_name(target)
    make_folder(target.parent)
    with replacing(target) as new, explained(target):
        new.write_bytes(content)
    return target


def _say(round_: Round, text: str) -> None:
    layout = TaskLayout(round_.folder.parent)
    log_line(text)
    leave_notice(layout, f"{layout.name}: {text}")
