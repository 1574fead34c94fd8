"""A space is shown by its axes and its first and last points."""

from __future__ import annotations

import datetime
import math
import re

import numpy as np
import pytest

from psyrun import Param
from psyrun.pspace import ParameterSpace, Random, uniform
from psyrun.pspace.finding import count_different
from psyrun.pspace.showing import as_html, axes_of, values_text

TRILLION = Param(a=range(10**6)) * Param(b=range(5 * 10**6))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 2, 3], "1, 2, 3"),
        (list(range(9, -1, -1)), "0 to 9"),
        (np.linspace(0, 1, 11), "0.0 to 1.0"),
        ([0.5, math.nan, 2.0, 1.0, 3.0, 7.0], "0.5 to 7.0, nan"),
        ([math.nan] * 6, "nan, nan, nan, nan, nan, …"),
        (
            [f"name {i}" for i in range(9)],
            "'name 0', 'name 1', 'name 2', 'name 3', 'name 4', …",
        ),
        (
            [datetime.date(2024, 3, 9), datetime.date(2024, 3, 1)],
            "2024-03-09, 2024-03-01",
        ),
        (
            [datetime.date(2024, 3, d) for d in range(9, 1, -1)],
            "2024-03-02 to 2024-03-09",
        ),
        (
            [datetime.datetime(2024, 3, 1, hour) for hour in range(6)],
            "2024-03-01T00:00 to 2024-03-01T05:00",
        ),
        ([datetime.timedelta(hours=h) for h in (3, 0, *range(5))], "0s to 4h"),
        (np.arange(9) * np.timedelta64(90, "m"), "0s to 12h"),
        (np.arange("2024-01", "2025-01", dtype="datetime64[M]"), "2024-01 to 2024-12"),
        (
            np.array(["2024-03-01T12:00"], "datetime64[ns]"),
            "2024-03-01T12:00:00.000000000",
        ),
        ([datetime.time(8, 30), *[None] * 5], "08:30, None, None, None, None, …"),
        (
            [
                datetime.datetime(2024, 1, 1),
                *[datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)] * 5,
            ],
            ", ".join(["2024-01-01T00:00", *["2024-01-01T00:00+00:00"] * 4, "…"]),
        ),
        (range(10**12), "0 … 999999999999"),
        (["x" * 99], "'" + "x" * 28 + "…"),
        ([], ""),
    ],
)
def test_values_are_listed_or_told_by_their_ends(values, text: str) -> None:
    assert values_text(Param(v=values), "v") == text


def test_axes_have_names_sizes_and_values() -> None:
    space = Param(a=[1, 2], unit="mV") * Param(b=[3], c=["x"]) * Param(d=[4, 5])
    axes, attributes = axes_of(space.where(lambda a, d: a < d))
    assert axes == [("a", 2, "1, 2"), ("d", 2, "4, 5")]
    assert attributes == {"unit": "'mV'", "b": "3", "c": "'x'"}
    assert axes_of(TRILLION)[0][1] == ("b", 5 * 10**6, "0 … 4999999")


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (TRILLION, "Param(a=range(0, 1000000)) * Param(b=range(0, 5000000))"),
        (
            Param(a=list(range(99))) * Param(b=["x", "y"]) * Param(c=[1], d=[2]),
            "<Product of 198 points: a 0 to 98 (99) * b 'x', 'y' (2) * c, d (1)>",
        ),
        (
            Param(a=list(range(99))).repeat(4) * Param(b=range(2 * 10**6)),
            "<Product of 792000000 points: a 0 to 98 (99) * 4 times * b (2000000)>",
        ),
        (
            Random(10**12, {"seed": uniform(0, 1), "b": [1, 2]}),
            "<Random of 1000000000000 points: seed=uniform(0.0, 1.0), b=[1, 2]>",
        ),
    ],
)
def test_representations_tell_axes(space: ParameterSpace, text: str) -> None:
    assert repr(space) == text


def test_a_product_of_many_factors_is_cut() -> None:
    space = Param(k=list(range(50)))
    for i in range(20):
        space = space * Param(**{f"parameter_{i}": ["a long text", "another one"]})
    assert len(repr(space)) < 140
    assert repr(space).endswith(" * …>")


def test_html_has_the_axes_and_the_ends() -> None:
    html = as_html(Param(a=range(10)) * Param(b=["<i>", "y"], c=[1, 2]))
    assert "<b>20 points</b>" in html
    assert "<td>a</td><td>10</td><td>0 to 9</td>" in html
    assert "&lt;i&gt;" in html and "<i>" not in html
    numbers = re.findall(r"<tr><td>(\d+|…)</td><td>", html)
    assert numbers == ["0", "1", "2", "…", "17", "18", "19"]
    assert html.count("<table>") == html.count("</table>") == 2
    assert html == (Param(a=range(10)) * Param(b=["<i>", "y"], c=[1, 2]))._repr_html_()


@pytest.mark.parametrize(
    ("space", "title"),
    [
        (Param(), "0 points"),
        (Param(a=[]), "0 points"),
        (Param(a=1), "1 point"),
        (TRILLION, "5000000000000 points"),
        (TRILLION.shuffle(), "5000000000000 points"),
        (Param(a=[1]).repeat(8), "8 points"),
    ],
)
def test_any_space_has_html(space: ParameterSpace, title: str) -> None:
    assert f"<b>{title}</b>" in as_html(space)


@pytest.mark.parametrize(
    ("space", "n_different"),
    [
        (TRILLION, 5 * 10**12),
        (TRILLION.repeat(10), 5 * 10**12),
        (Param(a=[1, 2, 1.0]) * Param(b=range(10**9)), 2 * 10**9),
        (Param(a=[1, 2]) + Param(a=[2, 3]), 3),
        ((Param(a=[1, 2]) * Param(b=[1])).repeat(3).shuffle()[:5], 2),
        (Param(a=[]), 0),
        (Param(), 0),
    ],
)
def test_different_points_are_counted(space: ParameterSpace, n_different: int) -> None:
    assert count_different(space, tuple(space.keys())) == n_different
