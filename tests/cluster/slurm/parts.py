"""The daemons a cluster is made of, in the order in which they are started."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slurm import config
from slurm.config import Settings


def nothing(settings: Settings) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Part:
    """A daemon: its name, its command, and what comes before and after its start."""

    name: str
    command: list[str]
    prepare: Callable[[Settings], None] = nothing
    answers: tuple[str, ...] = ("true",)
    complete: Callable[[Settings], None] = nothing

    def is_ready(self) -> bool:
        """Return whether the daemon answers."""
        return _run(*self.answers).returncode == 0


def parts(settings: Settings) -> list[Part]:
    """Return the daemons of a cluster with these settings."""
    accounting = [_mariadbd(settings), _slurmdbd()] if settings.accounting else []
    nodes = [_slurmd(node) for node in config.NODES]
    return [_munged(settings), *accounting, _slurmctld(), *nodes]


def _munged(settings: Settings) -> Part:
    # --force, because munged finds the permissions of folders such as /var/tmp unsafe.
    state = settings.state
    files = [f"--{file}-file={state}/munge.{file}" for file in ("key", "log", "seed")]
    command = ["munged", "--foreground", "--force", *files]
    return Part("munged", command, _make_key, answers=("munge", "-n"))


def _make_key(settings: Settings) -> None:
    key = settings.state / "munge.key"
    if not key.exists():
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
    Path("/run/munge").mkdir(mode=0o755, exist_ok=True)


def _mariadbd(settings: Settings) -> Part:
    state = settings.state
    options = [
        "--no-defaults",
        "--user=root",
        f"--datadir={state}/mariadb",
        f"--socket={state}/mariadb.socket",
        "--bind-address=127.0.0.1",
        f"--port={config.MARIADB_PORT}",
        f"--pid-file={state}/mariadb.pid",
        f"--init-file={state}/setup.sql",
        # slurmdbd refuses to start with less, or complains.
        "--innodb-buffer-pool-size=128M",
        "--innodb-lock-wait-timeout=900",
        # Nobody needs these data after a power cut.
        "--innodb-flush-log-at-trx-commit=0",
    ]
    socket = f"--socket={state}/mariadb.socket"
    answers = ("mariadb-admin", "--no-defaults", "--user=root", socket, "ping")
    return Part("mariadbd", ["mariadbd", *options], _make_database, answers)


def _make_database(settings: Settings) -> None:
    state = settings.state
    (state / "setup.sql").write_text(config.database_setup())
    if not (state / "mariadb").exists():
        options = ["--no-defaults", "--user=root", f"--datadir={state}/mariadb"]
        _run("mariadb-install-db", *options, "--skip-test-db").check_returncode()


def _slurmdbd() -> Part:
    answers = ("sacctmgr", "-n", "show", "cluster")
    return Part("slurmdbd", ["slurmdbd", "-D"], answers=answers, complete=_add_account)


def _add_account(settings: Settings) -> None:
    """Add the cluster, and the user root with account 'acc'."""
    add = ("sacctmgr", "-i", "add")
    _run(*add, "cluster", config.CLUSTER)
    _run(*add, "account", "acc", f"Cluster={config.CLUSTER}")
    _run(*add, "user", "root", "Account=acc")
    set_default = ("set", "DefaultAccount=acc")
    _run("sacctmgr", "-i", "modify", "user", "root", *set_default)


def _slurmctld() -> Part:
    return Part("slurmctld", ["slurmctld", "-D"], answers=("scontrol", "ping"))


def _slurmd(node: str) -> Part:
    return Part(f"slurmd-{node}", ["slurmd", "-D", "-N", node])


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True)
