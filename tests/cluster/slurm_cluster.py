"""A real Slurm with two virtual nodes on this machine, for tests.

    python tests/cluster/slurm_cluster.py start [--accounting]
    python tests/cluster/slurm_cluster.py stop

It needs root, but no systemd. What it writes lives in /var/tmp/psyrun-slurm, except
for /etc/slurm/slurm.conf (and slurmdbd.conf), which it writes only where there is
none yet or its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from slurm import config
from slurm.config import Settings
from slurm.daemons import Daemons, wait_until
from slurm.install import install, reason_it_cannot_run
from slurm.parts import Part, parts
from slurm.sharing import Share

STATE = Path("/var/tmp/psyrun-slurm")
# 'planned' is idle, with a job to come. A '+' behind a state means that a job ends,
# a '*' that the node does not answer.
TAKES_JOBS = {"idle", "planned", "mixed", "allocated", "completing", "allocated+"}


class ClusterError(Exception):
    """The test cluster does not do what it should."""


class SlurmCluster:
    """A Slurm of two nodes, n1 and n2; there is one per machine.

    Parameters
    ----------
    accounting : bool
        Whether finished jobs are recorded (slurmdbd with MariaDB). The user root
        then submits under the account 'acc', whose limits can be set.
    max_array_size : int
        Slurm's MaxArraySize; the largest index of an array is one less.
    cpus : int
        CPUs of each node; more than this machine has, so that a hundred jobs that
        hardly compute anything do not wait for each other.
    state : Path
        Folder for logs and state.
    """

    def __init__(
        self,
        accounting: bool = False,
        max_array_size: int = 1001,
        cpus: int = 8,
        state: Path = STATE,
    ) -> None:
        self.settings = Settings(state, accounting, max_array_size, cpus)
        self._parts = {part.name: part for part in parts(self.settings)}
        self._daemons = Daemons(state)
        self._share = Share.of(state)

    def install(self) -> None:
        """Install what is missing, with apt-get."""
        install(self.settings.accounting)

    def start(self, patience: float = 60) -> None:
        """Start the cluster, or what is missing of it.

        Nothing happens if it runs already with the same settings. If it runs with
        others, it is started again, without the jobs and the state it had.
        """
        if not self.is_up():
            self._share.take_alone()
            if not self._is_configured():
                self._set_up()
            for part in self._parts.values():
                self._start(part)
            self._resume_nodes()
            self._wait(self.is_up, patience, "does not come up")
        self._share.take_with_others()

    def stop(self) -> None:
        """End all jobs and daemons of the cluster, and only these."""
        self._share.take_alone()
        every_part = parts(Settings(self.settings.state, accounting=True))
        for name in reversed([part.name for part in every_part]):
            self._daemons.stop(name)
            self._daemons.kill_what_it_started(name)
        for path in (config.SLURM_CONF, config.GRES_CONF, config.SLURMDBD_CONF):
            if config.is_ours(path):
                path.unlink()

    def tear_down(self) -> None:
        """Stop the cluster and remove its state and logs."""
        self.stop()
        shutil.rmtree(self.settings.state, ignore_errors=True)

    def is_up(self) -> bool:
        """Return whether all daemons run and both nodes take jobs."""
        if not self._is_configured() or any(
            map(self._is_missing, self._parts.values())
        ):
            return False
        states = self.node_states()
        return set(states) == set(config.NODES) and set(states.values()) <= TAKES_JOBS

    def node_states(self) -> dict[str, str]:
        """Return what sinfo says of each node, such as 'idle' or 'down*'."""
        sinfo = ("sinfo", "--noheader", "-N", "-p", "main", "-o", "%N %T")
        lines = self.run_cli(*sinfo, check=False).splitlines()
        return dict(line.split() for line in lines)

    def wait_until_idle(self, patience: float = 60) -> None:
        """Wait until no job is queued or runs, and both nodes are idle."""

        def is_idle() -> bool:
            jobs = self.run_cli("squeue", "--noheader", check=False)
            return not jobs and set(self.node_states().values()) == {"idle"}

        self._wait(is_idle, patience, "is still busy")

    def run_cli(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's commands and return what it prints."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if check and done.returncode:
            raise ClusterError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def stop_controller(self) -> None:
        """End slurmctld; jobs run on, but nobody can ask for them."""
        self._share.take_alone()
        self._daemons.stop("slurmctld")

    def start_controller(self) -> None:
        """Start slurmctld with the jobs it knew."""
        self._start(self._parts["slurmctld"])

    def kill_node(self, node: str, with_jobs: bool = True) -> None:
        """Let a node crash: its slurmd, and the jobs on it unless told otherwise."""
        self._share.take_alone()
        self._daemons.kill(f"slurmd-{node}")
        if with_jobs:
            self._daemons.kill_what_it_started(f"slurmd-{node}")

    def start_node(self, node: str, patience: float = 60) -> None:
        """Start a node's slurmd and wait until the node takes jobs."""
        self._start(self._parts[f"slurmd-{node}"])

        def takes_jobs() -> bool:
            return self.node_states().get(node) in TAKES_JOBS

        self._wait(takes_jobs, patience, f"has no node {node}")

    def wait_for_state(self, job: str, state: str, patience: float = 60) -> None:
        """Wait until squeue says a state of a job, such as 'RUNNING'."""
        squeue = ("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%T")
        self._wait(
            lambda: state in self.run_cli(*squeue).split(),
            patience,
            f"does not bring job {job} to state {state}",
        )

    def end_time_limit(self, job: str) -> None:
        """Let a job reach its time limit within 30 s rather than a minute and more.

        Slurm looks every 30 s, and limits are whole minutes.
        """
        self.wait_for_state(job, "RUNNING")
        self.run_cli("scontrol", "update", f"JobId={job}", "EndTime=now+1")

    def cancel_jobs_of(self, folder: Path) -> None:
        """Cancel the jobs whose working folder is this one or inside it."""
        squeue = ("squeue", "-h", "-o", "%F %Z")
        lines = [line.split(maxsplit=1) for line in self.run_cli(*squeue).splitlines()]
        jobs = {job for job, workdir in lines if Path(workdir).is_relative_to(folder)}
        if jobs:
            self.run_cli("scancel", *jobs)

    def daemons(self) -> dict[str, int | None]:
        """Return the process id of each daemon that we started."""
        return {name: self._daemons.pid(name) for name in self._daemons.running()}

    def set_max_submit_jobs(self, limit: int | None) -> None:
        """Limit how many jobs the user may have at a time; None lifts the limit."""
        maximum = f"MaxSubmitJobs={-1 if limit is None else limit}"
        where = ("where", "Name=root", "Account=acc")
        self.run_cli("sacctmgr", "-i", "modify", "user", *where, "set", maximum)

    def logs(self, lines: int = 15) -> str:
        """Return what runs, and the ends of the daemons' logs."""
        state = self.settings.state
        said = [f"running: {self._daemons.running()}; nodes: {self.node_states()}"]
        for log in sorted([*state.glob("*.log"), *state.glob("*.out")]):
            tail = log.read_text(errors="replace").splitlines()[-lines:]
            said += [f"--- {log}", *tail]
        return "\n".join(said)

    def _start(self, part: Part) -> None:
        if not self._is_missing(part):
            return
        part.prepare(self.settings)
        self._daemons.start(part.name, part.command)

        def answers_or_died() -> bool:
            return part.is_ready() or self._daemons.pid(part.name) is None

        self._wait(answers_or_died, 60, f"has no {part.name}")
        self._wait(part.is_ready, 1, f"lost {part.name}")
        part.complete(self.settings)

    def _resume_nodes(self) -> None:
        """Take nodes back that Slurm took out, as it does after some failures."""
        for node, state in self.node_states().items():
            if state.startswith("drain"):
                update = ("scontrol", "update", f"NodeName={node}", "State=RESUME")
                self.run_cli(*update, check=False)

    def _is_missing(self, part: Part) -> bool:
        if self._daemons.pid(part.name) is not None:
            return False
        # The system may have its own munged.
        return part.name != "munged" or not part.is_ready()

    def _is_configured(self) -> bool:
        try:
            return config.SLURM_CONF.read_text() == config.slurm_conf(self.settings)
        except OSError:
            return False

    def _set_up(self) -> None:
        self.stop()
        settings = self.settings
        shutil.rmtree(settings.state, ignore_errors=True)
        settings.state.mkdir(parents=True)
        config.write(config.SLURM_CONF, config.slurm_conf(settings))
        config.write(config.GRES_CONF, config.gres_conf(settings))
        for gpu in config.gpus(settings):
            os.mknod(gpu, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        if settings.accounting:
            text = config.slurmdbd_conf(settings)
            config.write(config.SLURMDBD_CONF, text, mode=0o600)

    def _wait(self, holds: Callable[[], bool], patience: float, otherwise: str) -> None:
        if not wait_until(holds, patience):
            raise ClusterError(f"The test cluster {otherwise}.\n{self.logs()}")


def main(args: Sequence[str] | None = None) -> int:
    """Start or stop the cluster by hand."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=["start", "stop", "logs"])
    parser.add_argument("--accounting", action="store_true", help="record jobs")
    parser.add_argument("--max-array-size", type=int, default=1001)
    options = parser.parse_args(args)
    if reason := reason_it_cannot_run(options.accounting):
        print(f"No test cluster: {reason}.", file=sys.stderr)
        # There is nothing to stop then.
        return 0 if options.action == "stop" else 1
    cluster = SlurmCluster(options.accounting, options.max_array_size)
    if options.action == "stop":
        cluster.tear_down()
    elif options.action == "logs":
        print(cluster.logs(lines=40))
    else:
        cluster.install()
        cluster.start()
        print(cluster.run_cli("sinfo"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
