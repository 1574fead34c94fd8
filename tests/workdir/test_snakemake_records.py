"""What Snakemake has recorded of files that are gone, or was making when it died."""

from pathlib import Path

import pytest
from snakemake.persistence.file import FilePersistence

from psyrun.workdir.snakemake_records import (
    forget_backups,
    forget_incomplete,
    forget_missing,
)

WORK, RESULT = Path("psy-work/a"), Path("out/a.pkl")
LONG = "round-1/" + "x" * 120 + "/" + "y" * 120
OURS = [str(WORK / "round-1/space.pkl"), str(WORK / LONG), str(RESULT)]
OTHERS = ["psy-work/ab/space.pkl", "data.csv", "out/a.pkl2"]


class Records:
    """Snakemake's own way to record something of a file."""

    def __init__(self, kind: str) -> None:
        self.folder = Path(".snakemake", kind)
        self.folder.mkdir(parents=True)
        self._snakemake = FilePersistence.__new__(FilePersistence)
        self._snakemake._max_len = None

    def write(self, path: str) -> None:
        self._snakemake._io_write(str(self.folder), {"some": "thing"}, path)

    def of(self, paths: list[str]) -> list[str]:
        read = self._snakemake._io_read
        return [path for path in paths if read(str(self.folder), path)]


@pytest.fixture
def records(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Records:
    monkeypatch.chdir(tmp_path)
    found = Records(request.param)
    for path in [*OURS, *OTHERS]:
        found.write(path)
    (found.folder / "no base64").touch()
    return found


@pytest.mark.parametrize("records", ["incomplete"], indirect=True)
def test_marks_of_a_task_go_and_those_of_others_stay(records: Records) -> None:
    forget_incomplete(WORK, [RESULT])
    assert records.of(OURS) == []
    assert records.of(OTHERS) == OTHERS
    # Not a folder is left of the long name.
    assert len(list(records.folder.rglob("*"))) == len(OTHERS) + 1


@pytest.mark.parametrize("records", ["metadata"], indirect=True)
def test_records_of_files_that_are_there_stay(records: Records) -> None:
    there = Path(OURS[0])
    there.parent.mkdir(parents=True)
    there.touch()
    forget_missing(WORK, [RESULT])
    assert records.of(OURS) == [OURS[0]]
    assert records.of(OTHERS) == OTHERS


def test_a_folder_without_records_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    forget_incomplete(WORK)
    forget_missing(WORK)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_backup_goes_if_the_result_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_absolute: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    result = RESULT.absolute() if is_absolute else RESULT
    backup = FilePersistence.__new__(FilePersistence)
    backup._path = Path(".snakemake")
    result.parent.mkdir()
    result.write_text("former rows")
    path = Path(backup._get_backup_path(result))
    backup.backup_output(result)
    result.unlink()
    forget_backups([result])
    assert path.read_text() == "former rows"
    result.touch()
    forget_backups([result])
    assert not path.exists()
    assert result.exists()
