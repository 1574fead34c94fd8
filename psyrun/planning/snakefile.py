"""The Snakefile of a plan, as text."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TypeAlias

from psyrun.errors import TaskError, is_refusal
from psyrun.workdir.layout import MERGE, PROCESS, SPLIT, TaskLayout
from psyrun.workdir.plan import Plan

FORBIDDEN = "{}\"'\\\n"
_CONTROLS = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
Resources: TypeAlias = Mapping[str, Mapping[str, int | str]]
"""What the jobs of each step need, such as ``{'split': {'mem_mb': 100}}``."""


def rule_suffix(task: str) -> str:
    """Return the part of the rules' names that stands for a task.

    Rule names are identifiers: other characters of a task name become underscores.
    """
    return "".join(char if char.isalnum() else "_" for char in task)


def render(plan: Plan, template: str, resources: Resources | None = None) -> str:
    """Return the Snakefile of a plan, formatted as snakefmt would.

    `template` is the text of ``workflow/task.smk.template``.
    """
    layout = TaskLayout.of(plan.workdir, plan.task)
    round_ = layout.round(plan.round)
    wildcard = round_.block("{block}", plan.block_ext)
    needs = resources or {}
    return Template(template).substitute(
        name=rule_suffix(plan.task),
        taskfile=plan.taskfile,
        result=_literal(plan.resultfile),
        space=_literal(round_.space),
        block=_literal(wildcard),
        n_blocks=plan.n_blocks,
        plural="" if plan.n_blocks == 1 else "s",
        split_log=_literal(layout.log(SPLIT)),
        process_log=_literal(layout.log(PROCESS, "{block}")),
        merge_log=_literal(layout.log(MERGE)),
        fingerprint=plan.fingerprint,
        merged=_literal(round_.merge_mark(plan.merge)),
        threads=needs.get(PROCESS, {}).get("cpus_per_task", plan.pool_size),
        split_resources=_resources(needs.get(SPLIT, {})),
        process_resources=_resources(needs.get(PROCESS, {})),
        merge_resources=_resources(needs.get(MERGE, {})),
        python=shlex.quote(plan.python),
        folder=shlex.quote(str(layout.folder)),
        round=plan.round,
    )


@dataclass(frozen=True)
class Rendered:
    """What the Snakefile of a task says of its plan; named as in `Plan`."""

    round: int
    fingerprint: str
    n_blocks: int
    block_ext: str
    resultfile: str
    merge: str

    @classmethod
    def read(cls, path: Path) -> Rendered | None:
        """Read a Snakefile that `render` has written, None where that is not whole."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            if is_refusal(error):
                raise
            return None
        found = [re.search(pattern, text) for pattern in _STATED.values()]
        if not all(found):
            return None
        values = dict(zip(_STATED, (m[1] for m in found if m), strict=True))
        number, n_blocks = int(values.pop("round")), int(values.pop("n_blocks"))
        return cls(round=number, n_blocks=n_blocks, **values)


_STATED = {
    "round": r"psyrun\.steps split .* (\d+) > ",
    "fingerprint": r'\bfingerprint="(\w+)"',
    "n_blocks": r"\bblock=range\((\d+)\)",
    "block_ext": r'/blocks/\{block\}(\.[^"]+)"',
    "resultfile": r'\bupdate\(\s*"([^"]+)"',
    "merge": r'\bdone="[^"]*/merged-(\w+)"',
}


def _resources(needs: Mapping[str, int | str]) -> str:
    if not needs:
        return ""
    lines = [
        f"        {name}={value if isinstance(value, int) else _quoted(value)},\n"
        for name, value in needs.items()
    ]
    return f"    resources:\n{''.join(lines)}"


def _quoted(text: str) -> str:
    """Return a text as a literal in which Snakemake sees no wildcards."""
    return json.dumps(text.replace("{", "{{").replace("}", "}}"), ensure_ascii=False)


def _literal(path: str | Path) -> str:
    return f'"{path}"'


def check_path(path: str, variable: str, where: str) -> None:
    """Refuse a path with a character that has a meaning in a Snakefile."""
    found = [char for char in FORBIDDEN if char in path]
    found += [char for char in _CONTROLS if char in path and char not in found]
    if found:
        shown = " ".join(repr(char) for char in found)
        raise TaskError(
            f"{where}: {variable} is {path!r}; it must not contain {shown}. "
            "Choose another path."
        )


def check_taskfile(path: str) -> None:
    """Refuse the path of a task file that would not stay in a comment.

    What follows a line break there would be code of the Snakefile.
    """
    found = [char for char in _CONTROLS if char in path]
    if found:
        shown = " ".join(map(repr, found))
        raise TaskError(
            f"{path!r}: the path of a task file must not contain {shown}. Rename the "
            "folder or the file."
        )


def environment(version: str) -> str:
    """Return a conda environment file with what the generated rules need.

    Snakemake only uses it with ``--software-deployment-method conda``.
    """
    return (
        "channels:\n  - conda-forge\n"
        "dependencies:\n  - python >=3.11\n  - pip\n"
        f"  - pip:\n      - psyrun =={version}\n"
    )
