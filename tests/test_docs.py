"""The documentation is true: its examples run, its links lead somewhere.

Each document is run from top to bottom in an empty project folder: a block with
a title is a file, a ``console`` block holds commands and what they print, and a
block with ``>>>`` is Python. ``...`` stands for any text. A block with
``exit="1"`` ends with a command that has this exit status.
"""

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
from markdown_documents import Block, anchors, blocks, links

from psyrun.cli import parser_for
from psyrun.commands import SUMMARIES
from psyrun.tasks import Config

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PROGRAMS = Path(sys.executable).parent


def runs_something(document: Path) -> bool:
    return any(b.language == "console" or ">>>" in b.text for b in blocks(document))


def runs_a_sweep(document: Path) -> bool:
    return any(b.language == "console" for b in blocks(document))


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


def read(document: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, project = folder / "home", folder / "project"
    home.mkdir()
    project.mkdir()
    monkeypatch.chdir(project)
    reader = Reader(home, project)
    for block in blocks(document):
        reader.follow(block, str(document.relative_to(ROOT)))


EXAMPLES = [
    pytest.param(name, marks=[pytest.mark.slow] if runs_a_sweep(path) else [])
    for name, path in zip(NAMES, DOCUMENTS, strict=True)
    if runs_something(path)
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_do_what_the_document_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(ROOT / name, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    document = ROOT / name
    for target in links(document):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), f"{target}: there is no such file"
        assert not anchor or anchor in anchors(file), f"{target}: no such heading"


def test_every_document_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached or document.suffix != ".md":
            continue
        reached.add(document)
        paths = (t.partition("#")[0] for t in links(document) if "://" not in t)
        waiting += [(document.parent / p).resolve() for p in paths if p]
    assert not set(DOCUMENTS) - reached


@pytest.mark.parametrize("verb", SUMMARIES)
def test_the_reference_has_all_options_of_a_command(verb: str) -> None:
    reference = (ROOT / "docs/reference/command-line.md").read_text("utf-8")
    section = re.split(r"^## ", reference, flags=re.MULTILINE)
    mine = next(part for part in section if part.startswith(f"psy {verb}\n"))
    for action in parser_for(verb)[1]._actions:
        for option in action.option_strings:
            assert f"`{option}" in mine + section[1], f"{option} is not described"


@pytest.mark.parametrize("name", sorted(Config.__dataclass_fields__))
def test_the_reference_has_every_special_variable(name: str) -> None:
    reference = (ROOT / "docs/reference/task-file.md").read_text("utf-8")
    assert f"| `{name}` |" in reference
