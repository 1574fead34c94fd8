"""What a sweep will cost, and what is proposed, from an estimate."""

from __future__ import annotations

from psyrun.estimate import Estimate, Range
from psyrun.planning.proposals.answers import Proposal
from psyrun.planning.proposals.cautions import cautions
from psyrun.planning.proposals.memory import job_memory
from psyrun.planning.proposals.settings import settings
from psyrun.planning.proposals.situation import Situation
from psyrun.planning.proposals.work import Work, walls


def proposal_of(estimate: Estimate, situation: Situation) -> Proposal:
    """Work out what is left of a sweep will cost, and how it is best run.

    Nothing is read or asked for: what is known of the task, the queue and the machine
    is in `situation`.

    Parameters
    ----------
    estimate : Estimate
        What the assignments are predicted to cost.
    situation : Situation
        What there is to do, from `Situation.of`.

    Returns
    -------
    Proposal
        Its numbers are of the assignments that are left.
    """
    s = situation
    work = Work.of(estimate, s)
    proposed = settings(estimate, s, work)
    values = {each.name: each.value for each in proposed if each.key is None}
    n_proposed = s.n_jobs(values["max_jobs"], values.get("min_items", s.min_items))
    found = walls(work, s, (n_proposed,)) if s.n_left else ()
    current = next((wall for wall in found if wall.is_current), None)
    memory = job_memory(estimate.memory, s, s.pool_size)
    core_hours = _core_hours(work, s)
    return Proposal(
        estimate=estimate,
        situation=s,
        core_hours=core_hours,
        price=None if s.rate is None else _times(core_hours, s.rate),
        walls=found,
        memory=memory,
        disk=None if s.row_bytes is None else s.row_bytes * estimate.n_assignments,
        settings=proposed,
        warnings=tuple(cautions(estimate, s, work, current, memory)),
    )


def _core_hours(work: Work, s: Situation) -> Range:
    """Return what jobs reserve: their cores as long as they run."""
    n_cores = s.n_cpus if s.is_queued else s.pool_size
    n_jobs = s.n_jobs(s.max_jobs, s.min_items)
    evaluating = _times(work.seconds, n_cores / s.pool_size)
    beside = n_jobs * s.overhead * n_cores
    ends = (evaluating.value, evaluating.low, evaluating.high)
    return Range(*((seconds + beside) / 3600 for seconds in ends))


def _times(one: Range, factor: float) -> Range:
    return Range(one.value * factor, one.low * factor, one.high * factor)
