"""Stopping processes with all that they started."""

import subprocess
from dataclasses import replace

import pytest

from psyrun.run.stop import _processes, _ProcessTree
from psyrun.utils.process.identity import process_start
from psyrun.workdir.holder import Holder

# Starts a child, out of reach of its parent's group, when it is told to.
SHELL = "read line; setsid sleep 1000 & echo $!; wait"


@pytest.fixture
def shell():
    """A shell that waits for a line, and the holder that it would be."""
    pipe = subprocess.PIPE
    command = ["sh", "-c", SHELL]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        started = process_start(process.pid)
        yield process, replace(Holder.me(), pid=process.pid, started=started)
        process.kill()


def test_what_is_started_meanwhile_is_ended_too(shell):
    process, holder = shell
    tree = _ProcessTree(_processes([holder]))
    process.stdin.write("\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    tree.kill()
    assert process.wait(10) != 0
    assert process_start(child) is None


def test_children_are_ended_whose_parent_ended_by_itself(shell):
    process, holder = shell
    process.stdin.write("\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    tree = _ProcessTree(_processes([holder]))
    process.kill()
    process.wait(10)
    tree.kill()
    assert process_start(child) is None


def test_another_process_with_the_number_of_a_holder_is_left_alone(shell):
    _, holder = shell
    assert _processes([replace(holder, started="0")]) == []
