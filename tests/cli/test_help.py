import pytest

from psyrun.cli import SUMMARIES
from psyrun.tasks.config import SPECIAL_NAMES


def test_every_special_variable_is_explained(psy):
    out = psy("help", "task-file").out
    for name in SPECIAL_NAMES:
        assert f"\n{name} : " in out


@pytest.mark.parametrize("verb", SUMMARIES)
def test_every_command_has_help(psy, verb):
    assert psy("help", verb).out.startswith(f"usage: psy {verb} ")


def test_help_without_a_topic_lists_the_commands(psy):
    out = psy("help").out
    for verb in SUMMARIES:
        assert f"\n    {verb}" in out


def test_an_unknown_topic_is_refused(psy):
    result = psy("help", "task-files")
    assert result.status == 2
    assert "Did you mean 'task-file'?" in result.err
