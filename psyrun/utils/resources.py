"""Files that are shipped with the package.

The Snakefile that ``psy init`` writes for users imports this module: it keeps its name.
"""

from __future__ import annotations

from pathlib import Path


def shipped(*parts: str) -> Path:
    """Path of a file or folder that psyrun ships below workflow/ or profiles/.

    In a checkout (an editable install) these stand beside the package, in a
    wheel in its ``share`` folder.
    """
    package = Path(__file__).resolve().parent.parent
    beside = package.parent.joinpath(*parts)
    in_checkout = (package.parent / "pyproject.toml").is_file()
    return beside if in_checkout else (package / "share").joinpath(*parts)
