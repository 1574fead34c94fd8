"""What a terminal can show: its width, its characters and its colours."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO, TypeAlias

from rich.cells import cell_len, set_cell_size

Colour: TypeAlias = tuple[int, int, int]

# Okabe and Ito (2008), "Color universal design"; the order is that of contrast on dark
# and on light.
SERIES: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
    (240, 228, 66),
)
# Viridis, by Smith and van der Walt (2015), at equal distances.
_VIRIDIS: tuple[Colour, ...] = (
    (68, 1, 84),
    (72, 40, 120),
    (62, 74, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (110, 206, 88),
    (181, 222, 43),
    (253, 231, 37),
)
MARKERS = "●▲■◆○△□"
ASCII_MARKERS = "ox+*#@%"
_NARROWEST, _WIDEST = 40, 160
_DRAWN = "⣿█▏▀░─┤●"
_PLAIN = {"…": "...", "±": "+-"}
_CUBE = (0, 95, 135, 175, 215, 255)  # the steps of the 216 colours of terminals


@dataclass(frozen=True)
class Style:
    """What a terminal can show.

    Attributes
    ----------
    width : int
        Columns.
    colours : {0, 256, 16777216}
        How many colours it has; 0 if none are wanted.
    is_unicode : bool
        Whether it has more characters than ASCII.
    """

    width: int = 80
    colours: int = 0
    is_unicode: bool = True

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        """Return what a stream can show, colours on terminals only.

        The environment is respected: ``COLUMNS``, ``NO_COLOR``, ``TERM`` and
        ``COLORTERM``.
        """
        columns = shutil.get_terminal_size((80, 24)).columns
        width = min(max(columns, _NARROWEST), _WIDEST)
        try:
            _DRAWN.encode(stream.encoding or "ascii")
            is_unicode = True
        except (UnicodeEncodeError, LookupError):
            is_unicode = False
        return cls(width, _colours_of(stream), is_unicode)

    @property
    def has_colours(self) -> bool:
        """Whether it has colours."""
        return self.colours > 0

    @property
    def has_half_blocks(self) -> bool:
        """Whether a character can have two colours, one above the other."""
        return self.has_colours and self.is_unicode

    @property
    def markers(self) -> str:
        """A character for each series."""
        return MARKERS if self.is_unicode else ASCII_MARKERS

    def text(self, text: str) -> str:
        """Return a text in the characters that there are."""
        if self.is_unicode:
            return text
        for character, plain in _PLAIN.items():
            text = text.replace(character, plain)
        return text.encode("ascii", "replace").decode()

    def fitted(self, text: str, width: int) -> str:
        """Return a text of at most some columns; what is cut off shows as ``…``."""
        text = self.text(text)
        if cell_len(text) <= width:
            return text
        mark = self.text("…")
        return set_cell_size(text, max(0, width - len(mark))).rstrip() + mark

    def told_apart(self, texts: Sequence[str], width: int) -> list[str]:
        """Return texts of at most some columns, cut where those that differ still do.

        That is at their ends, or if they only differ there, in their middles.
        """
        cut = [self.fitted(text, width) for text in texts]
        if len(set(cut)) == len(set(texts)):
            return cut
        return [self._without_middle(text, width) for text in texts]

    def _without_middle(self, text: str, width: int) -> str:
        text, mark = self.text(text), self.text("…")
        if cell_len(text) <= width:
            return text
        room = max(0, width - len(mark))
        end = ""
        for character in reversed(text):
            if cell_len(character + end) > room // 2:
                break
            end = character + end
        return set_cell_size(text, room - cell_len(end)).rstrip() + mark + end

    def left(self, text: str, width: int) -> str:
        """Return a text of some columns, with blanks after it."""
        text = self.fitted(text, width)
        return text + " " * (width - cell_len(text))

    def right(self, text: str, width: int) -> str:
        """Return a text of some columns, with blanks before it."""
        text = self.fitted(text, width)
        return " " * (width - cell_len(text)) + text

    def wrapped(self, text: str) -> list[str]:
        """Return a text in lines that fit."""
        # Not as `textwrap` does, since characters may have two columns.
        lines: list[str] = []
        for word in self.text(text).split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and cell_len(longer) <= self.width:
                lines[-1] = longer
            else:
                lines.append(word)
        return [self.fitted(line, self.width) for line in lines]

    def painted(
        self, text: str, colour: Colour | None, ground: Colour | None = None
    ) -> str:
        """Return a text in a colour, on another one."""
        codes = [
            self._code(layer, each)
            for layer, each in (("38", colour), ("48", ground))
            if each is not None
        ]
        if not self.has_colours or not codes or not text:
            return text
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m"

    def _code(self, layer: str, colour: Colour) -> str:
        if self.colours > 256:
            return f"{layer};2;{colour[0]};{colour[1]};{colour[2]}"
        red, green, blue = (
            min(range(6), key=lambda step: abs(_CUBE[step] - part)) for part in colour
        )
        return f"{layer};5;{16 + 36 * red + 6 * green + blue}"

    def items(self, items: Sequence[tuple[str, Colour | None]]) -> list[str]:
        """Return coloured texts side by side, in as many lines as they need."""
        lines, used = [""], 0
        for text, colour in items:
            text = self.fitted(text, self.width)
            size = cell_len(text)
            if used and used + 2 + size > self.width:
                lines.append("")
                used = 0
            gap = "  " if used else ""
            lines[-1] += gap + self.painted(text, colour)
            used += size + len(gap)
        return lines


def _colours_of(stream: TextIO) -> int:
    term = os.environ.get("TERM", "")
    if os.environ.get("NO_COLOR") or term == "dumb" or not stream.isatty():
        return 0
    if os.environ.get("COLORTERM", "") in ("truecolor", "24bit"):
        return 1 << 24
    return 256


def shade_colour(share: float) -> Colour:
    """Return the colour of viridis for a number from 0 to 1."""
    at = min(max(share, 0.0), 1.0) * (len(_VIRIDIS) - 1)
    below = min(int(at), len(_VIRIDIS) - 2)
    low, high = _VIRIDIS[below], _VIRIDIS[below + 1]
    red, green, blue = (
        round(a + (b - a) * (at - below)) for a, b in zip(low, high, strict=True)
    )
    return red, green, blue


def contrasting(colour: Colour) -> Colour:
    """Return black or white, whichever is read better on a colour."""
    red, green, blue = colour
    is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 128
    return (0, 0, 0) if is_light else (255, 255, 255)
