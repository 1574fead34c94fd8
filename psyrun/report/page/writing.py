"""The page as one file, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from psyrun.errors import PsyrunError
from psyrun.report.page.encoding import script_text
from psyrun.utils import __version__
from psyrun.utils.files import replacing

_SCRIPTS = (
    "data.js",
    "numbers.js",
    "elements.js",
    "model.js",
    "drawing.js",
    "charts.js",
    "parallel.js",
    "results.js",
    "timeline.js",
    "sections.js",
    "main.js",
)
"""In the order in which they stand in the page."""


def page_of(
    tasks: Sequence[dict[str, Any]],
    title: str,
    written: datetime,
    refresh: float | None = None,
) -> str:
    """Return the text of the page.

    Parameters
    ----------
    tasks : sequence of dict
        What it shows, from `payload_of`.
    title : str
        Its title.
    written : datetime
        When it is written, with a time zone.
    refresh : float, optional
        After how many seconds the page loads its file again, which is written anew.
    """
    style = _static("style.css")
    script = "".join(["'use strict';\n(() => {\n", *map(_static, _SCRIPTS), "})();\n"])
    data = {
        "written": written.astimezone(UTC).isoformat(timespec="seconds"),
        "psyrun": __version__,
        "refresh": refresh,
        "tasks": list(tasks),
    }
    parts = {
        "POLICY": _policy(style, script),
        "TITLE": html.escape(title),
        "STYLE": style,
        "DATA": script_text(data),
        "SCRIPT": script,
    }
    # Split first: what is put in is not looked at.
    between = re.split(r"@([A-Z]+)@", _static("page.html"))
    between[1::2] = [parts[name] for name in between[1::2]]
    return "".join(between)


def _static(name: str) -> str:
    path = files("psyrun.report.page") / "static" / name
    return path.read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return a content security policy: nothing but these two, and no network."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def write_page(path: Path, text: str) -> None:
    """Write the page; what is there is replaced when all is written.

    Raises `PsyrunError` if there cannot be such a file.
    """
    if path.is_dir():
        raise PsyrunError(
            f"{path}: is a folder. Name a file, such as {path / 'report.html'}."
        )
    if not path.parent.is_dir():
        raise PsyrunError(
            f"{path}: there is no folder {path.parent}. Make it, or choose another "
            "place with -o."
        )
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
