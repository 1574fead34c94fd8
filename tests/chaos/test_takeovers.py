"""A few of the take-overs of `make chaos`, and runs seen from other containers."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from namespaces import PLACES, is_possible, play
from takeovers import Trial

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", range(4), ids=lambda n: str(Trial(n, Path())))
def test_who_wakes_after_a_take_over_does_no_harm(tmp_path: Path, number: int) -> None:
    if not is_possible("uts"):
        pytest.skip("needs root")
    assert Trial(number, tmp_path).play() == []


@pytest.mark.parametrize("other", [place for place in PLACES if place != "here"])
def test_a_run_that_cannot_be_seen_is_left_alone(other: str) -> None:
    if not is_possible(other):
        pytest.skip("needs root, or namespaces of users")
    # That of the tests is closed to other users.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        assert play("here", other, Path(folder, "project")) == []
