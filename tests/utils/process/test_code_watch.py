"""What the watch of loaded code takes for the user's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from psyrun.utils.process.code_watch import is_installed


@pytest.mark.parametrize("name", ["libpython3.so", "libstdc++.so.6", "python3/x.py"])
def test_libraries_of_python_itself_are_not(name: str) -> None:
    assert is_installed(str(Path(sys.base_prefix, "lib", name)))


def test_files_of_a_project_are(tmp_path: Path) -> None:
    assert not is_installed(str(tmp_path / "lib/module.py"))
