"""Tables, and the width of terminals."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from pathlib import Path

from psyrun.utils.console import aligned, width_of

ROWS = [("number", "what"), ("1", "a short one"), ("22", "word " * 20)]


def test_cells_stand_below_each_other() -> None:
    lines = aligned(ROWS)
    assert lines[:2] == ["number  what", "1       a short one"]
    assert lines[2] == ("22      " + "word " * 20).rstrip()


def test_long_cells_are_cut_where_lines_would_not_fit() -> None:
    lines = aligned(ROWS, 30)
    assert max(map(len, lines)) == 30
    assert lines[:2] == aligned(ROWS)[:2]
    assert lines[2].endswith("…")
    assert aligned(ROWS, 200) == aligned(ROWS)


def test_a_terminal_has_a_width() -> None:
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 77, 0, 0))
    with os.fdopen(its, "w") as stream:
        assert width_of(stream) == 77
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        assert width_of(stream) is None
    os.close(own)


def test_files_pipes_and_texts_have_no_width(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        assert width_of(stream) is None
    assert width_of(stream) is None
    assert width_of(io.StringIO()) is None
