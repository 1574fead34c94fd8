"""What a sweep will cost, and which settings of its task fit that.

`proposal_of` works it out from an estimate, and `proposal_lines` says it. In a queue::

    known = {"values": values, "overhead": 2.0, "limits": limits, "row_bytes": 80.0}
    situation = Situation.of(task, n_left=len(left), left=left, spent=seconds, **known)
    proposal = proposal_of(estimate, situation)
    for line in proposal_lines(proposal, width):
        print(line)

with `values` as `Scheduler.validate` returns them for ``<task>:process:0``, and
`limits` as `Scheduler.limits` returns them for these. On this machine, `cores` takes
the place of `values`: how many a run uses at once.

To put what is proposed into the task file::

    source = TaskSource.read(path)  # before the task is loaded
    ...
    for line in write_settings(task, source, proposal.changes):
        print(line)
"""

from psyrun.planning.proposals.answers import (
    JobMemory,
    Proposal,
    Region,
    Setting,
    WallTime,
)
from psyrun.planning.proposals.making import proposal_of
from psyrun.planning.proposals.situation import Situation
from psyrun.planning.proposals.telling import proposal_lines
from psyrun.planning.proposals.writing import write_settings

__all__ = [
    "JobMemory",
    "Proposal",
    "Region",
    "Setting",
    "Situation",
    "WallTime",
    "proposal_lines",
    "proposal_of",
    "write_settings",
]
