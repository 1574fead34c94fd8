"""What the system refuses: open files, memory, names on a disk, a user's name."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from projects import COUNTED, TIMEOUT, Project

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.write(COUNTED)
    return project


def psy(
    project: Project,
    *arguments: str,
    prefix: Sequence[str] = (),
    limit: tuple[int, int] | None = None,
    without: Sequence[str] = (),
    also: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Return the exit status, and what is said, without a traceback in it."""
    own = {name: value for name, value in os.environ.items() if name not in without}
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "psyrun.cli", *arguments],
        cwd=project.folder,
        env={**own, **(also or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        preexec_fn=lambda: limit and resource.setrlimit(limit[0], (limit[1],) * 2),
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "fault of psyrun" not in said
    return done.returncode, said


def rows(project: Project) -> list[int]:
    return list(
        pickle.loads((project.folder / "psy-work/a/result.pkl").read_bytes())["y"]
    )


def is_whole_afterwards(project: Project) -> None:
    """Check that the next run comes to its end, and evaluates only what was lost."""
    assert psy(project, "run")[0] == 0
    assert rows(project) == [1, 4, 9, 16]
    calls = project.calls()
    assert set(calls) == {1, 2, 3, 4}
    # Each of two jobs may have been about to record one.
    assert len(calls) <= 6


LIMITS = {
    "open files of a job": (resource.RLIMIT_NOFILE, 12, "'ulimit -n 4096'"),
    "open files of a run": (resource.RLIMIT_NOFILE, 8, "'ulimit -n 4096'"),
    "the size of files": (resource.RLIMIT_FSIZE, 100, "see 'ulimit -f'"),
    "memory": (resource.RLIMIT_AS, 150 << 20, ""),
}


@pytest.mark.parametrize("what", LIMITS)
def test_a_limit_is_named_and_loses_nothing(project: Project, what: str) -> None:
    kind, number, said = LIMITS[what]
    status, printed = psy(project, "run", limit=(kind, number))
    assert status in (1, 2)
    assert said in printed
    is_whole_afterwards(project)


@pytest.mark.parametrize("mib", [200, 250, 280, 400, 450, 600])
def test_little_memory_is_named_unless_all_is_done(project: Project, mib: int) -> None:
    status, printed = psy(project, "run", limit=(resource.RLIMIT_AS, mib << 20))
    assert status in (0, 1, 2)
    # Snakemake may lack it, or a job, which then cannot say so.
    is_named = "'ulimit -v'" in printed or "may have lacked memory" in printed
    assert is_named or status == 0
    if status == 0:
        assert rows(project) == [1, 4, 9, 16]
    is_whole_afterwards(project)


# What a limit of the processes of a user does, which root has not.
NO_FORKS = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

pid_t fork(void) {
    pid_t (*real)(void) = (pid_t (*)(void))dlsym(RTLD_NEXT, "fork");
    struct stat about;
    int fd = open(getenv("FORKS"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    int is_over = fd < 0 || write(fd, "x", 1) < 0 || fstat(fd, &about) ||
                  about.st_size > atoi(getenv("MOST_FORKS"));
    close(fd);
    if (!is_over) return real();
    errno = EAGAIN;
    return -1;
}

pid_t vfork(void) { return fork(); }
"""


@pytest.fixture(scope="module")
def no_forks(tmp_path_factory) -> Path:
    """A library that lets all processes of a run start only so many others."""
    compiler, folder = shutil.which("cc"), tmp_path_factory.mktemp("forks")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler, on Linux")
    (folder / "forks.c").write_text(NO_FORKS)
    library = folder / "forks.so"
    command = [compiler, "-shared", "-fPIC", "-o", library, folder / "forks.c", "-ldl"]
    subprocess.run(command, check=True)
    return library


FRESH = "import threading\nthreading.Thread(target=int).start()\n"


@pytest.mark.parametrize(
    ("most", "more"),
    [*((most, "") for most in range(8)), (6, FRESH)],
)
def test_a_limit_of_processes_is_named_and_loses_nothing(
    project: Project, no_forks: Path, most: int, more: str
) -> None:
    project.write(more + COUNTED)
    counter = project.folder / "forks"
    limit = {"FORKS": str(counter), "MOST_FORKS": str(most)}
    status, printed = psy(project, "run", also={**limit, "LD_PRELOAD": str(no_forks)})
    assert counter.stat().st_size > most
    assert status == 2
    assert "see 'ulimit -u'" in printed
    assert psy(project, "run")[0] == 0
    assert rows(project) == [1, 4, 9, 16]
    assert project.calls() == [1, 2, 3, 4]


def test_a_pool_goes_on_with_the_workers_that_it_may_have(
    project: Project, no_forks: Path
) -> None:
    project.write("pool_size = 3\n" + COUNTED.replace("max_jobs = 2", "max_jobs = 1"))
    counter = project.folder / "forks"
    printed = ""
    # How many processes a run starts before its pool depends on the machine.
    for most in range(4, 16):
        counter.unlink(missing_ok=True)
        project.psy("clean", "a")
        limit = {"FORKS": str(counter), "MOST_FORKS": str(most)}
        also = {**limit, "LD_PRELOAD": str(no_forks)}
        status, printed = psy(project, "run", also=also)
        assert "see 'ulimit -u'" in printed
        assert status in (0, 2)
        if "a: a job goes on with 1 worker instead of 3: " in printed:
            break
        project.calls()
    assert "a: a job goes on with 1 worker instead of 3: " in printed
    assert psy(project, "run")[0] == 0
    assert rows(project) == [1, 4, 9, 16]
    assert project.calls() == [1, 2, 3, 4]


@pytest.fixture
def disk(project: Project) -> Iterator[Path]:
    """A file system in memory in the place of the project."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = project.folder
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems in memory cannot be mounted here")
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def remount(disk: Path, options: str) -> None:
    command = ["mount", "-o", f"remount,{options}", str(disk)]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("n_more", [5, 16, 22, 32, 40, 48, 58])
def test_a_disk_without_names_for_files(
    project: Project, disk: Path, n_more: int
) -> None:
    n_used = os.statvfs(disk).f_files - os.statvfs(disk).f_ffree
    remount(disk, f"nr_inodes={n_used + n_more}")
    status, printed = psy(project, "run")
    assert status in (1, 2)
    assert "No space left on device" in printed
    remount(disk, "nr_inodes=10000")
    is_whole_afterwards(project)


@pytest.mark.parametrize("kib", [8, 32, 48, 64, 80, 110])
def test_a_small_disk(project: Project, disk: Path, kib: int) -> None:
    used = os.statvfs(disk)
    n_used = (used.f_blocks - used.f_bfree) * used.f_frsize // 1024
    remount(disk, f"size={n_used + kib}k")
    status, printed = psy(project, "run")
    assert status in (1, 2)
    assert "No space left on device" in printed
    remount(disk, "size=10M")
    is_whole_afterwards(project)


def test_a_disk_that_can_only_be_read(project: Project, disk: Path) -> None:
    assert psy(project, "run")[0] == 0
    (disk / "psy-tasks/task_a.py").write_text(COUNTED + "max_jobs = 3\n")
    (disk / "psy-work/a/result.pkl").unlink()
    remount(disk, "ro")
    for verb in ("run", "clean a", "merge psy-work m.pkl"):
        status, said = psy(project, *verb.split())
        assert status == 2, verb
        assert "psy: " in said
    for verb in ("list", "status -v", "failed a", "kill a"):
        assert psy(project, *verb.split())[0] == 0, verb
    remount(disk, "rw")
    is_whole_afterwards(project)


UNNAMED = ["unshare", "--user", "--map-user=4321"]


@pytest.mark.parametrize("without", [("LOGNAME", "USER"), ("LOGNAME", "USER", "HOME")])
def test_a_user_may_have_no_name_and_no_home(
    project: Project, without: Sequence[str]
) -> None:
    if subprocess.run([*UNNAMED, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a user without a name cannot be had here")
    assert psy(project, "run", prefix=UNNAMED, without=without)[0] == 0
    assert rows(project) == [1, 4, 9, 16]
    for verb in ("list", "status -v", "failed a", "test a", "kill a", "clean a"):
        status, _ = psy(project, *verb.split(), prefix=UNNAMED, without=without)
        assert status == 0, verb


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o177, 0o477, 0o777])
def test_any_umask_leaves_psyrun_its_files(project: Project, mask: int) -> None:
    if subprocess.run([*UNNAMED, "true"], capture_output=True, check=False).returncode:
        pytest.skip("root may read all files")
    with_mask = ["sh", "-c", f'umask {mask:o}; exec "$@"', "sh", *UNNAMED]
    assert psy(project, "run", prefix=with_mask)[0] == 0
    for verb in ("status", "failed a", "test a", "doctor --verify", "run"):
        assert psy(project, *verb.split(), prefix=with_mask)[0] == 0, verb
        assert psy(project, *verb.split(), prefix=UNNAMED)[0] == 0, verb
    folders = [each for each in project.folder.rglob("*") if each.is_dir()]
    rest = 0o777 & ~mask | 0o700
    own = [each for each in folders if "psy-work" in each.parts]
    assert own
    assert all(stat.S_IMODE(each.stat().st_mode) & ~rest == 0 for each in own)
    assert psy(project, "clean", "a", prefix=with_mask)[0] == 0
