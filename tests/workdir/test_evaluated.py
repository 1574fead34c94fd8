"""What is known of the costs of the assignments of a round."""

from pathlib import Path

import numpy as np
import pytest
from plans import PLAN

from psyrun import Param
from psyrun.estimate.evaluated import FAILED, OK, TIMED_OUT
from psyrun.store import PickleStore
from psyrun.workdir.division import Division
from psyrun.workdir.evaluated import evaluated_in
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import Round
from psyrun.workdir.rows import RoundData


def failure(type_: str) -> dict[str, object]:
    texts = {"message": "no", "where": "", "traceback": ""}
    return {"type": type_, **texts, "parameters": {}}


@pytest.fixture
def data(tmp_path: Path) -> RoundData:
    """A round whose jobs are running."""
    round_ = Round(tmp_path / "round-1")
    Division(Param(x=list(range(6))), 2).save(round_, PLAN)
    round_.journals.mkdir(parents=True)
    one = Journal(round_.journal(0, 0), {"host": "n1", "fingerprint": "code"})
    one.row(1, 10.0, 2.5, 2048, {"x": 1, "y": 1})
    one.failure(0, 12.0, 0.5, 1024, failure("ValueError"))
    one.failure(2, 13.0, 9.0, 1024, failure("TimedOut"))
    one.close()
    other = Journal(round_.journal(1, 0), {"host": "n2", "fingerprint": "other"})
    # It was evaluated again.
    other.failure(4, 9.0, 9.0, 0, failure("ValueError"))
    other.row(4, 20.0, 7.0, 0, {"x": 4, "y": 4})
    other.close()
    return RoundData(round_, PickleStore())


def test_rows_and_failures_have_their_costs(data: RoundData) -> None:
    found = evaluated_in(data)
    assert found.rows.tolist() == [0, 1, 2, 4]
    assert found.seconds.tolist() == [0.5, 2.5, 9.0, 7.0]
    assert found.outcomes.tolist() == [FAILED, OK, TIMED_OUT, OK]
    unknown = np.nan
    np.testing.assert_array_equal(
        found.memory, [unknown, 2048.0 * 1024, unknown, unknown]
    )


def test_rows_of_other_versions_are_left_out(data: RoundData) -> None:
    assert evaluated_in(data, ["code"]).rows.tolist() == [0, 1, 2]


def test_nothing_may_be_known(tmp_path: Path) -> None:
    round_ = Round(tmp_path / "round-1")
    Division(Param(x=[1, 2]), 1).save(round_, PLAN)
    found = evaluated_in(RoundData(round_, PickleStore()))
    assert len(found) == 0
    assert found.rows.dtype == np.int64
