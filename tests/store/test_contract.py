"""Every store keeps the contract, also one from another package."""

import csv
import sys
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest

from psyrun.errors import StoreError
from psyrun.store import (
    AutodetectStore,
    H5Store,
    NpzStore,
    PickleStore,
    Store,
    registry,
)
from psyrun.store.rows import count_rows, select_rows
from psyrun.testing import StoreContract


class CsvStore(Store):
    """A store with the two methods that are required and no more."""

    ext: ClassVar[str] = ".csv"

    def save(self, filename, data) -> None:
        count_rows(data)
        with Path(filename).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(data)
            writer.writerows(zip(*data.values(), strict=True))

    def load(self, filename, row=None) -> dict[str, Any]:
        if not Path(filename).exists():
            raise StoreError(f"{filename}: no such file.")
        with Path(filename).open(newline="") as file:
            keys, *rows = csv.reader(file)
        columns = {key: [float(r[i]) for r in rows] for i, key in enumerate(keys)}
        return select_rows(columns, row, filename)


class TestPickleStore(StoreContract):
    store = PickleStore()


class TestNpzStore(StoreContract):
    store = NpzStore()


class TestNpzStoreWithObjects(StoreContract):
    store = NpzStore(allow_pickle=True)


class TestH5Store(StoreContract):
    store = H5Store()


class TestH5StoreWithAnotherNode(StoreContract):
    store = H5Store(node="/results/of/this")


class TestThirdPartyStore(StoreContract):
    store = CsvStore()


PLUG_IN = """
from psyrun.store.pickle import PickleStore

class ExtStore(PickleStore):
    ext = ".ext"

class NotAStore:
    pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with one entry point, as pip would."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def install_package(name: str, entry: str) -> None:
        (site / f"{name}.py").write_text(PLUG_IN)
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[psyrun.stores]\n{entry}\n")

    yield install_package
    for name in ("plug_a", "plug_b"):
        sys.modules.pop(name, None)


def test_an_installed_plug_in_is_used_for_its_extension(install, tmp_path) -> None:
    install("plug_a", ".ext = plug_a:ExtStore")
    store = AutodetectStore()
    store.append(tmp_path / "r.ext", {"a": ["text"]})
    assert store.load(tmp_path / "r.ext") == {"a": ["text"]}


def test_a_plug_in_is_listed_among_the_extensions(install, tmp_path) -> None:
    install("plug_a", ".ext = plug_a:ExtStore")
    with pytest.raises(StoreError, match=r"choose one of \.ext, \.h5, \.npz, \.pkl"):
        AutodetectStore().load(tmp_path / "r.unknown")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (".ext = no_such_module:X", "cannot be loaded .*no_such_module"),
        (".ext = plug_a:Missing", "cannot be loaded .*Missing"),
        (".ext = plug_a:NotAStore", "is not a store"),
    ],
)
def test_a_broken_plug_in_is_named(install, tmp_path, entry, problem) -> None:
    install("plug_a", entry)
    with pytest.raises(StoreError, match=problem) as raised:
        AutodetectStore().load(tmp_path / "r.ext")
    for part in (entry, "'plug_a'", "'psyrun.stores'"):
        assert part in str(raised.value)


def test_two_packages_for_one_extension_are_named(install, tmp_path) -> None:
    install("plug_a", ".ext = plug_a:ExtStore")
    install("plug_b", ".ext = plug_b:ExtStore")
    with pytest.raises(StoreError, match="several plug-ins") as raised:
        AutodetectStore().load(tmp_path / "r.ext")
    assert "'plug_a'" in str(raised.value)
    assert "'plug_b'" in str(raised.value)


def test_a_broken_plug_in_does_not_harm_the_other_stores(install, tmp_path) -> None:
    install("plug_a", ".ext = no_such_module:X")
    AutodetectStore().save(tmp_path / "r.pkl", {"a": [1]})
    assert AutodetectStore().count(tmp_path / "r.pkl") == 1


def test_the_packaging_metadata_lists_the_built_in_stores() -> None:
    path = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(path.read_text())["project"]
    assert project["entry-points"]["psyrun.stores"] == registry._STORES.built_in


def test_an_unknown_extension_suggests_the_nearest(tmp_path) -> None:
    with pytest.raises(StoreError, match=r"Did you mean '\.npz'\?"):
        AutodetectStore().save(tmp_path / "r.npy", {"a": [1]})
