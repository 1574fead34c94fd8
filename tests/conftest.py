import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from projects import COUNTED, Project
from sampling import commit, sampled

from psyrun.utils.process.offspring import adopt_orphans

# A shell starts what runs in its background with interruptions ignored, and nohup
# with hangups; all that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Else a thread of pyarrow, which pandas imports, would keep workers from being forked.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")

# Speed is measured by the benchmarks; here other tests take their share of it.
settings.register_profile("psyrun", deadline=None)
settings.load_profile("psyrun")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--one-in",
        type=int,
        default=1,
        help="run one in so many tests of each file; which ones depends on the commit",
    )


# After those that others deselect.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    one_in = config.getoption("one_in")
    if one_in > 1:
        cases = ((item.nodeid.partition("::")[0], item) for item in items)
        kept = sampled(cases, one_in, commit())
        chosen = set(kept)
        config.hook.pytest_deselected(items=[i for i in items if i not in chosen])
        items[:] = kept


@pytest.fixture(autouse=True)
def no_orphans() -> Iterator[None]:
    """Leave orphans to the system, which buries them.

    A command that a test calls in this process has it become their parent.
    """
    yield
    adopt_orphans(False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a task `a` that counts its calls; it has two blocks."""
    project = Project(tmp_path / "project")
    project.write(COUNTED)
    return project


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is forced to disk in the test."""
    found: list[Path] = []
    synchronise = os.fsync

    def fsync(descriptor: int) -> None:
        synchronise(descriptor)
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    return found
