"""The configuration files of the test cluster."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

# Slurm reads its files from here whatever we say: a job's own commands do not get
# our environment.
SLURM_CONF = Path("/etc/slurm/slurm.conf")
GRES_CONF = Path("/etc/slurm/gres.conf")
SLURMDBD_CONF = Path("/etc/slurm/slurmdbd.conf")

# The first line of each file we write. A file without it belongs to a real cluster.
MARK = "# Written by tests/cluster/slurm_cluster.py of psyrun; it may be overwritten."

NODES = ("n1", "n2")
CONTROLLER_PORT = 16817
NODE_PORTS = {"n1": 17001, "n2": 17002}
SLURMDBD_PORT = 16819
MARIADB_PORT = 13306
CLUSTER = "psyrun"
DATABASE = "slurm_acct_db"

# Megabytes of a node, and of a job that doesn't say what it needs, for each CPU.
MEMORY = 4000
DEFAULT_MEMORY = 500

# Of each node; they are devices like /dev/null, which is all that Slurm looks for.
GPUS = 2


@dataclass(frozen=True)
class Settings:
    """What may differ between two test clusters."""

    state: Path
    accounting: bool = False
    max_array_size: int = 1001
    cpus: int = 8


def slurm_conf(settings: Settings) -> str:
    """Return the text of slurm.conf."""
    state = settings.state
    host = socket.gethostname().split(".")[0]
    return f"""{MARK}
ClusterName={CLUSTER}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={CONTROLLER_PORT}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
MpiDefault=none
ReturnToService=2
SlurmctldParameters=enable_configless

StateSaveLocation={state}/controller
SlurmctldPidFile={state}/slurmctld.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmctldDebug=verbose
SlurmdSpoolDir={state}/spool-%n
SlurmdPidFile={state}/slurmd-%n.pid
SlurmdLogFile={state}/slurmd-%n.log
SlurmdDebug=verbose

# No control groups, no binding: both need rights that containers do not give.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none

# OverMemoryKill, because without control groups nothing else stops a job that
# takes more memory than it asked for; it looks every second.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill

GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU={DEFAULT_MEMORY}
MaxArraySize={settings.max_array_size}
MaxJobCount=20000

# Answer at once: real clusters wait longer everywhere.
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,\
sched_min_interval=0,default_queue_depth=1000
KillWait=3
CompleteWait=0
OverTimeLimit=0
InactiveLimit=0
MinJobAge=300
MessageTimeout=10
SlurmctldTimeout=30
# A node that does not answer for so long is down, and its jobs have failed.
SlurmdTimeout=15

{_accounting(settings)}
# config_overrides: believe these lines rather than the hardware.
SlurmdParameters=config_overrides
{_nodes(settings, host)}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
PartitionName=short Nodes=ALL MaxTime=5 State=UP
"""


def gpus(settings: Settings) -> list[Path]:
    """Return the files that stand for the GPUs of a node."""
    return [settings.state / f"gpu{number}" for number in range(GPUS)]


def gres_conf(settings: Settings) -> str:
    """Return the text of gres.conf."""
    files = settings.state / f"gpu[0-{GPUS - 1}]"
    return f"{MARK}\nName=gpu File={files}\n"


def _nodes(settings: Settings, host: str) -> str:
    return "\n".join(
        f"NodeName={node} NodeAddr=127.0.0.1 NodeHostname={host} "
        f"Port={NODE_PORTS[node]} CPUs={settings.cpus} RealMemory={MEMORY} "
        f"Gres=gpu:{GPUS}"
        for node in NODES
    )


def _accounting(settings: Settings) -> str:
    if not settings.accounting:
        return "AccountingStorageType=accounting_storage/none\n"
    return f"""\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={SLURMDBD_PORT}
AccountingStorageEnforce=associations,limits
AccountingStoreFlags=job_comment
"""


def slurmdbd_conf(settings: Settings) -> str:
    """Return the text of slurmdbd.conf."""
    state = settings.state
    return f"""{MARK}
AuthType=auth/munge
DbdHost=localhost
DbdPort={SLURMDBD_PORT}
SlurmUser=root
PidFile={state}/slurmdbd.pid
LogFile={state}/slurmdbd.log
DebugLevel=verbose
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={MARIADB_PORT}
StorageUser=slurm
StoragePass=slurm
StorageLoc={DATABASE}
"""


def database_setup() -> str:
    """Return the statements that make the database and its user."""
    return f"""\
CREATE DATABASE IF NOT EXISTS {DATABASE};
CREATE USER IF NOT EXISTS slurm@'%' IDENTIFIED BY 'slurm';
GRANT ALL ON {DATABASE}.* TO slurm@'%';
"""


def is_ours(path: Path) -> bool:
    """Return whether we wrote a file."""
    return path.exists() and path.read_text().startswith(MARK)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write one of these files, but never over somebody's real configuration."""
    if path.exists() and not is_ours(path):
        raise RuntimeError(
            f"{path} is not ours: this machine belongs to a cluster. Run these tests "
            "on another one, such as a container."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode)
    path.chmod(mode)
    path.write_text(text)
