"""What psy space prints fits the terminal, and is whole all the same."""

import pytest

LONG = "a_parameter_with_a_long_name"
WIDE = f"""\
from psyrun import Param

pspace = Param({LONG}=[1e-300, 1e300]) * Param(n=[10**18, 10**18 + 1])
pspace *= Param(name=["a word " * 3 + str(n) for n in range(4)])


def execute(**parameters):
    return {{"y": 1}}
"""


@pytest.fixture
def printed(psy, write_task, monkeypatch):
    """Return what it prints at some width of the terminal, None for a pipe."""
    write_task("square", WIDE)

    def call(width, *arguments):
        monkeypatch.setattr("psyrun.cli.space.width_of", lambda _: width)
        return psy("space", "square", *arguments).out.splitlines()

    return call


@pytest.mark.parametrize("arguments", [(), ("-p", f"{LONG}=1e300")])
def test_lines_fit_the_terminal(printed, arguments):
    whole = " ".join(" ".join(printed(None, *arguments)).split())
    assert "'a word a word a word 3'" in whole and str(10**18 + 1) in whole
    for width in (45, 60, 80):
        lines = printed(width, *arguments)
        assert max(map(len, lines)) <= width
        text = " ".join(" ".join(lines).split())
        for part in ("1000000000000000001", "'a word a word a word 3'", "duplicates"):
            assert part in text
    assert printed(200, *arguments) == printed(None, *arguments)


def test_points_of_a_part_are_told_one_after_the_other(printed):
    lines = printed(60, "-p", "name='a word a word a word 2'", "-p", f"n={10**18}")
    first = " ".join(" ".join(lines[-4:-2]).split())
    assert first == (
        f"2: {LONG}=1e-300, n=1000000000000000000, name='a word a word a word 2'"
    )
