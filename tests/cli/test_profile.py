from pathlib import Path

import pytest

from psyrun.utils.resources import shipped


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


INSTALLED = Path("config", "snakemake", "local")


def config():
    return INSTALLED / "config.yaml"


def test_the_path_of_a_profile_is_printed(psy):
    assert psy("profile", "local").out == f"{shipped('profiles', 'local')}\n"


def test_an_unknown_profile_is_refused_with_the_known_ones(psy):
    result = psy("profile", "locla")
    assert result.status == 2
    assert "Did you mean 'local'?" in result.err


def test_a_profile_is_installed_where_snakemake_looks(psy, project):
    from snakemake.cli import get_profile_dir

    result = psy("profile", "install", "local")
    assert result.out == f"{project / INSTALLED}\n"
    assert (project / INSTALLED, project / config()) == get_profile_dir("local")


def test_a_profile_can_be_installed_again(psy):
    psy("profile", "install", "local")
    assert psy("profile", "install", "local").status == 0


def test_an_older_version_of_a_profile_is_replaced(psy, monkeypatch, project):
    psy("profile", "install", "local")
    content = config().read_bytes()
    (INSTALLED / ".psyrun.json").write_text("{}")
    config().write_text("old: true\n")
    psy("profile", "install", "local")
    assert config().read_bytes() == content


def test_an_edited_profile_is_left_as_it_is(psy):
    psy("profile", "install", "local")
    config().write_text("mine: true\n")
    result = psy("profile", "install", "local")
    assert result.status == 2
    assert str(INSTALLED) in result.err
    assert config().read_text() == "mine: true\n"


def test_a_profile_that_psyrun_did_not_write_is_left_as_it_is(psy, project):
    INSTALLED.mkdir(parents=True)
    config().write_text("mine: true\n")
    assert psy("profile", "install", "local").status == 2
    assert config().read_text() == "mine: true\n"
