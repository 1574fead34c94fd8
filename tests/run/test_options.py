"""What another process is told that goes on with a run."""

from pathlib import Path

import pytest

from psyrun.planning.desired import PlanOptions
from psyrun.run.options import JOB, RunOptions


def command_line(controller: str, **options: object) -> list[str]:
    return RunOptions(
        taskdir=Path("psy-tasks"),
        tasks=["a"],
        plan=PlanOptions(**options),  # type: ignore[arg-type]
        jobs=None,
        is_dry_run=False,
        is_quiet=False,
        is_debugged=False,
        detach=None,
        controller=None,
        snakemake_args=[],
    ).command_line(["a"], controller)


def test_a_detached_process_evaluates_again_what_was_asked_for() -> None:
    found = command_line("7", rerun="x > 1 and y < 2", keep_going=True)
    assert {"--rerun=x > 1 and y < 2", "--continue"} <= {*found}
    assert "--fresh" in command_line("7", is_fresh=True)


def test_a_controller_in_a_queue_goes_on_and_gives_nothing_up() -> None:
    # The plan is there already, and says what is kept.
    found = command_line(JOB, rerun="x > 1", keep_going=True)
    assert not {"--rerun=x > 1", "--continue"} & {*found}
    assert "--fresh" not in command_line(JOB, is_fresh=True)


@pytest.mark.parametrize("controller", ["7", JOB])
def test_whoever_goes_on_evaluates_the_same_part(controller: str) -> None:
    found = command_line(controller, part=("b=1,2", "a=0:5"))
    assert [each for each in found if "part" in each] == [
        "--part=b=1,2",
        "--part=a=0:5",
    ]


@pytest.mark.parametrize("controller", ["7", JOB])
def test_rows_are_kept_by_whoever_goes_on(controller: str) -> None:
    assert "--continue" in command_line(controller, keep_going=True)
