"""A few of the power failures and damaged files of `make chaos`."""

import os
from pathlib import Path

import pytest
from image import OPTIONS, Image, why_not
from scripts import expect_no_fault

from psyrun.utils.files import write_text

SEED = "--seed", os.environ.get("CHAOS_SEED", "0")

pytestmark = pytest.mark.slow
needs_image = pytest.mark.skipif(bool(why_not()), reason=why_not())


@needs_image
def test_a_power_failure_takes_what_is_not_synced_and_nothing_else(
    tmp_path: Path,
) -> None:
    image = Image(tmp_path, OPTIONS[2])
    try:
        write_text(image.place / "folder" / "synced", "x")
        (image.place / "not synced").write_text("x" * 10_000)
        image.cut_power()
        assert (image.place / "folder" / "synced").read_text() == "x"
        lost = image.place / "not synced"
        assert not lost.exists() or not lost.read_text().strip("\0")
    finally:
        image.unmount()


@needs_image
def test_runs_go_on_after_a_power_failure() -> None:
    expect_no_fault("powercuts.py", "--runs", "4", *SEED)


def test_a_damaged_file_gives_right_data_or_an_error() -> None:
    expect_no_fault("fuzz.py", "--kinds", "4", "--runs", "32", *SEED)
