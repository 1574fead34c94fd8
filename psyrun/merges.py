"""What is known of the last merge of a round."""

from __future__ import annotations

from dataclasses import dataclass

from psyrun.files import damaged, read_json
from psyrun.layout import Round


@dataclass(frozen=True)
class MergeRecord:
    """What a merge wrote.

    Attributes
    ----------
    merge : str
        Name of the merge.
    into : str
        The result file.
    n_rows : int
        Rows in it.
    n_failed : int
        Assignments that it goes without.
    failed_before : int
        Assignments that were evaluated again because they had failed.
    cut_off_before : int
        Assignments that were evaluated again because their job was killed.
    """

    merge: str
    into: str
    n_rows: int
    n_failed: int = 0
    failed_before: int = 0
    cut_off_before: int = 0

    @classmethod
    def load(cls, round_: Round) -> MergeRecord | None:
        """Return the record of a round, None where no merge got that far.

        Raises
        ------
        StoreError
            If it is damaged.
        """
        record = read_json(round_.merged)
        try:
            return None if record is None else cls(**record)
        except TypeError as error:
            raise damaged(round_.merged, "has other entries than expected") from error

    def stands(self, round_: Round) -> bool:
        """Whether the merge ended well.

        If it did not, Snakemake has removed its mark, and has put back the
        result that was there before.
        """
        return round_.merge_mark(self.merge).exists()
