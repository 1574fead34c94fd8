"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from psyrun.errors import DamagedFileError, NoSuchFileError, StoreError, reason_of
from psyrun.utils.leftovers import hidden_beside, name_it, nameless, words_of_folder

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

Filename: TypeAlias = str | os.PathLike[str]
_LOOKS, _PAUSE = 20, 0.05  # until a file that stays empty is taken for what it is


_checks: list[Callable[[], object]] = []


@contextmanager
def checking(check: Callable[[], object]) -> Iterator[None]:
    """Call something before each file of the body takes its name; it may raise.

    A process may have been suspended for long while it wrote the file.
    """
    _checks.append(check)
    try:
        yield
    finally:
        _checks.remove(check)


def check_all() -> None:
    """Call what is to be called before a file takes its name or is removed."""
    for check in _checks:
        check()


def forget_checks() -> None:
    """Call nothing, in a forked process whose files are its own."""
    _checks.clear()


@contextmanager
def replacing(filename: Filename) -> Iterator[Path]:
    """Write to an empty hidden file beside `filename`, then let it take that name.

    When the body ends, the file is forced to disk and renamed; when it raises, the
    file is removed and whatever was at `filename` stays. It has the permissions of
    what it replaces, else those that the umask leaves. A symbolic link stays a link:
    the file it points to is replaced.
    Raises `StoreError` if the folder cannot be written to or the disk is full.
    """
    target = Path(os.path.realpath(filename))
    beside = hidden_beside(target)
    with explained(filename):
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield beside
        with explained(filename):
            synchronise(beside)
            check_all()
            _keep_mode(target, beside)
            beside.replace(target)
            synchronise(target.parent)
    finally:
        # After the rename there is nothing left to remove.
        with suppress(OSError):
            beside.unlink()


def _keep_mode(former: Path, path: Path) -> None:
    with suppress(OSError):
        mode = former.stat().st_mode
        if stat.S_ISREG(mode):
            path.chmod(stat.S_IMODE(mode) & 0o777)


def folder_beside(filename: Filename) -> TemporaryDirectory[str]:
    """Return a new hidden folder beside `filename`, for what it is to be made from.

    Raises `StoreError` if it cannot be made.
    """
    from tempfile import TemporaryDirectory

    target = Path(os.path.realpath(filename))
    with explained(filename):
        prefix, suffix = words_of_folder(target)
        return TemporaryDirectory(dir=target.parent, prefix=prefix, suffix=suffix)


def can_be_made(path: Path) -> bool:
    """Whether there can be a file of such a name in its folder."""
    beside = hidden_beside(path)
    try:
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        beside.unlink()
    except OSError:
        return False
    return True


def place(path: Path, text: str) -> bool:
    """Write a file unless there is one of that name, and return whether it was written.

    Of several processes that do so at once, one is first, also on network file
    systems. Others see the file whole; where there are no links, empty for a moment.
    """
    file = nameless(path.parent)
    if file is None:
        return _place_beside(path, text)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        force(file)
        try:
            return name_it(file, path) or _place_beside(path, text)
        except FileExistsError:
            return False


def _place_beside(path: Path, text: str) -> bool:
    beside = hidden_beside(path)
    try:
        beside.write_text(text, encoding="utf-8")
        synchronise(beside)
        return _link(beside, path)
    finally:
        beside.unlink(missing_ok=True)


# exFAT, SMB and some others have no links, and say so in different ways.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
        return True
    except FileExistsError:
        # Network file systems may ask again for a link that was made already.
        with suppress(OSError):
            return source.samefile(target)
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    return _copy(source, target)


def _copy(source: Path, target: Path) -> bool:
    try:
        file = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(source.read_bytes())
            stream.flush()
            force(file)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return True


def link(source: Filename, target: Path) -> bool:
    """Give a file a second name on the same disk, and return whether that is possible.

    What had that name before is replaced. Raises `StoreError` if the folder cannot be
    written to.
    """
    beside = hidden_beside(target)
    try:
        with explained(target):
            os.link(os.path.realpath(source), beside)
            check_all()
            beside.replace(target)
            synchronise(target.parent)
    except StoreError as error:
        if error.errno not in (*_NO_LINKS, errno.EXDEV):
            raise
        return False
    finally:
        # Two names of one file do not replace each other.
        beside.unlink(missing_ok=True)
    return True


def duplicate(source: Path, target: Filename) -> None:
    """Give the content of a file to another, which appears whole or not at all.

    Where nobody sees the source, as only psyrun knows its name, both are one file.
    """
    with replacing(target) as path, explained(target):
        if source.stat().st_nlink > 1 or not link(source, path):
            shutil.copyfile(source, path)


def read_placed(path: Path) -> str:
    """Return what stands in a file that was written with `place`.

    It is empty only if the power failed. Raises `FileNotFoundError` if there is none.
    """
    for _ in range(_LOOKS):
        if text := read_bytes(path).decode():
            return text
        time.sleep(_PAUSE)
    return ""


METADATA = ".psyrun"
"""How the name of a file ends that says what is to be known of another one."""


def file_beside(filename: Filename) -> Path:
    """Return the name of the file that says what is to be known of another one.

    That of a link is beside the file that it points to.
    """
    path = Path(os.path.realpath(filename))
    return path.with_name(path.name + METADATA)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing, and have them on disk.

    Else what is synced in it might have no name after a power failure.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    # Who may write to a folder need not be allowed to read it.
    with suppress(OSError):
        synchronise(folder.parent)


def synchronise(path: Path) -> None:
    """Force a file, or the names in a folder, to disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        # Names can be made in a folder that cannot be listed.
        if path.is_dir():
            return
        raise
    try:
        force(descriptor)
    finally:
        os.close(descriptor)


# Of folders, or at all: some network and FUSE file systems.
_CANNOT_FORCE = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def force(descriptor: int) -> None:
    """Force an open file to disk, where the file system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FORCE:
            raise


@contextmanager
def explained(filename: Filename) -> Iterator[None]:
    """Turn an `OSError` of the body into a `StoreError` with the file and reason."""
    try:
        yield
    except StoreError:
        raise
    except FileNotFoundError as error:
        missing = NoSuchFileError(
            f"{filename}: no such file or folder; check the path."
        )
        missing.errno = errno.ENOENT
        raise missing from error
    except OSError as error:
        refused = StoreError(f"{filename}: {reason_of(error)}")
        refused.errno = error.errno
        raise refused from error


def refuse_pipe(filename: Filename) -> None:
    """Raise a `StoreError` for a named pipe, which keeps its readers waiting."""
    if _is_named_pipe(filename):
        raise damaged(filename, "is a named pipe, and no file")


def _is_named_pipe(filename: Filename) -> bool:
    try:
        if not stat.S_ISFIFO(os.stat(filename).st_mode):  # noqa: PTH116
            return False
        # Those that a shell made for this process have no name, and somebody writes.
        return os.path.exists(os.path.realpath(filename))  # noqa: PTH110
    except (OSError, ValueError):
        return False


def opened(filename: Filename, buffering: int = -1) -> BinaryIO:
    """Open a file to read bytes from it; `StoreError` if it is a named pipe."""
    refuse_pipe(filename)
    return open(filename, "rb", buffering)  # noqa: PTH123


def remove_pipe(path: Path) -> None:
    """Remove a named pipe that stands where a file is to be written."""
    if _is_named_pipe(path):
        path.unlink(missing_ok=True)


def read_bytes(filename: Filename) -> bytes:
    """Return what is in a file; `StoreError` if it is a named pipe."""
    with opened(filename) as file:
        return file.read()


file_advice: list[Callable[[Path], str]] = []
"""Functions that say in a few words how a damaged file is mended, if they know."""


def damaged(filename: Filename, problem: str) -> DamagedFileError:
    """Return the error for a file whose content cannot be used.

    The problem is a phrase such as "is not JSON".
    """
    known = (advise(Path(filename)) for advise in file_advice)
    advice = next(filter(None, known), "restore a copy of it, or make it again")
    return DamagedFileError(f"{filename}: {problem}; {advice}.")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, making its folder if there is none."""
    make_folder(path.parent)
    with replacing(path) as temporary, explained(path):
        temporary.write_text(text, encoding="utf-8")


_SEAL, _CONTENT = "#crc32", "#content"


def seal(value: Any) -> dict[Any, Any]:
    """Return a value for JSON with a checksum of itself, for `unseal`."""
    content = value if isinstance(value, dict) else {_CONTENT: value}
    return {**content, _SEAL: _crc(content)}


def unseal(record: Any) -> Any:
    """Return what was sealed, and a record of former versions, without seal, as it is.

    Raises `ValueError` if it is not what was sealed.
    """
    if not isinstance(record, dict):
        return record
    if _SEAL not in record:
        if any(map(_is_nearly_the_seal, record)):
            raise ValueError("its checksum has another name")
        return record
    content = {key: value for key, value in record.items() if key != _SEAL}
    if record[_SEAL] != _crc(content):
        raise ValueError("its content does not fit to its checksum")
    return content[_CONTENT] if content.keys() == {_CONTENT} else content


def _is_nearly_the_seal(name: str) -> bool:
    return len(name) == len(_SEAL) and sum(map(str.__ne__, name, _SEAL)) == 1


def _crc(content: Any) -> int:
    # Its text is the same however it was written to a file.
    return zlib.crc32(json.dumps(content).encode())


def write_json(path: Path, value: Any, *, sealed: bool = True) -> None:
    """Write a JSON file atomically, making its folder if there is none.

    With a seal, it is noticed if a value in it is not read as it was written.
    """
    record = seal(value) if sealed else value
    write_text(path, json.dumps(record, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, or None where there is no such file.

    Raises `StoreError` if it is damaged.
    """
    try:
        record = json.loads(read_bytes(path).decode())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"is not JSON ({error})") from error
    try:
        return unseal(record)
    except ValueError as error:
        raise damaged(path, f"is damaged: {error}") from error
