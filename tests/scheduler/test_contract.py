"""The contract, kept by schedulers that need no queue."""

from __future__ import annotations

from local_queue import LocalQueue

from psyrun.scheduler import ImmediateRun
from psyrun.testing import SchedulerContract


class TestImmediateRun(SchedulerContract):
    kind = ImmediateRun
    goes_on = False


class TestLocalQueue(SchedulerContract):
    kind = LocalQueue
    scheduler_args = {"nice": 1}
    unknown_id = 999999
