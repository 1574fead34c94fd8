"""The documentation is true: its examples run, its links lead somewhere.

Each document is run from top to bottom in an empty project folder: a block with
a title is a file, a ``console`` block holds commands and what they print, and a
block with ``>>>`` is Python. ``...`` stands for any text. A block with
``exit="1"`` ends with a command that has this exit status. Examples that need a queue
are run by ``tests/cluster/test_docs_on_cluster.py``. Files and names of the package
that a document mentions exist.
"""

from __future__ import annotations

import re
from importlib import import_module
from inspect import get_annotations
from pathlib import Path
from typing import Any

import pictures
import pytest
from markdown_documents import anchors, blocks, code_spans, links
from readers import QUEUES, ROOT

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
    project = pictures.follow(ROOT / name, tmp_path, monkeypatch)
    if ROOT / name in pictures.documents():
        pictures.check(ROOT / name, project)


def test_all_pictures_are_shown_and_small() -> None:
    kept = list(pictures.PICTURES.iterdir())
    names = {name for path in DOCUMENTS for name in pictures.shown(path)}
    assert {path.name for path in kept} == names
    assert sum(path.stat().st_size for path in kept) < 1_000_000


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


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("amplitude.svg", ">damping<", ">mount<"),
        ("amplitude.svg", 'id="line2d_', 'id="other'),
        ("amplitude.svg", ">1.4<", ">0.6<"),
        ("resonance.svg", "fill: #440154", "fill: #840154"),
    ],
)
def test_pictures_that_show_something_else_are_told_apart(
    name: str, old: str, new: str, tmp_path: Path
) -> None:
    kept, made = pictures.PICTURES / name, tmp_path / name
    made.write_text(kept.read_text("utf-8"), "utf-8")
    assert pictures.differences(made, kept) == []
    made.write_text(kept.read_text("utf-8").replace(old, new), "utf-8")
    assert len(pictures.differences(made, kept)) == 1


def test_pictures_may_have_other_ticks_on_the_same_scale(tmp_path: Path) -> None:
    kept, made = pictures.PICTURES / "amplitude.svg", tmp_path / "amplitude.svg"
    tick = re.compile(r'<g id="xtick_2">.*?(?=<g id="xtick_3">)', re.DOTALL)
    text, n_removed = tick.subn("", kept.read_text("utf-8"))
    assert n_removed == 1
    made.write_text(text, "utf-8")
    assert pictures.differences(made, kept) == []
    assert pictures.differences(kept, made) == []


DOTTED = re.compile(r"\b(?:psyrun|snakemake_\w+_plugin_psyrun\w*)(?:\.[A-Za-z_]\w*)+")
IMPORTED = re.compile(r"^\W*from (psyrun[\w.]*) import ([\w, ]+)$", re.MULTILINE)
GROUPS = {"psyrun.stores", "psyrun.schedulers"}  # of entry points
ARCHITECTURE = "docs/explanation/architecture.md"
ROOMS = {path.stem for path in (ROOT / "psyrun").iterdir() if path.stem[0] != "_"}


def dotted_names(document: Path) -> set[str]:
    """Return the names of the package in a document.

    That about the rooms has them without ``psyrun.`` in front.
    """
    text = document.read_text("utf-8")
    found = {*DOTTED.findall(text)} - GROUPS
    for module, names in IMPORTED.findall(text):
        found |= {f"{module}.{name.strip()}" for name in names.split(",")}
    if document == ROOT / ARCHITECTURE:
        spans = (span.partition("(")[0] for span in code_spans(document))
        dotted = {s for s in spans if re.fullmatch(r"\w+(\.\w+)*\.(?!py$)\w+", s)}
        whole = {s for s in dotted if s.partition(".")[0] in ROOMS}
        # Once a class was named, its methods are called such as `Driver.step`.
        short = {s.rpartition(".")[2]: s for s in whole}
        parts = (s.partition(".") for s in dotted - whole)
        whole |= {f"{short[of]}.{name}" for of, _, name in parts if of in short}
        found |= {f"psyrun.{s}" for s in whole}
    return found


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, *rest = name.split(".")
    found: Any = import_module(module)
    for position, part in enumerate(rest, 2):
        if part in get_annotations(found) or hasattr(found, part):
            found = getattr(found, part, None)
            continue
        try:
            found = import_module(".".join([module, *rest][:position]))
        except ImportError:
            return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_package_exist(name: str) -> None:
    assert [n for n in sorted(dotted_names(ROOT / name)) if not exists(n)] == []


def missing_files(document: Path) -> list[str]:
    """Return what stands in backticks like a file of the repository, but is none.

    ``NAME`` in it stands for any name.
    """
    spans = {span for span in code_spans(document) if re.fullmatch(r"[\w./-]+", span)}
    tops = {"psyrun", "tests", "docs", "profiles", ".ci"}
    folders = [ROOT]
    found = {span for span in spans if "/" in span and span.split("/")[0] in tops}
    if document == ROOT / ARCHITECTURE:
        folders.append(ROOT / "psyrun")
        found |= {span for span in spans if span.endswith((".py", "/"))}
    return sorted(
        span
        for span in found
        if "NAME" not in span and not any((each / span).exists() for each in folders)
    )


@pytest.mark.parametrize("name", NAMES)
def test_files_of_the_repository_exist(name: str) -> None:
    assert missing_files(ROOT / name) == []


@pytest.mark.parametrize("verb", SUMMARIES)
def test_the_reference_has_all_options_of_a_command(verb: str) -> None:
    reference = (ROOT / "docs/reference/command-line.md").read_text("utf-8")
    section = re.split(r"^## ", reference, flags=re.MULTILINE)
    mine = next(part for part in section if part.startswith(f"psy {verb}\n"))
    for action in parser_for(verb)[1]._actions:
        for option in action.option_strings:
            assert f"`{option}" in mine + section[1], f"{option} is not described"
