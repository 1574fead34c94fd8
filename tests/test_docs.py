"""The documentation is true: its examples run, its links lead somewhere.

Each document is run from top to bottom in an empty project folder: a block with
a title is a file, a ``console`` block holds commands and what they print, and a
block with ``>>>`` is Python. ``...`` stands for any text. A block with
``exit="1"`` ends with a command that has this exit status. Examples that need a queue
are run by ``tests/cluster/test_docs_on_cluster.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_documents import anchors, blocks, links
from readers import QUEUES, ROOT, read

from psyrun.cli import SUMMARIES
from psyrun.cli.main import parser_for

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def runs_something(document: Path) -> bool:
    return any(b.language == "console" or ">>>" in b.text for b in blocks(document))


def runs_a_sweep(document: Path) -> bool:
    return any(b.language == "console" for b in blocks(document))


EXAMPLES = [
    pytest.param(name, marks=[pytest.mark.slow] if runs_a_sweep(path) else [])
    for name, path in zip(NAMES, DOCUMENTS, strict=True)
    if runs_something(path) and name not in QUEUES
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
