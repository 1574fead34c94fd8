"""The pictures of the documentation, which its own examples make.

A document that shows ``pictures/NAME.svg`` has an example that writes ``NAME.svg`` into
its project folder. A comment above a picture says that it is a screenshot, and of what:

    <!-- screenshot: report.html#view=heat, 900 x 700, dark -->

As a program, this follows the documents that are named, or all with pictures, and keeps
what they make in ``docs/pictures``. Without Chromium, screenshots stay as they are.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from markdown_documents import without_blocks
from numpy.typing import NDArray
from readers import ROOT, read

PICTURES = ROOT / "docs/pictures"
_SHOWN = re.compile(
    r"(?:<!-- screenshot: (?P<page>[^\s,#]+)(?P<hash>#[^\s,]*)?, (?P<width>\d+) x "
    r"(?P<height>\d+), (?P<scheme>light|dark) -->\n)?"
    r"!\[[^\]]+\]\((?:\.\./|docs/)?pictures/(?P<name>[\w.-]+)\)"
)
_SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_TICK = re.compile("[\u2212-]?[\\d.]+(?:[e\u2212-]*\\d+)?")
_FILL = re.compile(r"fill: #([0-9a-f]{6})")


@dataclass(frozen=True)
class Screenshot:
    """What a screenshot shows.

    Attributes
    ----------
    page, hash : str
        Path of the page in the project folder, and the hash of its address.
    width, height : int
        Size of the window in pixels.
    scheme : str
        ``light`` or ``dark``.
    """

    page: str
    hash: str
    width: int
    height: int
    scheme: str


def shown(document: Path) -> dict[str, Screenshot | None]:
    """Return the names of the pictures that a document shows.

    None stands for a picture that an example writes.
    """
    found = {}
    for match in _SHOWN.finditer(without_blocks(document)):
        size = match["width"], match["height"]
        found[match["name"]] = match["page"] and Screenshot(
            match["page"], match["hash"] or "", *map(int, size), match["scheme"]
        )
    return found


def documents() -> list[Path]:
    """Return the documents that make the pictures that they show."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if shown(path) and path != ROOT / "README.md"]


# Comparing ---------------------------------------------------------------------


@dataclass(frozen=True)
class Content:
    """What a plot says, whatever fonts and version of Matplotlib drew it.

    Attributes
    ----------
    texts : list of str
        Labels and notes, and texts at ticks that are no numbers.
    ticks : list of dict of str to float
        Of each scale, where numbers stand, as shares of the width or height of the
        axes. Versions of Matplotlib choose different ones.
    colours : ndarray
        Red, green and blue of cells of a heat map, with the shape (cells, 3).
    lines : list of ndarray
        Points of each line, as shares of the width and height of the axes.
    n_markers : int
        How many signs there are within the axes.
    """

    texts: list[str]
    ticks: list[dict[str, float]]
    colours: NDArray[np.int64]
    lines: list[NDArray[np.float64]]
    n_markers: int

    @classmethod
    def of(cls, path: Path) -> Content:
        root = ET.parse(path).getroot()
        axes = [g for g in root.iter(f"{_SVG}g") if g.get("id", "").startswith("axes_")]
        paths = [p for each in axes for p in _paths_of(each, "QuadMesh")]
        fills = [fill[1] for p in paths if (fill := _FILL.search(p.get("style", "")))]
        colours = [[int(fill[i : i + 2], 16) for i in (0, 2, 4)] for fill in fills]
        lines = [line for each in axes for line in _lines_of(each)]
        scales = [scale for each in axes for scale in _scales_of(each)]
        at_ticks = [tick for _, scale in scales for tick in scale]
        numbers = [tick for tick in at_ticks if _TICK.fullmatch(_text_of(tick))]
        signs = [sum(1 for _ in each.iter(f"{_SVG}use")) for each in (*axes, *at_ticks)]
        n_markers = sum(signs[: len(axes)]) - sum(signs[len(axes) :])
        hidden = {id(text) for tick in numbers for text in tick.iter(f"{_SVG}text")}
        texts = [
            _text_of(text)
            for text in root.iter(f"{_SVG}text")
            if id(text) not in hidden
        ]
        ticks = [
            {_number_at(tick): place(tick) for tick in scale if tick in numbers}
            for place, scale in scales
        ]
        return cls(texts, ticks, np.array(colours).reshape(-1, 3), lines, n_markers)


def _paths_of(axes: ET.Element, kind: str) -> Iterator[ET.Element]:
    """Yield the paths of a kind of group, but not those within axes' scales."""
    for group in axes.findall(f"{_SVG}g"):
        if group.get("id", "").startswith(kind):
            yield from group.findall(f"{_SVG}path")


def _text_of(element: ET.Element) -> str:
    """Return a text without spaces, which formulas have where versions differ."""
    texts = element.iter(f"{_SVG}text")
    return "".join("".join(part for text in texts for part in text.itertext()).split())


def _number_at(tick: ET.Element) -> str:
    """Return the number at a tick, without zeros at its end."""
    text = _text_of(tick).replace("\u2212", "-")
    with suppress(ValueError):  # of powers
        return f"{float(text):.10g}"
    return text


def _scales_of(
    axes: ET.Element,
) -> Iterator[tuple[Callable[[ET.Element], float], list[ET.Element]]]:
    """Yield the ticks of each scale, and what tells where one is."""
    (left, top), (right, bottom) = _box_of(axes)
    for group in axes.findall(f"{_SVG}g"):
        if group.get("id", "").startswith("matplotlib.axis_"):
            ticks = [g for g in group.findall(f"{_SVG}g") if "tick_" in g.get("id", "")]
            is_x = bool(ticks) and ticks[0].get("id", "").startswith("x")
            name, low, high = ("x", left, right) if is_x else ("y", top, bottom)

            def place(
                tick: ET.Element, name: str = name, low: float = low, high: float = high
            ) -> float:
                sign = next(tick.iter(f"{_SVG}use"))
                return (float(sign.get(name, "nan")) - low) / (high - low)

            yield place, ticks


def _box_of(axes: ET.Element) -> NDArray[np.float64]:
    points = _points(next(_paths_of(axes, "patch_")))  # the background comes first
    return np.array([points.min(axis=0), points.max(axis=0)])


def _are_other_scales(new: dict[str, float], old: dict[str, float]) -> bool:
    """Whether numbers of both are at other places, or there are no such."""
    both = new.keys() & old.keys()
    if any(abs(new[text] - old[text]) > _OTHER_PLACE for text in both):
        return True
    return not both and bool(new or old)


def _points(path: ET.Element) -> NDArray[np.float64]:
    numbers = [float(number) for number in _NUMBER.findall(path.get("d", ""))]
    return np.array(numbers).reshape(-1, 2)


def _lines_of(axes: ET.Element) -> Iterator[NDArray[np.float64]]:
    low, high = _box_of(axes)
    for path in _paths_of(axes, "line2d_"):
        yield (_points(path) - low) / (high - low)


def differences(made: Path, kept: Path) -> list[str]:
    """Return in words in what two plots differ that show the same."""
    new, old = Content.of(made), Content.of(kept)
    said = []
    if new.texts != old.texts:
        said.append(f"the texts are {new.texts}, and were {old.texts}")
    if len(new.ticks) != len(old.ticks) or any(
        map(_are_other_scales, new.ticks, old.ticks)
    ):
        said.append(f"the scales are {new.ticks}, and were {old.ticks}")
    if (
        new.colours.shape != old.colours.shape
        or (np.abs(new.colours - old.colours) > _OTHER_COLOUR).any()
    ):
        said.append("the colours of the heat map are others")
    shapes = [[line.shape for line in each.lines] for each in (new, old)]
    if shapes[0] != shapes[1] or any(
        (np.abs(a - b) > _OTHER_PLACE).any()
        for a, b in zip(new.lines, old.lines, strict=True)
    ):
        said.append("the lines are others")
    if new.n_markers != old.n_markers:
        said.append(f"there are {new.n_markers} markers, and were {old.n_markers}")
    return said


_OTHER_COLOUR = 12  # of 255
_OTHER_PLACE = 0.02  # of the width or height of the axes


def check(document: Path, folder: Path) -> None:
    """Check that kept pictures show what the examples of a document made."""
    for name, screenshot in shown(document).items():
        source = folder / (name if screenshot is None else screenshot.page)
        assert source.exists(), f"no example of {document.name} makes {source.name}"
        kept = PICTURES / name
        assert kept.exists(), f"{name} is not there. 'make pictures' makes it."
        if screenshot is None:
            found = "; ".join(differences(source, kept))
            assert not found, f"{name}: {found}. 'make pictures' makes it anew."


# Making ------------------------------------------------------------------------


def follow(document: Path, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Follow a document in a folder; return the folder in which that ends.

    Pictures that its examples save by `psyrun.plot` are like those of ``psy plot``.
    """
    if not shown(document):
        return read(document, folder, patch)
    import matplotlib

    patch.setenv("SOURCE_DATE_EPOCH", "0")
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "psyrun"}):
        return read(document, folder, patch)


def make(document: Path) -> None:
    """Follow a document, and keep the pictures that it makes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        project = follow(document, Path(folder), patch)
        for name, screenshot in shown(document).items():
            if screenshot is None:
                shutil.copyfile(project / name, PICTURES / name)
            elif shutil.which("chromium"):
                photograph(project, screenshot, PICTURES / name)
            else:
                print(f"{name} stays as it is: there is no chromium", file=sys.stderr)


def photograph(project: Path, screenshot: Screenshot, path: Path) -> None:
    """Keep what the browser shows, in 256 colours."""
    from PIL import Image

    browser = Browser()
    try:
        browser.size(screenshot.width, screenshot.height)
        browser.prefer(screenshot.scheme)
        browser.driver.execute_cdp_cmd(
            "Emulation.setScrollbarsHidden", {"hidden": True}
        )
        browser.open(project / screenshot.page, screenshot.hash)
        browser.driver.save_screenshot(str(path))
    finally:
        browser.quit()
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(
            256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    few.save(path, optimize=True)


def main(names: Sequence[str]) -> None:
    """Make all pictures, or those of some documents.

    Those that no document shows are removed.
    """
    PICTURES.mkdir(exist_ok=True)
    chosen = [Path(name).resolve() for name in names]
    for document in chosen or documents():
        print(document.relative_to(ROOT), flush=True)
        make(document)
    kept = {name for document in documents() for name in shown(document)}
    for path in PICTURES.iterdir():
        if path.name not in kept:
            path.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
