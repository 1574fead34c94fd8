"""Steps that did not begin, since their Python did not start psyrun."""

from __future__ import annotations

from contextlib import suppress

from psyrun.steps.command import StepCommand
from psyrun.utils.files import write_json
from psyrun.utils.process.interpreter import own_fault, why_not_started
from psyrun.workdir.step_note import step_note

NOT_STARTED = "NotStarted"
"""Type of the error that is recorded for such a step."""

STATUS = 2
"""Exit status of such a step."""

_LONGEST_END = 4096  # bytes of a log that are read


def record_not_started(step: StepCommand, python: str, *, is_here: bool) -> bool:
    """Record why a step that failed did not begin; return whether that is so.

    Parameters
    ----------
    python : str
        The Python of the task, as its plan has it.
    is_here : bool
        Whether the step was to run on this machine.
    """
    said = _end_of_log(step)
    if _has_recorded(step, said):
        return False
    why = why_not_started(python, said)
    if not why and is_here and not said:
        # What would have run it did not even start.
        why = own_fault()
    if not why:
        return False
    record_cause(step, why)
    return True


def record_cause(step: StepCommand, why: str) -> None:
    """Record why a step did not begin, in its note and in its log."""
    record = {"type": NOT_STARTED, "message": why, "exit_status": STATUS}
    write_json(step.round.error(step.name), record)
    with suppress(OSError), step.log.open("a", encoding="utf-8") as log:
        log.write(f"{why}\n")


def _has_recorded(step: StepCommand, said: str) -> bool:
    """Whether the step began and has said why it failed.

    What was recorded before stays until it begins.
    """
    note = step_note(step.round.error(step.name))
    if note is None:
        return False
    lines = str(note["message"]).splitlines()
    return bool(lines) and lines[-1].strip() in said


def _end_of_log(step: StepCommand) -> str:
    try:
        with step.log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LONGEST_END))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
