"""Somebody who follows a document from top to bottom, in an empty project folder."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from markdown_documents import Block, blocks

ROOT = Path(__file__).parents[2]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PROGRAMS = Path(sys.executable).parent
PROGRESS = re.compile(r"^   [\d,]+ of [\d,]+ assignments? done.*\n", re.MULTILINE)
"""What runs also say that take long, as they may where a document does not show it."""

QUEUES = {
    "docs/how-to/run-on-slurm.md": "slurm",
    "docs/how-to/run-on-sqsub.md": "sqsub",
}
"""Documents whose examples need a queue; `tests/cluster` has it."""


@dataclass
class Reader:
    """Somebody who follows a document in an empty folder."""

    home: Path
    folder: Path
    namespace: dict[str, Any] = field(default_factory=dict)

    def follow(self, block: Block, document: str) -> None:
        if "title" in block.options:
            self.write(block)
        elif block.language == "console":
            self.type(block)
        elif ">>>" in block.text:
            self.try_in_python(block, document)

    def write(self, block: Block) -> None:
        path = self.folder / block.options["title"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")

    def type(self, block: Block) -> None:
        status = 0
        for command, expected in sessions(block.text):
            assert status == 0, f"{command} comes after a command that failed"
            status, output = self.run(command)
            if not PROGRESS.search(expected):
                output = PROGRESS.sub("", output)
            right = doctest.OutputChecker().check_output(expected, output, FLAGS)
            shown = f"line {block.line}: $ {command}\n{output}(exit status {status})"
            assert right, f"{shown}\nbut the document says\n{expected}"
        assert status == int(block.options.get("exit", 0)), shown

    def run(self, command: str) -> tuple[int, str]:
        where = self.home / "folder"
        script = f"{command}\nstatus=$?; pwd > {where}; exit $status"
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        self.folder = Path(where.read_text().strip())
        return ended.returncode, ended.stdout

    def environment(self) -> dict[str, str]:
        path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
        own = {"HOME": str(self.home), "PATH": path, "COLUMNS": "80"}
        others = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        return {**others, **own}

    def try_in_python(self, block: Block, document: str) -> None:
        parser = doctest.DocTestParser()
        test = parser.get_doctest(block.text, {}, document, document, block.line)
        test.globs = self.namespace
        failures: list[str] = []
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        os.chdir(self.folder)
        runner.run(test, out=failures.append, clear_globs=False)
        assert not failures, "".join(failures)


def sessions(text: str) -> list[tuple[str, str]]:
    """Split a console block into commands and what they print."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def read(document: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Follow a document in a folder; return the folder in which that ends."""
    home, project = folder / "home", folder / "project"
    home.mkdir()
    project.mkdir()
    monkeypatch.chdir(project)
    reader = Reader(home, project)
    for block in blocks(document):
        reader.follow(block, str(document.relative_to(ROOT)))
    return reader.folder
