"""Where Snakemake profiles are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from psyrun.layout import shipped

LOCAL = "local"
"""The profile for running jobs on this machine."""

MARK = ".psyrun.json"
"""File of an installed profile with the digests of what was installed."""


def place_of_installed(name: str) -> Path:
    """Return where ``snakemake --profile NAME`` finds a user's profile."""
    from platformdirs import user_config_path

    return user_config_path("snakemake", "snakemake") / name


def in_use(name: str) -> Path:
    """Return the profile that ``psy run`` takes.

    That is the one that ``psy profile install`` has installed, as it may have
    been edited to suit a cluster, else the one that psyrun ships.
    """
    installed = place_of_installed(name)
    return installed if (installed / MARK).is_file() else shipped("profiles", name)


def site_arguments(profile: str, extra: Sequence[str]) -> str:
    """Return the scheduler arguments that hold for all tasks of a run.

    Parameters
    ----------
    profile : str
        Name of the profile that ``psy run`` takes.
    extra : sequence of str
        The user's arguments for Snakemake.

    Returns
    -------
    str
        What Snakemake's option ``--psyrun-args`` gets.
    """
    option = "--psyrun-args"
    given = None
    for argument, following in zip_longest(extra, extra[1:], fillvalue=""):
        if argument == option:
            given = following
        elif argument.startswith(f"{option}="):
            given = argument.removeprefix(f"{option}=")
    return _stated(profile) if given is None else given


def _stated(profile: str) -> str:
    import yaml

    text = (in_use(profile) / "config.yaml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text) or {}
    return str(settings.get("psyrun-args") or "")
