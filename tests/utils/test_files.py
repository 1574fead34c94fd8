"""Small files that are written whole, and damaged ones."""

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.errors import PsyrunError, StoreError
from psyrun.utils.files import (
    check_all,
    checking,
    folder_beside,
    force,
    forget_checks,
    make_folder,
    opened,
    place,
    read_bytes,
    read_json,
    read_placed,
    remove_pipe,
    replacing,
    write_json,
    write_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_json_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_a_file_that_is_not_there_reads_as_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "no.json") is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1} {', b"\xff\xfe", b"\0" * 40])
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"some\.json: is not JSON.*restore") as error:
        read_json(path)
    assert "\n" not in str(error.value)


def test_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a/b/c.json"
    write_json(path, [1])
    assert read_json(path) == [1]


def test_what_cannot_be_json_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    write_json(path, 1)
    with pytest.raises(TypeError):
        write_json(path, object())
    assert read_json(path) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_raises_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as beside:
        beside.write_text("new")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        write_text(tmp_path / "file", "text")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_folder_in_place_of_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(StoreError, match="file: Is a directory"):
        write_text(tmp_path / "file", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_beside_a_file_goes_with_the_context(tmp_path) -> None:
    # As many bytes as a name may have, in fewer characters.
    target = tmp_path / ("ü" * 120)
    with folder_beside(target) as name:
        assert Path(name).parent == tmp_path
        assert Path(name).name.startswith(".ü")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="no such file or folder"):
        folder_beside(tmp_path / "none" / "r.npz")


def test_a_placed_file_is_that_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "word"
    assert place(path, "one")
    assert not place(path, "two")
    assert read_placed(path) == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_placed_once_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    test_a_placed_file_is_that_of_the_first(tmp_path)


def test_a_check_before_a_file_takes_its_name_can_stop_that(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def refuse() -> None:
        raise RuntimeError("not now")

    with pytest.raises(RuntimeError, match="not now"), checking(refuse):
        write_text(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    write_text(path, "after")
    assert path.read_text() == "after"


def test_all_checks_are_called_while_they_hold(tmp_path: Path) -> None:
    called: list[str] = []
    with checking(lambda: called.append("outer")):
        with checking(lambda: called.append("inner")):
            check_all()
        write_text(tmp_path / "a", "a")
    write_text(tmp_path / "b", "b")
    assert called == ["outer", "inner", "outer"]


def test_a_fork_forgets_the_checks_of_its_parent(tmp_path: Path) -> None:
    def refuse() -> None:
        raise PsyrunError("lost")

    with checking(refuse), pytest.raises(PsyrunError, match="lost"):
        write_text(tmp_path / "a", "a")
    with checking(refuse):
        pid = os.fork()
        if pid == 0:
            forget_checks()
            write_text(tmp_path / "b", "b")
            os._exit(0)
        os.waitpid(pid, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_new_folder_is_on_disk_with_those_above_it(
    tmp_path: Path, synced: list[Path]
) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]


def test_a_file_is_on_disk_before_it_has_its_name(
    tmp_path: Path, synced: list[Path]
) -> None:
    write_text(tmp_path / "a" / "text", "x")
    above, beside, folder = synced
    assert (above, folder) == (tmp_path, tmp_path / "a")
    assert beside.name.startswith(".text.")


def test_a_file_keeps_the_permissions_that_it_had(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for mode in (0o600, 0o664, 0o444):
        path.touch()
        path.chmod(mode)
        write_text(path, "text")
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.read_text() == "text"


def test_a_named_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    os.mkfifo(path)
    for read in (read_json, read_bytes, read_placed, opened):
        with pytest.raises(StoreError, match=r"record.json: is a named pipe"):
            read(path)
    remove_pipe(path)
    assert not path.exists()


def test_a_pipe_of_the_shell_is_read() -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"text")
    os.close(write_end)
    assert read_bytes(f"/dev/fd/{read_end}") == b"text"
    os.close(read_end)


def test_what_has_no_disk_is_not_forced_to_it() -> None:
    with open("/dev/null", "wb") as file:  # noqa: PTH123
        force(file.fileno())  # EINVAL: there is no disk
