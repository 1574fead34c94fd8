"""Modules that source does not name, as jobs have loaded them."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

import pytest
from projects import Project

pytestmark = pytest.mark.slow

TASK = """\
from psyrun import Param

pspace = Param(x=[1, 2, 3])
{head}

def execute(x):
{body}
    with open("calls-{name}", "a") as file:
        file.write(f"{{x}}\\n")
    return {{"y": f(x)}}
"""
CODE = "def f(x):\n    return x + 1\n"


class Way(NamedTuple):
    """A way to load a module; @ stands for its name."""

    module: str
    head: str
    body: str = "pass"
    files: dict[str, str] = {}


WAYS = {
    "name_by_plus": Way(
        "lib_@/one.py",
        "import importlib\nf = importlib.import_module('lib_@.' + 'one').f",
    ),
    "name_by_f_string": Way(
        "lib_@/one.py",
        "from importlib import import_module\nname = 'one'\n"
        "f = import_module(f'lib_@.{name}').f",
    ),
    "name_by_format": Way(
        "lib_@/one.py",
        "import importlib as i\nf = i.import_module('{}.one'.format('lib_@')).f",
    ),
    "dunder_import": Way("one_@.py", "f = __import__('one_' + '@').f"),
    "import_in_a_loop": Way(
        "lib_@/one.py",
        "import importlib\nfor n in ['one']:\n"
        "    f = importlib.import_module('lib_@.' + n).f",
    ),
    "all_of_a_package": Way(
        "lib_@/one.py",
        "import importlib, pkgutil, lib_@\n"
        "for m in pkgutil.iter_modules(lib_@.__path__):\n"
        "    f = importlib.import_module(f'lib_@.{m.name}').f",
    ),
    "registry_of_another_package": Way(
        "lib_@/one.py",
        "from registry_@ import get\nf = get('one')",
        "pass",
        {
            "registry_@/__init__.py": "import importlib\nROOT = 'lib_@'\n"
            "def get(n):\n    return importlib.import_module(ROOT + '.' + n).f\n"
        },
    ),
    "alias_of_import_module": Way(
        "one_@.py",
        "import importlib\nload = importlib.import_module\nf = load('one_@').f",
    ),
    "resolve_name": Way(
        "one_@.py",
        "import pkgutil\nf = pkgutil.resolve_name('one_@:f')",
    ),
    "spec_from_file_location": Way(
        "odd/@.py",
        "import importlib.util as u\ns = u.spec_from_file_location('m', 'odd/@.py')\n"
        "m = u.module_from_spec(s)\ns.loader.exec_module(m)\nf = m.f",
    ),
    "source_file_loader": Way(
        "odd/@.py",
        "from importlib.machinery import SourceFileLoader\n"
        "f = SourceFileLoader('m@', 'odd/@.py').load_module().f",
    ),
    "run_path": Way("odd/@.py", "import runpy\nf = runpy.run_path('odd/@.py')['f']"),
    "run_module": Way("one_@.py", "import runpy\nf = runpy.run_module('one_@')['f']"),
    "exec_of_open": Way("odd/@.py", "exec(open('odd/@.py').read())"),
    "exec_of_another_suffix": Way(
        "odd/@.inc",
        "from pathlib import Path\nexec(Path('odd/@.inc').read_text())",
    ),
    "exec_of_compile": Way(
        "odd/@.py",
        "with open('odd/@.py', 'rb') as file:\n"
        "    exec(compile(file.read(), 'odd/@.py', 'exec'))",
    ),
    "path_by_a_loop": Way(
        "path_@/one_@.py",
        "import sys\nfor d in ['path_@']:\n    sys.path.append(d)\nfrom one_@ import f",
    ),
    "path_by_a_slice": Way(
        "path_@/one_@.py",
        "import sys\nsys.path[:0] = ['path_@']\nfrom one_@ import f",
    ),
    "path_by_assignment": Way(
        "path_@/one_@.py",
        "import sys\nsys.path = ['path_@', *sys.path]\nfrom one_@ import f",
    ),
    "path_by_cwd": Way(
        "path_@/one_@.py",
        "import sys\nfrom pathlib import Path\n"
        "sys.path.insert(0, str(Path.cwd() / 'path_@'))\nfrom one_@ import f",
    ),
    "path_by_getcwd": Way(
        "path_@/one_@.py",
        "import os, sys\nsys.path.insert(0, os.path.join(os.getcwd(), 'path_@'))\n"
        "from one_@ import f",
    ),
    "path_by_f_string": Way(
        "path_@/one_@.py",
        "import os, sys\nhere = os.getcwd()\nsys.path.append(f'{here}/path_@')\n"
        "from one_@ import f",
    ),
    "path_by_plus": Way(
        "path_@/one_@.py",
        "import os, sys\nsys.path.append(os.getcwd() + '/path_@')\nfrom one_@ import f",
    ),
    "path_by_pardir": Way(
        "path_@/one_@.py",
        "import os, sys\nhere = os.path.dirname(os.path.abspath(__file__))\n"
        "sys.path.append(os.path.join(here, os.pardir, 'path_@'))\n"
        "from one_@ import f",
    ),
    "path_by_a_function": Way(
        "path_@/one_@.py",
        "import sys\ndef add(d):\n    sys.path.append(d)\nadd('path_@')\n"
        "from one_@ import f",
    ),
    "path_by_another_module": Way(
        "path_@/one_@.py",
        "import paths_@\nfrom one_@ import f",
        "pass",
        {"paths_@.py": "import sys\nadd = sys.path.append\nadd('path_@')\n"},
    ),
    "path_by_a_variable_of_the_environment": Way(
        "path_@/one_@.py",
        "import os, sys\nsys.path.append(os.environ['CODE'] + '/path_@')\n"
        "from one_@ import f",
    ),
    "path_by_from_sys_import_path": Way(
        "path_@/one_@.py",
        "from sys import path\npath.append('path_@')\nfrom one_@ import f",
    ),
    "path_only_while_importing": Way(
        "../beside/path_@/one_@.py",
        "import sys\nsys.path += ['../beside/' + 'path_@']\nfrom one_@ import f\n"
        "sys.path.pop()",
    ),
    "path_with_dots": Way(
        "../../above/one_@.py",
        "import os, sys\nhere = os.path.dirname(__file__)\n"
        "for d in [os.path.join(here, '..', '..', '..', 'above')]:\n"
        "    sys.path.append(d)\nfrom one_@ import f",
    ),
    "path_from_the_current_folder": Way(
        "../../above/one_@.py",
        "import sys\nsys.path.append('../..' + '/above')\nfrom one_@ import f",
    ),
    "file_above": Way(
        "../../above/@.py",
        "import importlib.util as u\nplace = '../../above/@.py'\n"
        "s = u.spec_from_file_location('above_@', place)\n"
        "m = u.module_from_spec(s)\ns.loader.exec_module(m)\nf = m.f",
    ),
    "run_path_above": Way(
        "../../above/@.py", "import runpy\nf = runpy.run_path('../../above/@.py')['f']"
    ),
    "exec_above": Way("../../above/@.py", "exec(open('../../above/@.py').read())"),
    "exec_of_a_part": Way(
        "odd/@.py",
        "text = 'import no_such_module\\n' + open('odd/@.py').read()\n"
        "exec(text[text.index('def f'):].replace('(x)', '(x, y=1)'))",
    ),
    "exec_of_a_descriptor": Way(
        "odd/@.py",
        "import os\nexec(os.read(os.open('odd/@.py', os.O_RDONLY), 999))",
    ),
    "pythonpath": Way("on_pythonpath/one_@.py", "from one_@ import f"),
    "pythonpath_elsewhere": Way("../elsewhere/one_@.py", "from one_@ import f"),
    "editable_by_pth": Way("editable/one_@.py", "from one_@ import f"),
    "editable_by_finder": Way("odd/@/one_@/__init__.py", "from one_@ import f"),
    "namespace_package": Way(
        "path_@/lib_@/sub/one.py",
        "import sys\nsys.path[:0] = ['path_@']\nfrom lib_@.sub.one import f",
    ),
    "zip_archive": Way(
        "odd/@.zip",
        "import sys\nsys.path[:0] = ['odd/@.zip']\nfrom one_@ import f",
    ),
    "symbolic_link_to_the_task": Way(
        "tasks/one_@.py",
        "import sys\nfrom pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).resolve().parent))\nfrom one_@ import f",
    ),
    "symbolic_link_to_the_module": Way(
        "../beside/real_@.py",
        "from importlib import import_module as load\nf = load('one' + '_@').f",
    ),
    "in_execute": Way(
        "lib_@/one.py",
        "",
        "import importlib\nf = importlib.import_module('lib_@.' + 'one').f",
    ),
    "in_execute_for_some_assignments": Way(
        "lib_@/one.py",
        "import importlib\ndef f(x): return x",
        "if x == 2:\n    importlib.import_module('lib_@.' + 'one').f(x)",
    ),
    "in_execute_by_run_path": Way(
        "odd/@.py",
        "import runpy",
        "f = runpy.run_path('odd/' + '@.py')['f']",
    ),
    "in_execute_by_exec": Way(
        "odd/@.py",
        "from pathlib import Path",
        "scope = {}\nexec(Path('odd/@.py').read_text(), scope)\nf = scope['f']",
    ),
    "in_setup": Way(
        "lib_@/one.py",
        "import importlib\ndef f(x): return x\n"
        "def setup(proc_id):\n    importlib.import_module('lib_@.' + 'one').f(proc_id)",
    ),
    "in_a_class_of_the_space": Way(
        "lib_@/one.py",
        "import importlib\nn = importlib.import_module('lib_@.' + 'one').f(1)\n"
        "pspace = Param(x=[1, n])\ndef f(x): return x",
    ),
    "in_a_process_with_threads": Way(
        "lib_@/one.py",
        "import threading, importlib\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "def f(x): return x",
        "importlib.import_module('lib_@.' + 'one').f(x)",
    ),
}
FINDER = """\
import site, sys
from importlib.machinery import PathFinder

site.addsitedir({folder!r})


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "one_editable_by_finder":
            return PathFinder.find_spec(name, [{place!r}])


sys.meta_path.append(Finder)
"""


def write(path: Path, text: str, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("@", name))


class Ways:
    """A project with a task for each way to load a module."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.states: dict[str, dict[str, str]] = {}
        for name, way in WAYS.items():
            self._add(name, way)

    def _add(self, name: str, way: Way) -> None:
        self.write_code(name, CODE)
        path = self._module(name)
        if path.parent.name.startswith("lib_"):
            (path.parent / "__init__.py").touch()
        for other, text in way.files.items():
            write(self.project.folder / other.replace("@", name), text, name)
        text = TASK.format(name=name, head=way.head, body=indent(way.body, "    "))
        if name == "symbolic_link_to_the_task":
            write(path.parent / "the_task.py", text, name)
            self.project.taskfile(name).symlink_to(path.parent / "the_task.py")
        else:
            write(self.project.taskfile(name), text, name)
        if name == "symbolic_link_to_the_module":
            (self.project.folder / f"one_{name}.py").symlink_to(path)

    def _module(self, name: str) -> Path:
        return self.project.folder / WAYS[name][0].replace("@", name)

    def write_code(self, name: str, code: str) -> None:
        path = self._module(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                # With an entry that has no time.
                archive.writestr(zipfile.ZipInfo(f"one_{name}.py"), code)
        else:
            path.write_text(code)

    def without_state(self, when: str, state: str) -> list[str]:
        """Return the tasks that had another state then."""
        return [way for way in WAYS if self.states[when][way] != state]

    def change(self, old: str, new: str) -> None:
        for name in WAYS:
            if self._module(name).suffix != ".zip":
                text = self._module(name).read_text()
                assert old in text
                self.write_code(name, text.replace(old, new))
            elif "#" not in new:
                self.write_code(name, CODE.replace(old, new))

    def status(self) -> dict[str, str]:
        lines = self.project.psy("status").stdout.splitlines()[1:]
        return {line.split()[0]: line.split()[1] for line in lines}

    def calls(self) -> dict[str, list[int]]:
        return {name: self.project.calls(f"calls-{name}") for name in WAYS}


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    """The states of all tasks after a first run and some changes."""
    project = Project(tmp_path_factory.mktemp("ways") / "here/project")
    ways = Ways(project)
    site = project.folder.parent / "site"
    site.mkdir()
    (site / "editable.pth").write_text(f"{project.folder / 'editable'}\n")
    place = str(project.folder / "odd/editable_by_finder")
    text = FINDER.format(folder=str(site), place=place)
    (site / "sitecustomize.py").write_text(text)
    folders = [site, project.folder / "on_pythonpath", project.folder / "../elsewhere"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
        patch.setenv("CODE", str(project.folder))
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        project.psy("run", "-j", "2", "-q")
        ways.first = ways.calls()
        ways.states["unchanged"] = ways.status()
        project.psy("run", "-q")
        ways.second = ways.calls()
        ways.change("def f", "# A remark.\n\n\ndef f")
        ways.states["commented"] = ways.status()
        ways.change("x + 1", "x + 2")
        ways.states["changed"] = ways.status()
        ways.change("x + 2", "x + 1")
        ways.states["taken back"] = ways.status()
        ways.change("x + 1", "x + 3")
        ways.said = project.psy("run", "-j", "2").stdout
        ways.third = ways.calls()
        ways.states["run again"] = ways.status()
    return ways


@pytest.mark.slow
def test_loaded_code_counts_whatever_way_it_was_loaded(ways) -> None:
    # One test, as each of several would have to run all tasks.
    of_space = "in_a_class_of_the_space"
    assert [w for w in WAYS if ways.first[w] != [1, 2, 3] and w != of_space] == []
    assert ways.without_state("unchanged", "done") == []
    assert [w for w in WAYS if ways.second[w]] == []
    assert ways.without_state("commented", "done") == []
    assert ways.without_state("changed", "outdated") == []
    assert ways.without_state("taken back", "done") == []
    assert [w for w in WAYS if not ways.third[w]] == []
    assert ways.without_state("run again", "done") == []


EDITED = """\
from pathlib import Path
from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 4


def execute(x):
    import importlib, sys

    with open("calls", "a") as file:
        file.write(f"{x}\\n")
    {first}
    return {"y": importlib.import_module("mo" + "del").f(x)}
"""


@pytest.fixture
def edited(project):
    """A project whose module, which only `execute` loads, was edited after a run."""
    (project.folder / "model.py").write_text(CODE)
    project.write(EDITED.replace("{first}", "pass"))
    project.psy("run")
    assert project.calls() == [1, 2, 3, 4]
    (project.folder / "model.py").write_text(CODE.replace("1", "2"))
    return project


def test_the_file_is_named_and_all_is_computed_again(edited) -> None:
    assert "model.py changed since it was run" in edited.psy("run").stdout
    assert edited.calls() == [1, 2, 3, 4]
    assert edited.result()["y"] == [3, 4, 5, 6]
    edited.psy("run")
    assert edited.calls() == []


def test_continue_keeps_rows_of_code_as_it_was_before(edited) -> None:
    edited.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    edited.psy("run", "--continue")
    assert edited.calls() == [5]
    assert edited.result()["y"] == [2, 3, 4, 5, 7]


@pytest.mark.slow
def test_plain_snakemake_notices_code_that_was_loaded(edited) -> None:
    edited.snakemake()
    assert edited.calls() == [1, 2, 3, 4]
    assert "Nothing to be done" in edited.snakemake().stderr


def test_overwrite_dirty_keeps_rows_and_names_the_file(edited) -> None:
    edited.edit("max_jobs = 4", "overwrite_dirty = False")
    assert "model.py: changed since" in edited.psy("run", status=2).stderr
    assert edited.calls() == []


def test_a_module_that_went_away_outdates_rows(edited) -> None:
    (edited.folder / "model.py").unlink()
    (edited.folder / "model").mkdir()
    (edited.folder / "model/__init__.py").write_text(CODE)
    assert " outdated " in edited.psy("status").stdout


def step(project: Project, *arguments: str, status: int = 0) -> str:
    """Run a job of the plan as a queue does; return what it says."""
    work = str(project.work().relative_to(project.folder))
    command = ("psyrun.steps", arguments[0], work, "1", *arguments[1:])
    return project.run(*command, status=status).stderr


def test_a_job_refuses_code_that_was_changed_after_another_loaded_it(project) -> None:
    (project.folder / "model.py").write_text(CODE)
    project.write(EDITED.replace("{first}", "pass"))
    project.psy("run")
    project.lose_block(2)
    (project.folder / "model.py").write_text(CODE.replace("1", "2"))
    said = step(project, "process", "2", status=2)
    assert "model.py: was changed after the job was planned" in said
    (project.folder / "model.py").write_text("# As before.\n" + CODE)
    step(project, "process", "2")


FIRST = """if Path("edited").exists():
        z = 1
    else:
        z = importlib.import_module("mo" + "del").f(x)
        Path("model.py").write_text("def f(x):\\n    return 7\\n")
        Path("edited").touch()
    if z != 1:
        return {"y": z}"""


def test_code_that_is_edited_during_a_run_outdates_its_rows(project) -> None:
    (project.folder / "model.py").write_text(CODE)
    # The first assignment edits the module after it has loaded it.
    project.write(EDITED.replace("{first}", FIRST))
    project.psy("run", "-j", "1")
    assert project.result()["y"].count(7) == 3
    assert " outdated " in project.psy("status").stdout
    project.calls()
    project.psy("run")
    assert project.calls() == [1, 2, 3, 4]
    assert project.result()["y"] == [7, 7, 7, 7]
    assert " done " in project.psy("status").stdout


GENERATED = {
    "for each assignment": "path = Path(f'made_{x}.py')",
    "in one place": "path = Path('made.py')",
    "in the work folder": "path = Path('psy-work/made.py')",
}


@pytest.mark.slow
@pytest.mark.parametrize("first", GENERATED.values(), ids=GENERATED)
def test_code_that_an_evaluation_makes_does_not_count(project, first) -> None:
    lines = f"{first}; path.write_text(f'y = {{x}}')\n    import runpy"
    text = EDITED.replace("{first}", lines)
    load = 'importlib.import_module("mo" + "del").f(x)'
    project.write(text.replace(load, "runpy.run_path(str(path))['y']"))
    for expected in [1, 2, 3, 4], []:
        project.psy("run")
        assert project.calls() == expected
        for path in project.folder.rglob("made*.py"):
            path.write_text("y = 0")
    assert project.result()["y"] == [1, 2, 3, 4]


OTHERS = {
    "site-packages": "env/lib/python3.{minor}/site-packages/model.py",
    "dist-packages": "env/dist-packages/model.py",
    "standard library": "env/lib/python3.{minor}/model.py",
}


@pytest.mark.slow
@pytest.mark.parametrize("place", OTHERS.values(), ids=OTHERS)
def test_installed_code_below_the_project_does_not_count(
    project, place, monkeypatch
) -> None:
    path = project.folder / place.format(minor=sys.version_info.minor)
    path.parent.mkdir(parents=True)
    path.write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", str(path.parent))
    project.write(EDITED.replace("{first}", "pass"))
    project.psy("run")
    path.write_text(CODE.replace("1", "2"))
    assert " done " in project.psy("status").stdout


def test_modules_that_only_say_how_to_run_do_not_count(project) -> None:
    (project.folder / "site_settings.py").write_text("N = 2\n")
    conf = project.folder / "psy-tasks/psy-conf.py"
    conf.write_text("import site_settings\nmax_jobs = site_settings.N\n")
    project.psy("run")
    (project.folder / "site_settings.py").write_text("N = 3\n")
    assert " done " in project.psy("status").stdout


def test_files_that_are_opened_but_not_executed_do_not_count(project) -> None:
    (project.folder / "data.py").write_text("1")
    read = "exec('a = 1'); n = int(open('data.py').read())"
    project.edit("from pathlib", f"{read}\nfrom pathlib")
    project.psy("run")
    (project.folder / "data.py").write_text("2")
    assert " done " in project.psy("status").stdout


def test_records_belong_to_the_source_that_loaded_the_code(edited) -> None:
    edited.edit('importlib.import_module("mo" + "del").f(x)', "x")
    edited.psy("run")
    (edited.folder / "model.py").write_text(CODE)
    assert " done " in edited.psy("status").stdout
    assert list((edited.work() / "loaded").iterdir()) == []


def test_a_damaged_record_is_named(edited) -> None:
    (record,) = (edited.work() / "loaded").iterdir()
    record.write_text("[]")
    assert f"{record.name}: has other entries" in edited.psy("run", status=2).stderr
