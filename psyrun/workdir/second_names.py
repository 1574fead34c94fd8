"""Second names, by which files are found again whose first ones were removed."""

from __future__ import annotations

from pathlib import Path

from psyrun.utils.files import link, make_folder
from psyrun.workdir.layout import Round
from psyrun.workdir.merged_rows import MergedRows, is_emptied, keep_rows
from psyrun.workdir.progress import MergeRecord, finished_blocks


def keep_block(round_: Round, block: int, ext: str) -> bool:
    """Give the files of a finished block second names; return if that is possible.

    That of its store file comes last: where there is one, there are all of them.
    """
    make_folder(round_.finished)
    for path in round_.lists(block):
        second = round_.finished / path.name
        if not path.exists():
            second.unlink(missing_ok=True)
        elif not link(path, second):
            return False
    return link(round_.block(block, ext), round_.finished_block(block, ext))


def forget_block(round_: Round, block: int, ext: str) -> None:
    """Remove the second names of a block."""
    round_.finished_block(block, ext).unlink(missing_ok=True)
    for path in round_.lists(block):
        (round_.finished / path.name).unlink(missing_ok=True)


def put_lists_back(round_: Round, ext: str) -> None:
    """Have lists and records again of blocks of which only the second names are left.

    Without them it would not be known of which assignments the rows are.
    """
    for block in finished_blocks(round_, ext, round_.finished):
        put_list_back(round_, block, ext)


def put_list_back(round_: Round, block: int, ext: str) -> None:
    """Have the lists and the record of one block again."""
    path, second = round_.block(block, ext), round_.finished_block(block, ext)
    # Another file is a later one, whose lists are others.
    if not second.exists() or (path.exists() and not path.samefile(second)):
        return
    for listed in round_.lists(block):
        kept = round_.finished / listed.name
        if kept.exists() and not listed.exists():
            make_folder(round_.blocks)
            link(kept, listed)


def put_rows_back(round_: Round, ext: str) -> None:
    """Have the rows of a merged round again of which only the result is left."""
    merged = MergeRecord.load(round_)
    if merged is None or merged.result is None or not merged.is_complete(round_):
        return
    result, recorded = Path(merged.into), MergedRows.load(round_)
    if recorded is not None:
        path, is_same = recorded.path(round_), recorded.file == merged.result
        if is_same and not path.exists() and not merged.problem_of_result(result):
            link(result, path)
    elif _has_emptied_blocks(round_, ext) and not merged.problem_of_result(result):
        lacks = MergedRows.lacking(round_)
        if len(lacks) == merged.n_failed:
            keep_rows(round_, result, merged.n_rows, lacks, merged.result)


def _has_emptied_blocks(round_: Round, ext: str) -> bool:
    blocks = finished_blocks(round_, ext)
    return any(is_emptied(round_, b, round_.block(b, ext)) for b in blocks)
