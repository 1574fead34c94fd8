"""What a task asks for, what is known of it, and the plan to follow."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from psyrun.errors import PsyrunError
from psyrun.utils.files import read_json, write_json
from psyrun.workdir.layout import TaskLayout

FORMAT = 1
DEFAULT_PYTHON = "python3"
"""In the rules it stands for the Python that Snakemake runs in."""


@dataclass(frozen=True)
class Plan:
    """An accepted plan, as it is recorded and as the Snakefile states it.

    Attributes
    ----------
    task, taskfile, workdir, fingerprint, pool_size, resultfile, python
        As in `Desired`.
    accept_failures, max_failures
        As in `Desired`.
    round : int
        Number of the division of the space.
    division : str
        What the division was made from.
    fetches : bool
        Whether process jobs fetch their work.
    n_blocks : int
        Number of process jobs.
    block_ext : str
        File extension of the blocks' store.
    result_ext : str
        File extension of the result's store.
    keep : str
        Where rows are taken over from: ``""`` (nowhere), ``"round"`` (the
        rounds `keep_rounds`) or ``"result"`` (the result file).
    keep_rounds : tuple of int
        Numbers of the rounds to take rows from. Where several have a row, that
        of the first is taken.
    superseded : tuple of int
        Numbers of the rounds whose rows are not taken over. They are there
        until the new result is, for whoever thinks better of it.
    same_space : bool
        Whether the space of the one round of `keep_rounds` stays, so that it
        isn't sampled again.
    merge : str
        Name of the merge; a new name makes Snakemake merge again.
    """

    task: str
    taskfile: str
    workdir: str
    fingerprint: str
    pool_size: int
    accept_failures: bool
    max_failures: int | None
    resultfile: str
    python: str
    round: int
    division: str
    fetches: bool
    n_blocks: int
    block_ext: str
    result_ext: str
    keep: str = ""
    keep_rounds: tuple[int, ...] = ()
    superseded: tuple[int, ...] = ()
    same_space: bool = False
    merge: str = ""

    def save(self, layout: TaskLayout) -> None:
        """Record the plan as the one that was accepted last."""
        write_json(layout.state, {"format": FORMAT, **asdict(self)})

    @classmethod
    def load(cls, layout: TaskLayout) -> Plan | None:
        """Return the plan that was accepted last, None for a task that is new.

        Raises
        ------
        PsyrunError
            If it was written by another version of psyrun.
        """
        record = read_json(layout.state)
        if record is None:
            return None
        try:
            if record.pop("format") == FORMAT:
                for name in ("keep_rounds", "superseded"):
                    record[name] = tuple(record[name])
                return cls(**record)
        except (AttributeError, KeyError, TypeError):
            pass
        raise PsyrunError(
            f"{layout.state}: was not written by this version of psyrun. Keep the "
            "result file if you need it, remove the folder with 'psy clean', then run "
            "again."
        )

    @classmethod
    def required(cls, layout: TaskLayout) -> Plan:
        """Return the plan that was accepted last; as `load`, but raise if none was."""
        plan = cls.load(layout)
        if plan is None:
            raise PsyrunError(
                f"{layout.state}: there is no plan yet. Start the task with 'psy run'."
            )
        return plan
