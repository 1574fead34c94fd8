import signal
from pathlib import Path

import pytest
from hypothesis import settings
from projects import COUNTED, Project

# A shell starts what runs in its background with interruptions ignored, and nohup
# with hangups; all that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Speed is measured by the benchmarks; here other tests take their share of it.
settings.register_profile("psyrun", deadline=None)
settings.load_profile("psyrun")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a task `a` that counts its calls; it has two blocks."""
    project = Project(tmp_path / "project")
    project.write(COUNTED)
    return project
