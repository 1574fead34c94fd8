"""A few of the trials of `advice.py`, with each kind of project and of command."""

from __future__ import annotations

import pytest
from advice import Player, Trial

DISTRIBUTED, BALANCED = "DistributeBackend", "LoadBalancingBackend"
TRIALS = [
    Trial("done", DISTRIBUTED, "state.json", "other", "status"),
    Trial("done", BALANCED, "round-*/split.json", "gone", "snakemake"),
    Trial("accepted", BALANCED, "round-*/merged.json", "gone", "failed"),
    Trial("continued", DISTRIBUTED, "round-*/space.pkl", "empty", "merge"),
    Trial("failed", DISTRIBUTED, "round-*/keys.json", "cut", "continue"),
    Trial("killed", DISTRIBUTED, "round-*/space.pkl", "flip", "run"),
    Trial("killed", BALANCED, "round-*/journal/*.journal", "cut", "repair"),
]


@pytest.fixture(scope="module")
def player(tmp_path_factory) -> Player:
    return Player(tmp_path_factory.mktemp("advice"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "trial", TRIALS, ids=lambda trial: f"{trial.kind}-{trial.file}"
)
def test_who_follows_the_advice_loses_nothing(player, trial) -> None:
    problems = player.play(trial)
    assert problems is not None, "there is no such file"
    assert problems == [], "\n".join(problems)
