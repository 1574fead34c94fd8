"""A real Slurm, and a stand-in of Sharcnet's queue on top of it.

There is one cluster per machine. It stays up after the tests, since the next run finds
it ready then; `make test-cluster` tears it down.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from queued import Submissions
from slurm.install import reason_it_cannot_run
from slurm_cluster import SlurmCluster
from sqsub_stand_in import SqsubStandIn

CLUSTERS = ("slurm", "slurm_with_accounting")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a cluster, and let it change once only."""
    for item in items:
        if set(CLUSTERS) & set(getattr(item, "fixturenames", ())):
            item.add_marker("cluster")
    items.sort(key=_needs_accounting)


@pytest.fixture(scope="session")
def slurm(request: pytest.FixtureRequest) -> SlurmCluster:
    """Slurm without accounting, up at the beginning of each test."""
    return _cluster(request.config, accounting=False)


@pytest.fixture(scope="session")
def slurm_with_accounting(request: pytest.FixtureRequest) -> SlurmCluster:
    """Slurm with accounting, up at the beginning of each test."""
    return _cluster(request.config, accounting=True)


@pytest.fixture(autouse=True)
def _cluster_for_each_test(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[None]:
    """Fix what the test before broke, and end the jobs that this one leaves."""
    used = [name for name in CLUSTERS if name in request.fixturenames]
    clusters = [request.getfixturevalue(name) for name in used]
    for cluster in clusters:
        cluster.start()
    yield
    for cluster in clusters:
        cluster.start()
        cluster.cancel_jobs_of(tmp_path)
        if cluster.settings.accounting:
            cluster.set_max_submit_jobs(None)


@pytest.fixture
def sqsub(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SqsubStandIn]:
    """Sharcnet's commands first on the PATH, with a queue of the test's own."""
    stand_in = SqsubStandIn(tmp_path / "sqsub-stand-in")
    for name, value in stand_in.environment().items():
        monkeypatch.setenv(name, value)
    yield stand_in
    stand_in.end_jobs()


@pytest.fixture
def submissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submissions:
    """What sbatch is asked to submit; after the fixture of the cluster that has it."""
    found = Submissions(tmp_path / "before-sbatch")
    monkeypatch.setenv("PATH", found.path)
    return found


def _cluster(config: pytest.Config, accounting: bool) -> SlurmCluster:
    if hasattr(config, "workerinput"):
        pytest.fail("tests of the cluster run one at a time: leave out -n")
    if reason := reason_it_cannot_run(accounting):
        # In CI a test that cannot run is one that nobody would miss.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    cluster = SlurmCluster(accounting)
    cluster.install()
    cluster.start()
    return cluster


def _needs_accounting(item: pytest.Item) -> bool:
    return "slurm_with_accounting" in getattr(item, "fixturenames", ())
