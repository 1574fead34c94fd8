"""Plots fit the terminal, whatever is in them, and nothing that matters is hidden."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from sweeps import drawn, sweep_of

from psyrun import Param
from psyrun.pspace import Random, uniform
from psyrun.report.terminal import limits_of, render
from psyrun.report.terminal.style import ASCII_MARKERS, MARKERS, Style

COLOURS = re.compile("\x1b\\[[0-9;]*m")
STYLES = [
    Style(80, colours, is_unicode)
    for colours in (0, 256, 1 << 24)
    for is_unicode in (True, False)
]
ODD = [
    "a" * 300,
    "😀 smile",
    "<b>",
    'it\'s "quoted"',
    "\x1b[31mred",
    "名前",
    "a\nb",
    "",
]
SOLVERS = ["rk4", "euler", "lsoda"]
SPACE = (
    Param(beta=np.linspace(0, 1, 11)) * Param(solver=SOLVERS) * Param(n=[1, 10, 100])
)


def y_of(space, seed=1):
    return np.random.default_rng(seed).normal(size=len(space))


def plain(space, style=STYLES[0], y=None, *, missing=(), **options):
    y = y_of(space) if y is None else y
    sweep = sweep_of(space, {"y": y}, missing=missing)
    text = render(drawn(sweep, **options, limits=limits_of(style)), style)
    return COLOURS.sub("", text)


def shapes(names=SOLVERS):
    space = Param(beta=np.linspace(0, 1, 11)) * Param(solver=names) * Param(n=[1, 10])
    points = Random(40, seed=1, a=uniform(0, 1), b=uniform(0, 1)) * Param(solver=names)
    return {
        "line": (space, {}),
        "band": (space, {"over": "beta", "by": "solver", "band": "std"}),
        "bars": (space, {"over": "solver"}),
        "heat": (space, {"over": "beta,solver"}),
        "tall": (Param(a=range(99)) * Param(b=range(30)), {"over": "a,b"}),
        "long": (Param(a=range(999)) * Param(solver=names), {"over": "a"}),
        "scatter": (points, {"over": "a", "by": "solver"}),
        "histogram": (Param(trial=range(50)), {}),
    }


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("shape", shapes())
@pytest.mark.parametrize("names", [SOLVERS, ODD[:4], ODD[4:]])
def test_no_line_is_wider_than_the_terminal(shape, style, names):
    space, options = shapes(names)[shape]
    for line in plain(space, style, **options).splitlines():
        assert cell_len(line) <= 80
        assert "\x1b" not in line
        assert style.is_unicode or line.isascii()


@settings(max_examples=30)
@given(st.integers(40, 160), st.sampled_from(["line", "bars", "heat", "scatter"]))
def test_other_widths_are_kept_as_well(width, shape):
    space, options = shapes()[shape]
    lines = plain(space, Style(width), **options).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert max(map(cell_len, lines)) > width / 2


@pytest.mark.parametrize("style", STYLES[:2])
@given(
    n=st.integers(1, 60),
    n_series=st.integers(2, 7),
    is_same=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_each_series_is_seen(style, n, n_series, is_same, seed):
    space = Param(beta=range(max(n, n_series))) * Param(
        kind=[f"k{i}" for i in range(n_series)]
    )
    y = np.zeros(len(space)) if is_same else y_of(space, seed)
    text = plain(space, style, y, over="beta", by="kind")
    plot = text.partition("kind:")[0]
    markers = MARKERS if style.is_unicode else ASCII_MARKERS
    for number in range(n_series):
        assert markers[number] in plot
        assert f"{markers[number]} k{number}" in text


def test_colours_tell_series_apart_where_there_are_any():
    sweep = sweep_of(SPACE, {"y": y_of(SPACE)})
    style = Style(80, 256)
    text = render(drawn(sweep, by="solver", limits=limits_of(style)), style)
    assert len(set(COLOURS.findall(text))) == 4  # three colours, and back
    assert "\x1b" not in render(drawn(sweep), Style(80))


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
def test_the_ends_of_the_axes_have_labels(low, span):
    space = Param(x=[-2.5, 0.0, 17.25])
    lines = plain(space, y=np.array([low, low + span / 3, low + span])).splitlines()
    axis = next(number for number, line in enumerate(lines) if "└" in line)
    labels = [line.split("┤")[0].strip() for line in lines[:axis] if "┤" in line]
    rounding = span * 1e-6 + abs(low) * 1e-9  # of labels
    assert float(labels[-1]) <= low + rounding
    assert float(labels[0]) >= low + span - rounding
    assert lines[axis + 1].split()[0] == "-2.5"
    assert lines[axis + 1].split()[-1] == "17.25"


def test_a_line_of_very_many_points_reaches_from_the_least_to_the_largest():
    y = np.zeros(50_000)
    y[25_000] = 4.0
    lines = plain(Param(a=range(50_000)), y=y, over="a").splitlines()
    rows = [line.partition("┤")[2] or line.partition("│")[2] for line in lines[2:18]]
    assert all(len(row.strip()) == 1 for row in rows[1:-1])
    assert len(rows[-1].strip()) == len(rows[-1])


def test_huge_numbers_are_drawn():
    ends = [-1.7e308, 1.7e308]
    space = Param(a=np.concatenate([ends, np.arange(100.0)])) * Param(b=range(2))
    y = np.resize(ends, len(space))
    for options in ({"over": "a"}, {"over": "a,b"}, {"over": "b", "by": "a"}):
        assert "1.7e+308" in plain(space, y=y, **options)
    assert "1.7e+308" in plain(space, y=y, over="b", band="std")


def test_bars_have_their_numbers_and_begin_at_zero():
    space = Param(kind=["a", "b", "c"])
    lines = plain(space, y=np.array([-2.0, 0.0, 4.0])).splitlines()[2:]
    assert [line.split()[0] for line in lines] == ["a", "b", "c"]
    assert [line.split()[-1] for line in lines] == ["-2", "0", "4"]
    assert lines[2].count("█") == pytest.approx(2 * lines[0].count("█"), abs=1)
    assert lines[0].rindex("█") < lines[2].index("█")
    assert "█" not in lines[1]


def test_missing_cells_are_blank():
    space = Param(kind=["a", "b"]) * Param(n=[1, 2])
    missing = [1]
    lines = plain(space, y=np.arange(4.0), missing=missing, over="n,kind").splitlines()
    assert lines[2].rstrip().endswith("0")
    assert lines[3].rstrip().endswith("3")
    assert "1 of 4 cells is not computed yet" in lines[-1]
    lines = plain(space, y=np.arange(4.0), missing=missing, over="kind").splitlines()
    assert lines[3].split() == ["2", "│"]


def test_heat_maps_go_up_and_their_shades_follow_the_values():
    space = Param(a=range(40)) * Param(b=range(20))
    values = np.add.outer(np.arange(40.0), np.arange(20.0)).ravel()
    lines = plain(space, y=values, over="a,b").splitlines()
    cells = [line.partition("│")[2] for line in lines if "│" in line]
    assert (lines[2].split()[0], cells[0][-1], cells[-1][0]) == ("19", "█", "░")
    for line in cells:
        assert sorted(line, key="░▒▓█".index) == list(line)
    assert lines[-1].startswith("y:  ░ 0 to 14.5  ▒ 14.5 to 29")
    assert lines[-1].endswith("█ 43.5 to 58")


def test_half_blocks_show_two_levels_in_a_line():
    style = Style(80, 1 << 24)
    space = Param(a=range(10)) * Param(b=range(40))
    picture = drawn(
        sweep_of(space, {"y": y_of(space)}), over="a,b", limits=limits_of(style)
    )
    lines = [line for line in render(picture, style).splitlines() if "▀" in line]
    assert len(lines) == 20
    assert all("38;2;" in line and "48;2;" in line for line in lines)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm-256color"}, 256),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, 1 << 24),
        ({"TERM": "xterm", "NO_COLOR": "1"}, 0),
        ({"TERM": "dumb"}, 0),
    ],
)
def test_colours_are_those_of_the_terminal(monkeypatch, environment, colours):
    for name in ("TERM", "COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "100")
    style = Style.of(Terminal())
    assert style == Style(100, colours, True)
    assert Style.of(io.TextIOWrapper(io.BytesIO(), "latin-1")) == Style(100, 0, False)


@pytest.mark.parametrize("style", [Style(80), Style(80, is_unicode=False)])
def test_levels_that_only_differ_at_their_ends_are_told_apart(style):
    names = [f"{'a long name of a solver ' * 2}{number}" for number in range(3)]
    for width in (10, 21, 28):
        cut = style.told_apart(names, width)
        assert len(set(cut)) == 3 and max(map(len, cut)) <= width
        assert style.told_apart(names[:1], width) == [style.fitted(names[0], width)]
    assert style.told_apart(["a", "界" * 20, "界" * 19 + "地"], 9)[1:] in (
        ["界界…界界", "界界…界地"],
        ["???...???"] * 2,
    )
    assert style.told_apart(names, 99) == names


def test_bars_of_huge_whole_numbers_are_told_apart():
    huge = Param(n=[1, 10**18, 10**18 + 1]) * Param(m=["a name " * 9 + c for c in "ab"])
    lines = plain(huge, over="n").splitlines()
    levels = [line.split()[0] for line in lines if line[:1] == "1"]
    assert levels == ["1", "100000…000000", "100000…000001"]
    assert lines[2].count("…") == 1 and lines[2] != lines[3]
