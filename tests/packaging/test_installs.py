"""The package works however it was installed: wheel, sdist, editable.

The dependencies are installed once, as the wheel declares them, into an
environment of their own, from which psyrun itself is removed again. Each of the
three environments under test holds nothing but psyrun and a ``.pth`` file that
leads there. So what the package forgets to declare is missed, and downloads are
paid for once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KINDS = ["wheel", "sdist", "editable"]
PLUGINS = {path.name for path in ROOT.glob("workflow/plugins/snakemake_*")}
# It sorts behind the files of editable installs, so that these win.
LINK = "zz-dependencies.pth"


@dataclass(frozen=True)
class Environment:
    """A virtual environment, used without being activated."""

    folder: Path

    def run(self, *command: str | Path, cwd: Path) -> str:
        others = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        ended = subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]],
            cwd=cwd,
            env={**others, "PATH": os.defpath},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout.strip()

    def pip(self, *arguments: str | Path) -> None:
        self.run("python", "-m", "pip", *arguments, cwd=self.folder)

    @property
    def packages(self) -> Path:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        return Path(self.run("python", "-c", code, cwd=self.folder))

    @classmethod
    def create(cls, folder: Path) -> Environment:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        return cls(folder)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributions")
    build = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    return next(distributions.glob("*.whl"))


@pytest.fixture(scope="module")
def sdist(distributions: Path) -> Path:
    return next(distributions.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    environment = Environment.create(tmp_path_factory.mktemp("dependencies"))
    environment.pip("install", wheel)
    environment.pip("uninstall", "--yes", "psyrun")
    return environment


@pytest.fixture(scope="module", params=KINDS)
def installed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    dependencies: Environment,
    wheel: Path,
    sdist: Path,
) -> Environment:
    environment = Environment.create(tmp_path_factory.mktemp(request.param))
    sources = {"wheel": wheel, "sdist": sdist, "editable": ROOT}
    how = ["--editable"] if request.param == "editable" else []
    environment.pip("install", "--no-deps", *how, sources[request.param])
    link = environment.packages / LINK
    link.write_text(f"{dependencies.packages}\n", encoding="utf-8")
    return environment


def test_psy_starts(installed: Environment, tmp_path: Path) -> None:
    assert installed.run("psy", "--version", cwd=tmp_path).startswith("psyrun ")


def test_all_dependencies_are_declared(installed: Environment, tmp_path: Path) -> None:
    modules = (
        "cli.main, mapper, planning.prepare, run.controller, run.stop, store.h5, "
        "store.npz, testing.scheduler, testing.store"
    )
    imports = ", ".join(f"psyrun.{name}" for name in modules.split(", "))
    installed.run("python", "-c", f"import {imports}", cwd=tmp_path)


def test_the_snakefile_is_found(installed: Environment, tmp_path: Path) -> None:
    assert Path(installed.run("psy", "snakefile", cwd=tmp_path)).is_file()


def test_the_profile_is_found(installed: Environment, tmp_path: Path) -> None:
    folder = Path(installed.run("psy", "profile", "local", cwd=tmp_path))
    assert list(folder.glob("*.yaml"))


def test_the_plugins_are_modules_of_their_own(
    installed: Environment, tmp_path: Path
) -> None:
    code = "import pkgutil; print(*[module.name for module in pkgutil.iter_modules()])"
    modules = installed.run("python", "-c", code, cwd=tmp_path)
    assert PLUGINS and set(modules.split()) >= PLUGINS


def test_a_new_task_runs(installed: Environment, tmp_path: Path) -> None:
    installed.run("psy", "new-task", "square", cwd=tmp_path)
    shown = installed.run("psy", "run", cwd=tmp_path)
    assert ".  square:merge" in shown
    code = "import psyrun; print(len(psyrun.PickleStore().load({!r})['y']))"
    result = "psy-work/square/result.pkl"
    assert installed.run("python", "-c", code.format(result), cwd=tmp_path) == "30"


def test_plain_snakemake_runs_a_task(installed: Environment, tmp_path: Path) -> None:
    installed.run("psy", "new-task", "square", cwd=tmp_path)
    snakefile = installed.run("psy", "snakefile", cwd=tmp_path)
    profile = installed.run("psy", "profile", "local", cwd=tmp_path)
    options = ["--snakefile", snakefile, "--profile", profile, "--cores", "2"]
    installed.run("python", "-m", "snakemake", *options, cwd=tmp_path)
    assert (tmp_path / "psy-work" / "square" / "result.pkl").is_file()


def test_the_sdist_holds_what_is_under_version_control(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    needed = {n for n in listed.stdout.split("\n") if n and not n.startswith(".ci")}
    assert not {name for name in needed if (ROOT / name).exists()} - names


def test_the_wheel_holds_nothing_but_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top = {name.partition("/")[0] for name in archive.namelist()}
    metadata = {name for name in top if name.endswith(".dist-info")}
    assert top - metadata == {"psyrun", *PLUGINS}
