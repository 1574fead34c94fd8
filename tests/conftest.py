from pathlib import Path

import pytest
from projects import COUNTED, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a task `a` that counts its calls; it has two blocks."""
    project = Project(tmp_path / "project")
    project.write(COUNTED)
    return project
