"""Data files that are read when a task is imported, but are not in file_dep."""

from __future__ import annotations

import pytest
from projects import COUNTED, Project

READ = {
    "open": "config = json.load(open('config.json'))",
    "with": "with open('config.json') as file:\n    config = json.load(file)",
    "pathlib": "config = json.loads(Path('config.json').read_text())",
    "folder and name": "config = json.loads((Path.cwd() / 'config.json').read_bytes())",
    "numpy": "import numpy as np\nconfig = np.loadtxt('config.json', dtype=str)",
    "beside the file": "config = json.load(Path(__file__).parents[1].joinpath("
    "'config.json').open())",
    "descriptor": "import os\nconfig = os.read(os.open('config.json', os.O_RDONLY), 9)",
    "module": "from model import config",
}


@pytest.fixture
def reading(tmp_path):
    """Make a project whose task file reads a file by some lines."""

    def make(lines: str) -> Project:
        project = Project(tmp_path / "project")
        (project.folder / "config.json").write_text('{"n":1}')
        module = "import json\nconfig = json.load(open('config.json'))\n"
        (project.folder / "model.py").write_text(module)
        project.write(f"import json\n{COUNTED}")
        project.edit("\n\ndef execute(x)", f"\n{lines}\n\n\ndef execute(x, c=config)")
        return project

    return make


def said(project: Project) -> list[str]:
    """Run the project, and return the hints that it got."""
    lines = project.psy("run").stdout.splitlines()
    return [line for line in lines if "file_dep" in line]


@pytest.mark.slow
@pytest.mark.parametrize("lines", READ.values(), ids=READ)
def test_a_file_that_is_read_at_import_is_hinted_at_once(reading, lines) -> None:
    project = reading(lines)
    (hint,) = said(project)
    assert hint.startswith("a: config.json is read but is not in file_dep")
    project.edit("x**2", "x**3")
    assert said(project) == []


UNSAID = {
    "listed": "config = json.load(open('config.json'))\nfile_dep = ['config.json']",
    "written": "config = open('other.json', 'w').write('1')",
    "written before": "Path('made.json').write_text('1')\n"
    "config = json.load(open('made.json'))",
    "not at import": "config = 1\ndef other(): return open('config.json')",
    "only says how to run": "config = 1\n"
    "max_jobs = json.load(open('config.json'))['n']",
    "not there": "import os\nconfig = os.path.exists('config.json')",
}


@pytest.mark.slow
@pytest.mark.parametrize("lines", UNSAID.values(), ids=UNSAID)
def test_other_files_are_not_hinted_at(reading, lines) -> None:
    assert said(reading(lines)) == []
