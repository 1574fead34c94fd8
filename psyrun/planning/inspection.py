"""Checks of all files that psyrun wrote of a task; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from psyrun.errors import PsyrunError, is_refusal
from psyrun.steps.agreement import check_agreement, files_of
from psyrun.store import Store
from psyrun.store.registry import store_named, store_with
from psyrun.tasks.loading import load_task
from psyrun.utils.files import read_json
from psyrun.utils.text import counted
from psyrun.workdir import journal
from psyrun.workdir.checksums import seems_changed
from psyrun.workdir.damage import check_division, try_to
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.failures import accepted_failures
from psyrun.workdir.layout import Round, TaskLayout, layout_of, record_of_task
from psyrun.workdir.merged_rows import MergedRows, is_emptied, sound_rows
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord, block_files
from psyrun.workdir.rows import RoundData
from psyrun.workdir.run_record import RunRecord


class Fault(NamedTuple):
    """A file that is not as it should be.

    Attributes
    ----------
    path : Path
        The file.
    problem : str
        What is wrong with it, in a few words.
    remedy : str
        What happens to it, or what it means.
    """

    path: Path
    problem: str
    remedy: str

    @property
    def can_be_spared(self) -> bool:
        """Whether it is psyrun's alone, and what it held can be found out again."""
        return self.remedy in (_MADE_ANEW, _SET_ASIDE)


@dataclass
class Inspection:
    """An inspection of a task.

    Parameters
    ----------
    stores : callable
        Returns the store for an extension.

    Attributes
    ----------
    n_files : int
        How many files were looked at.
    """

    layout: TaskLayout
    stores: Callable[[str], Store]
    n_files: int = field(default=0, init=False)

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong."""
        layout = self.layout
        yield from self.of(layout.state, lambda: Plan.load(layout), _REBUILT)
        versions = sorted(layout.versions.glob("[!.]*.json"))
        for path in (layout.digests, layout.source, layout.version, *versions):
            yield from self.of(path, partial(_dictionary, path), _MADE_ANEW)
        yield from self.of(
            layout.run_record, lambda: RunRecord.load(layout), _MADE_ANEW
        )
        for path in sorted(layout.loaded.glob("[!.]*.json")):
            yield from self.of(path, partial(_dictionary, path), _SET_ASIDE)
        for round_ in layout.rounds().values():
            yield from self._of_round(round_)

    def of(
        self, path: Path, read: Callable[[], object], remedy: str
    ) -> Iterator[Fault]:
        """Yield a fault if a file cannot be read."""
        self.n_files += path.exists()
        try:
            read()
        except (PsyrunError, OSError) as error:
            if is_refusal(error):
                raise
            yield Fault(path, _problem(error), remedy)

    def _of_round(self, round_: Round) -> Iterator[Fault]:
        read = partial(DivisionCounts.read, round_)
        found = [*self.of(round_.division, read, _REBUILT)]
        # The space is checked with what is recorded there.
        check = partial(_check_space, round_)
        yield from found or self.of(round_.space, check, _REBUILT)
        merge = partial(MergeRecord.load, round_)
        yield from self.of(round_.merged, merge, "the result is merged again")
        rows = partial(MergedRows.read, round_)
        yield from self.of(round_.merged_rows, rows, _MADE_ANEW)
        if files_of(round_.keys):
            check = partial(check_agreement, round_.keys)
            yield from self.of(round_.keys, check, _REBUILT)
        for path in round_.all_journals():
            yield from self._of_journal(path)
        counts = None
        with suppress(PsyrunError):
            counts = DivisionCounts.load(round_)
        # Else nothing can be said of their rows.
        if counts is not None and try_to(Division.load, round_) is not None:
            yield from self._of_kept(round_, counts)
            yield from self.of_blocks(round_, counts)
        yield from self._of_result(round_)

    def _of_kept(self, round_: Round, counts: DivisionCounts) -> Iterator[Fault]:
        if counts.kept is None or try_to(sound_rows, round_) is not None:
            return
        kept = round_.kept(counts.ext)
        self.n_files += kept.exists()
        if problem := counts.kept.problem_of(kept):
            yield Fault(kept, problem, _OF_RESULT)

    def of_blocks(
        self, round_: Round, counts: DivisionCounts, *, is_quick: bool = False
    ) -> Iterator[Fault]:
        """Yield the blocks of a round that are not what was written.

        Its space can be read. If it `is_quick`, blocks are read only if they seem to
        have been changed.
        """
        data = RoundData(round_, self.stores(counts.ext))
        for block, path in block_files(round_, counts.ext).items():
            if is_emptied(round_, block, path):
                # Its rows are those of the result.
                continue
            if is_quick and try_to(seems_changed, round_, block, path) is False:
                continue
            self.n_files += 1
            if problem := data.problem_of(block):
                yield Fault(path, problem.removeprefix(f"{path}: "), _OF_RESULT)
                continue
            yield from self._of_lists(data, block, path)

    def _of_lists(self, data: RoundData, block: int, path: Path) -> Iterator[Fault]:
        """Yield what is wrong with a block that has no record, or its lists."""
        try:
            n_rows, n_there = len(data.indices_of_block(block)), data.store.count(path)
            accepted_failures(data.round, block)
        except (PsyrunError, OSError) as error:
            if is_refusal(error):
                raise
            yield Fault(path, _problem(error), _OF_RESULT)
            return
        if n_rows != n_there:
            yield Fault(path, f"has {n_there} rows instead of {n_rows}", _OF_RESULT)

    def _of_journal(self, path: Path) -> Iterator[Fault]:
        self.n_files += 1
        found = journal.unusable_of(path)
        if path in found.misplaced:
            number, block = found.misplaced[path]
            problem = f"was written for block {block} of round {number}"
            yield Fault(path, problem, "it is not used, and set aside by the next run")
        elif parts := found.damaged.get(path):
            size = sum(len(part) for part in parts)
            problem = f"{counted(len(parts), 'part')} of {size} bytes damaged"
            yield Fault(path, problem, "the rest is used; what was in it is repeated")

    def _of_result(self, round_: Round) -> Iterator[Fault]:
        try:
            merged = MergeRecord.load(round_)
        except PsyrunError:
            return
        if merged is None or not merged.is_complete(round_):
            return
        path = Path(merged.into)
        self.n_files += path.exists()
        if problem := merged.problem_of_result(path):
            yield Fault(path, problem, _MERGED)


def faults_of_task(path: Path, name: str) -> tuple[Path, int, list[Fault]]:
    """Return the work folder of a task, the number of its files, and what is wrong.

    The task file is run only if something seems to be wrong: its store or its classes
    may be needed to read rows.
    """
    with suppress(PsyrunError, LookupError, TypeError):
        found = _inspected(layout_of(path.parent, name), store_named, path)
        if not found[2]:
            return found
    task = load_task(path, with_space=False)
    layout = TaskLayout.of(task.workdir, name)
    return _inspected(layout, lambda ext: store_with(ext, task.store), path)


def _inspected(
    layout: TaskLayout, stores: Callable[[str], Store], taskfile: Path
) -> tuple[Path, int, list[Fault]]:
    inspection = Inspection(layout, stores)
    record = record_of_task(taskfile.parent, layout.name)
    faults = [*inspection.of(record, lambda: _dictionary(record), _REBUILT)]
    faults += inspection.faults()
    return layout.folder, inspection.n_files, faults


_REBUILT = "--repair rebuilds it"
_MADE_ANEW = "the next run makes it anew"
_SET_ASIDE = "--repair sets it aside"
_OF_RESULT = "--repair makes it anew, from the result or journals"
_MERGED = "the next run merges it again"


def _problem(error: Exception) -> str:
    """Return what an error says of a file, without its name and the advice."""
    text = str(error).partition(": ")[2] or str(error)
    text = text.partition(";")[0].removeprefix("is damaged, it ")
    # Details say little to those who only want to know what to do.
    return text.partition(" (")[0]


def _dictionary(path: Path) -> None:
    record = read_json(path)
    if record is not None and not isinstance(record, dict):
        raise PsyrunError(f"{path}: has other entries than expected")


def _check_space(round_: Round) -> None:
    check_division(round_)
    if round_.space.exists():
        Division.load(round_)
