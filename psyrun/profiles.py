"""Where Snakemake profiles are."""

from __future__ import annotations

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
