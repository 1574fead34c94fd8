"""Pictures have the numbers, labels and units of the sweep, whatever its names are."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree
from datetime import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colors
from matplotlib.figure import Figure
from sweeps import drawn, sweep_of

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace import Random, uniform
from psyrun.report.figure import LIMITS, check_format, draw, save

ODD = ["$a$ and $", "😀", "</svg><script>", "_hidden", 'it\'s "q"', "x" * 300, "a\x1bb"]
ATTRS = {"y": {"units": "mV", "long_name": "peak"}, "n": {"units": "cells"}}
SPACE = Param(n=[1, 10, 100]) * Param(solver=["rk4", "euler"]) * Param(trial=range(4))


def picture(space=SPACE, *, attrs=ATTRS, missing=(), **options):
    y = np.random.default_rng(1).normal(size=len(space))
    sweep = sweep_of(space, {"y": y}, attrs=attrs, missing=missing)
    return drawn(sweep, **options, limits=LIMITS)


def axes_of(found, **options):
    axes = Figure().subplots()
    draw(found, axes, **options)
    return axes


def test_lines_have_the_numbers_and_labels_of_the_picture():
    found = picture(band="std")
    axes = axes_of(found)
    for series, line in enumerate(axes.get_lines()):
        assert line.get_xdata().tolist() == [1, 10, 100]
        np.testing.assert_array_equal(line.get_ydata(), found.cells.values[:, series])
    assert len(axes.collections) == 2  # bands
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("n (cells)", "peak (mV)")
    assert axes.get_xscale() == "log"
    assert axes.get_title() == found.title
    legend = axes.get_legend()
    assert legend.get_title().get_text() == "solver"
    assert [text.get_text() for text in legend.get_texts()] == ["rk4", "euler"]


def test_heat_maps_have_a_scale_and_blank_cells():
    found = picture(over="n,trial", missing=[0, 4])
    axes = axes_of(found)
    mesh = axes.collections[0]
    values = np.ma.filled(mesh.get_array(), np.nan).reshape(4, 3)
    np.testing.assert_array_equal(values, found.cells.values.T)
    assert np.isnan(values[0, 0])
    assert mesh.get_cmap().name == "viridis"
    assert axes.figure.axes[1].get_ylabel() == "peak (mV)"


def test_few_levels_of_a_heat_map_have_ticks_at_their_places():
    space = Param(share=[0.0, 0.3, 0.6]) * Param(n=[1, 2, 3, 1000])
    axes = axes_of(picture(space, over="share,n"))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "0.3", "0.6"]
    assert axes.get_xticks().tolist() == [0.0, 0.3, 0.6]
    assert 3 not in axes.get_yticks(), "1, 2 and 3 would be over each other"


def test_texts_at_ticks_do_not_meet():
    for n, rotation in [(5, 0.0), (11, 45.0)]:
        space = Param(step=2.0 / 2 ** np.arange(n)) * Param(k=[1, 2])
        axes = axes_of(picture(space, over="step,k"))
        axes.figure.draw_without_rendering()
        labels = axes.get_xticklabels()
        assert {label.get_rotation() for label in labels} == {rotation}
        ends = [label.get_window_extent().intervalx for label in labels]
        assert rotation or all(a[1] < b[0] for a, b in pairwise(ends))


@pytest.mark.parametrize("step", ["6h", "1D", "7D", "17D", "100D", "365D"])
@pytest.mark.parametrize("over", ["when", "when,k"])
def test_dates_at_ticks_do_not_meet(step, over):
    dates = np.datetime64("2024-03-01", "h") + np.arange(8) * np.timedelta64(
        int(step[:-1]), step[-1]
    )
    axes = axes_of(picture(Param(when=dates) * Param(k=[1, 2]), over=over))
    axes.figure.draw_without_rendering()
    labels = [text for text in axes.get_xticklabels() if text.get_text()]
    ends = [label.get_window_extent().intervalx for label in labels]
    assert len(ends) > 2 and all(a[1] < b[0] for a, b in pairwise(ends))
    whole = " ".join(label.get_text() for label in labels)
    assert "202" in whole + axes.xaxis.get_major_formatter().get_offset()


def test_bars_go_down_in_the_order_of_the_space():
    found = picture(over="solver", by="n", band="sem")
    axes = axes_of(found)
    widths = [bar.get_width() for bars in axes.containers[::2] for bar in bars]
    np.testing.assert_array_equal(widths, found.cells.values.T.ravel())
    assert [text.get_text() for text in axes.get_yticklabels()] == ["rk4", "euler"]
    low, high = axes.get_ylim()
    assert low > high


def test_scatters_and_histograms():
    space = Random(40, seed=1, a=uniform(0, 1), b=uniform(0, 1))
    found = picture(space, over="a", by="b")
    assert found.shape == "scatter"
    n_points = [len(line.get_xdata()) for line in axes_of(found).get_lines()]
    assert sum(n_points) == len(found.points[0]) <= 40
    axes = axes_of(picture(Param(trial=range(30))))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("peak (mV)", "count")


def test_of_very_many_points_those_are_drawn_that_are_seen():
    y = np.random.default_rng(1).normal(size=100_000)
    y[1000:3000] = np.nan
    line = axes_of(drawn(sweep_of(Param(a=range(100_000)), {"y": y}))).get_lines()[0]
    x, shown = line.get_xdata().astype(int), line.get_ydata()
    np.testing.assert_array_equal(shown, y[x])
    assert len(x) < 13_000 and (np.diff(x) > 0).all()
    assert {np.nanargmax(y), np.nanargmin(y), 0} <= set(x.tolist())
    assert np.isnan(shown[(x > 1100) & (x < 2900)]).all()
    a = np.random.default_rng(2).uniform(size=50_000)
    found = drawn(sweep_of(Param(a=a), {"y": a}))
    line = axes_of(found).get_lines()[0]
    assert found.shape == "scatter" and len(line.get_xdata()) < 1200


def test_dates_are_dates():
    months = np.arange("2024-01", "2024-05", dtype="M8[M]")
    axes = axes_of(picture(Param(when=months)))
    np.testing.assert_array_equal(axes.get_lines()[0].get_xdata(), months)
    axes_of(picture(Param(when=months) * Param(n=[1, 2]), over="when,n"))


def test_times_of_day_have_ticks_without_a_day():
    times = [time(hour) for hour in range(6, 20)]
    for over in ("at", "at,n"):
        axes = axes_of(picture(Param(at=times) * Param(n=[1, 2]), over=over))
        axes.figure.canvas.draw()
        texts = [tick.get_text() for tick in axes.get_xticklabels()]
        assert {"08:00", "12:00"} <= set(texts)
        assert all(re.fullmatch(r"\d\d:\d\d", text) for text in texts)


@pytest.mark.parametrize("years", [3, 400])
@pytest.mark.parametrize("over", ["when", "when,n"])
def test_dates_may_be_after_those_of_nanoseconds(years, over):
    dates = np.linspace(0, 800_000, years).astype(int).astype("M8[D]")
    space = Param(when=dates) * Param(n=[1, 2, 3])
    axes = axes_of(picture(space, over=over))
    first, last = np.array(axes.get_xlim()).astype("M8[D]").astype("M8[Y]")
    assert first <= np.datetime64("1970") and last >= np.datetime64("4160")
    assert last < np.datetime64("4900")


def test_dates_of_no_calendar_are_refused_in_one_line():
    dates = np.array(["2000", "30000"], "M8[Y]")
    with pytest.raises(PsyrunError, match=r"when: .* years 1 to 9999"):
        axes_of(picture(Param(when=dates)))


def test_many_series_are_told_apart_by_colours_from_dark_to_light():
    space = Param(a=[1, 2, 3]) * Param(b=range(100))
    lines = axes_of(picture(space, over="a", by="b")).get_lines()
    shades = [np.mean(colors.to_rgb(line.get_color())) for line in lines]
    assert len(lines) == 12
    assert shades == sorted(shades)


def test_notes_stand_in_the_title_or_below():
    found = picture(missing=[0])
    title = axes_of(found, with_notes=True).get_title()
    assert title.splitlines()[-1] == "1 of 24 assignments is not computed yet"


@pytest.mark.parametrize("over", ["name", "n", "n,name"])
@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_files_are_whole_whatever_the_names_are(tmp_path, suffix, over):
    space = Param(name=ODD) * Param(n=[1, 2]) * Param(**{"$k$_<b>": [1, 2]})
    attrs = {"y": {"units": "$", "long_name": "<i>&amp;"}}
    path = tmp_path / f"out{suffix}"
    save(picture(space, attrs=attrs, over=over), path)
    content = path.read_bytes()
    assert content[:4] in (b"\x89PNG", b"%PDF", b"<?xm")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    if suffix == ".svg":
        texts = "".join(xml.etree.ElementTree.parse(path).getroot().itertext())
        assert "<i>&amp; ($)" in texts
        assert "</svg><script>" in texts
        assert "1 of" not in texts


def test_the_same_numbers_make_the_same_file(tmp_path):
    for suffix in (".svg", ".pdf", ".png"):
        for name in ("a", "b"):
            save(picture(), tmp_path / f"{name}{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == (
            tmp_path / f"b{suffix}"
        ).read_bytes()


def test_a_file_keeps_its_content_if_the_new_one_cannot_be_written(
    tmp_path, monkeypatch
):
    path = tmp_path / "out.png"
    path.write_text("before")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(PsyrunError, match=r"out.png: No space left.*Make room"):
        save(picture(), path)
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.pgn", r"no picture of the extension '.pgn'. Did you mean '.png'\?"),
        ("x", "The extensions are .png, .pdf, .svg"),
        ("folder.png", "is a folder"),
    ],
)
def test_other_names_are_refused(tmp_path, name, said):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PsyrunError, match=said):
        check_format(tmp_path / name)


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(PsyrunError, match=r"gone/x.png: no such file or folder"):
        save(picture(), tmp_path / "gone" / "x.png")


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = "a picture needs matplotlib. Install it with \"pip install 'psyrun[plots]'"
    with pytest.raises(PsyrunError, match=re.escape(said)):
        check_format(Path("x.png"))
