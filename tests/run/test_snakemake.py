"""The command that starts Snakemake, read by Snakemake's own parser."""

import io
import json
import os
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from psyrun.cli.main import main
from psyrun.run.snakemake import (
    SNAKEFILES,
    Snakemake,
    command,
    decode_events,
    installation_path,
    site_arguments,
)
from psyrun.utils.resources import shipped

PATHS = [Path("psy-work/a/Snakefile"), Path("psy-work/b c/Snakefile")]


def parsed(*extra: str) -> Namespace:
    """Return what Snakemake makes of a command."""
    from snakemake.cli import get_argument_parser

    arguments = command(PATHS, jobs=3, profile="local", extra=extra)
    assert arguments[1:3] == ["-m", "snakemake"]
    found: Namespace = get_argument_parser().parse_args(arguments[3:])
    return found


def config(*extra: str) -> dict[str, str]:
    return dict(value.split("=", 1) for value in parsed(*extra).config)


def test_snakemake_is_told_which_files_to_include() -> None:
    assert json.loads(config()[SNAKEFILES]) == [str(path) for path in PATHS]


def test_cores_are_as_many_as_jobs() -> None:
    assert parsed().cores == 3


@pytest.mark.parametrize("option", ["--config", "-C"])
def test_configuration_of_the_user_is_added(option: str) -> None:
    found = config("--dry-run", option, "a=1", "b=2", "--forceall")
    assert found.pop(SNAKEFILES)
    assert found == {"a": "1", "b": "2"}


def test_configuration_given_twice_is_merged() -> None:
    assert {"a", "b", SNAKEFILES} == config("--config", "a=1", "-C", "b=2").keys()


def test_options_around_a_configuration_are_kept() -> None:
    found = parsed("--dry-run", "--config", "a=1", "--forceall")
    assert found.dryrun
    assert found.forceall


@pytest.mark.parametrize("argument", ["--config=a=1", "-Ca=1"])
def test_a_configuration_joined_to_its_option_is_added(argument: str) -> None:
    assert {"a", SNAKEFILES} == config(argument).keys()


def test_a_target_in_front_stays_a_target() -> None:
    assert list(parsed("some/target").targets) == ["some/target"]


def test_events_are_decoded_line_by_line() -> None:
    lines = io.BytesIO(
        b'{"event": "job_info"}\n{"event": "error", "text": "\\u00e4"}\n'
    )
    assert [event["event"] for event in decode_events(lines)] == ["job_info", "error"]


def test_a_process_hands_on_events_and_its_exit_status(tmp_path: Path) -> None:
    script = (
        "import os, sys; os.write(int(os.environ['PSYRUN_EVENTS']), b'{}');"
        "print('seen', os.environ['MORE']); sys.exit(3)"
    )
    with (tmp_path / "log").open("wb") as log:
        process = Snakemake([sys.executable, "-c", script], {"MORE": "this"}, log)
        with os.fdopen(process.events, "rb") as events:
            assert list(decode_events(events)) == [{}]
        assert process.wait() == 3
    assert (tmp_path / "log").read_text() == "seen this\n"


def test_an_interrupt_ends_the_process(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = Snakemake(["sleep", "60"], {}, log)
        process.interrupt()
        assert process.wait() != 0
        os.close(process.events)


def test_a_profile_that_was_installed_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert parsed().profile == [str(shipped("profiles", "local"))]
    assert main(["profile", "install", "local"]) == 0
    installed = tmp_path / "snakemake/local"
    (installed / "config.yaml").write_text("# mine\n")
    assert parsed().profile == [str(installed)]


def test_a_queue_takes_all_jobs_unless_told_otherwise() -> None:
    assert "--jobs" not in command(PATHS, jobs=None, profile="slurm")
    assert "--cores" not in command(PATHS, jobs=None, profile="slurm")
    limited = command(PATHS, jobs=7, profile="slurm")
    assert limited[limited.index("--jobs") + 1] == "7"
    alone = command(PATHS, jobs=None, profile="local")
    assert alone[alone.index("--cores") + 1] == "1"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ([], ""),
        (["-p"], ""),
        (
            ["--psyrun-args", "account=lab partition=short"],
            "account=lab partition=short",
        ),
        (["-p", "--psyrun-args=qos=low", "-n"], "qos=low"),
        (["--psyrun-args"], ""),
    ],
)
def test_scheduler_arguments_of_the_command_line_are_found(extra, expected):
    assert site_arguments("slurm", extra) == expected


def test_scheduler_arguments_of_the_profile_in_use_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["profile", "install", "slurm"]) == 0
    config = installation_path("slurm") / "config.yaml"
    config.write_text(config.read_text() + "psyrun-args: account=lab\n")
    assert site_arguments("slurm", []) == "account=lab"
    assert site_arguments("slurm", ["--psyrun-args=account=me"]) == "account=me"
