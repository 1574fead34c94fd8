"""Installation of Slurm with apt-get."""

from __future__ import annotations

import os
import shutil
import subprocess

# Each command we need, with the Debian package that has it.
_COMMANDS = {
    "munged": "munge",
    "sbatch": "slurm-wlm",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
}
_ACCOUNTING_COMMANDS = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server"}


def missing_packages(accounting: bool) -> list[str]:
    """Return the packages that have to be installed."""
    commands = {**_COMMANDS, **(_ACCOUNTING_COMMANDS if accounting else {})}
    return sorted(
        {package for command, package in commands.items() if not shutil.which(command)}
    )


def reason_it_cannot_run(accounting: bool) -> str | None:
    """Return why there can be no test cluster on this machine, None if there can."""
    if os.geteuid() != 0:
        return "a Slurm cluster on one machine needs root"
    missing = missing_packages(accounting)
    if missing and not shutil.which("apt-get"):
        return f"these are not installed, and there is no apt-get: {', '.join(missing)}"
    return None


def install(accounting: bool) -> None:
    """Install what is missing."""
    if reason := reason_it_cannot_run(accounting):
        raise RuntimeError(reason)
    if missing := missing_packages(accounting):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["install", "-q", "-y", "--no-install-recommends", *missing]
        for words in (["update", "-q"], install):
            subprocess.run(["apt-get", *words], env=env, check=True)
