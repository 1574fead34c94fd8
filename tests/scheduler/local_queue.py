"""A queue of one's own: each job is a process in the background."""

import os
import signal
import subprocess
from pathlib import Path

from psyrun.scheduler import JobStatus, Scheduler

# Starts a command in a session of its own, which outlives us and can be killed with
# all that it starts, and prints its process id.
START = 'setsid "$@" >> "$0" 2>&1 < /dev/null & echo $!'

# Waits for the jobs before it, runs the command, and notes its exit status. The
# first arguments are the file for this status and the number of jobs to wait for.
SCRIPT = """\
status=$1; shift
waiting=$1; shift
while [ "$waiting" -gt 0 ]; do
    until [ -s "$1" ]; do sleep 0.1; done
    [ "$(cat "$1")" = 0 ] || { echo 1 > "$status"; exit 1; }
    shift; waiting=$((waiting - 1))
done
"$@"
echo $? > "$status"
"""


class LocalQueue(Scheduler):
    """Runs each job at once, in the background of this machine.

    Parameters
    ----------
    workdir : str or path, optional
        Folder in which there will be a folder for each job.
    """

    USER_DEFAULT_ARGS = {"nice": 0}

    def __init__(self, workdir="/tmp/local-queue"):
        self.workdir = Path(workdir).absolute()

    def submit(
        self, args, output_filename, name=None, depends_on=None, scheduler_args=None
    ):
        name = name or args[0]
        values = self.validate(scheduler_args or {}, name)
        before = [str(self._job(jobid) / "status") for jobid in depends_on or ()]
        jobid, job = self._new_job()
        (job / "name").write_text(name)
        nice = ["nice", "-n", str(values.get("nice", 0)), "sh", "-c", SCRIPT, "sh"]
        words = [str(job / "status"), str(len(before)), *before, *args]
        started = subprocess.run(
            ["sh", "-c", START, output_filename, *nice, *words],
            stdout=subprocess.PIPE,
            check=True,
        )
        (job / "pid").write_bytes(started.stdout.strip())
        return jobid

    def get_status(self, jobid):
        job = self._job(jobid)
        try:
            name = (job / "name").read_text()
        except FileNotFoundError:
            return None
        return JobStatus(jobid, "R" if self._lives(job) else "D", name)

    def get_jobs(self):
        jobids = sorted(int(job.name) for job in self.workdir.glob("*"))
        return [jobid for jobid in jobids if self._lives(self._job(jobid))]

    def kill(self, jobid):
        job = self._job(jobid)
        if self._lives(job):
            os.killpg(int((job / "pid").read_text()), signal.SIGKILL)
            (job / "status").write_text("killed")

    def _job(self, jobid):
        return self.workdir / str(jobid)

    def _new_job(self):
        """Make the folder of a new job, which no one else can do as well."""
        self.workdir.mkdir(parents=True, exist_ok=True)
        jobid = 1
        while True:
            try:
                self._job(jobid).mkdir()
            except FileExistsError:
                jobid += 1
            else:
                return jobid, self._job(jobid)

    def _lives(self, job):
        if (job / "status").exists() or not (job / "pid").exists():
            return False
        pid = (job / "pid").read_text()
        command = ["ps", "-o", "stat=", "-p", pid]
        state = subprocess.run(command, capture_output=True, text=True).stdout
        return state.strip() != "" and not state.startswith("Z")
