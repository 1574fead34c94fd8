"""The rooms of the package, and who may import whom.

``python tests/test_architecture.py`` prints them, with their imports and sizes.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "psyrun"
PLUGINS = ROOT / "workflow" / "plugins"

# From top to bottom: each floor may import those below it. Rooms of one floor are
# neighbours, which may import one another if that makes no circle.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("plugins",),  # Snakemake's, in a folder of their own; no room imports them
    ("cli", "exceptions", "layout", "main", "version"),
    ("run", "report"),
    ("results",),
    ("planning",),
    ("queue",),
    ("steps",),
    ("workdir", "tasks", "mapper", "testing"),
    ("estimate", "pspace", "store", "scheduler", "backend"),
    ("utils",),
    ("errors",),
)
# No rooms, but names that files of users import; nothing else does.
FORMER = {"exceptions", "layout", "main", "version"}
MOST_ROOMS, MOST_FLOORS = 18, 10
MEDIAN, P90, LONGEST = 7, 16, 50  # lines of code of functions

# Test modules that are about no single module: they follow whole runs, or hold all
# stores and schedulers to one contract.
SCENARIOS = {
    "estimate": {"odd_axes"},
    "run": {
        "absent_parameters",
        "bad_assignments",
        "bad_input",
        "bad_values",
        "below_the_project",
        "broken_task_files",
        "change_of_mind",
        "damaged_files",
        "damaged_journals",
        "deaths_of_jobs",
        "designs",
        "disk_space",
        "ended_runs",
        "even_times",
        "evaluated_again",
        "failed_assignments",
        "foreign_folders",
        "former_task_files",
        "full_disk",
        "hanging_processes",
        "job_selection",
        "kill_and_resume",
        "known_as",
        "lost_locks",
        "left_behind",
        "load_balancing",
        "loaded_code",
        "many_assignments",
        "orders",
        "other_disks",
        "parts",
        "own_files",
        "module_names",
        "odd_files",
        "own_queue",
        "refused_by_system",
        "replicates",
        "retries",
        "refused_files",
        "removed_files",
        "removed_python",
        "second_looks",
        "small_steps",
        "surroundings",
        "threads_at_import",
        "timeouts",
        "results_and_stores",
        "unreadable_rows",
        "up_to_date",
    },
    "report/page": {"browser", "parallel_browser"},
    "scheduler": {"contract"},
    "store": {"contract", "files", "round_trip"},
    "tasks": {"special_variables"},
    "workdir": {"former_versions"},
    "tasks/fingerprint": {"modules", "results", "versions"},
}


@dataclass(frozen=True)
class Import:
    """One file of the package imports another.

    Attributes
    ----------
    source, target : str
        Dotted names of the modules.
    path : str
        The importing file, from the folder of the package on.
    line : int
        Where it stands.
    is_late : bool
        Whether it happens inside a function, or for type checkers only.
    """

    source: str
    target: str
    path: str
    line: int
    is_late: bool

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.target}"


class Package:
    """The modules of a package, and their imports.

    Parameters
    ----------
    folder : Path
        Its folder, which is called like the package.
    plugins : Path, optional
        A folder of further packages. They count as a room ``plugins``.
    """

    def __init__(self, folder: Path, plugins: Path | None = None) -> None:
        self.name = folder.name
        self._root = folder.parent
        self.files = {
            self._module(path.relative_to(folder.parent)): path
            for path in sorted(folder.rglob("*.py"))
        }
        if plugins is not None:
            for path in sorted(plugins.rglob("*.py")):
                module = self._module(path.relative_to(plugins))
                self.files[f"{self.name}.plugins.{module}"] = path
        self.imports = [found for name in self.files for found in self._imports(name)]

    @staticmethod
    def _module(path: Path) -> str:
        parts = path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def room(self, module: str) -> str:
        """Return the first-level name that a module belongs to; '' is the root."""
        return module.partition(".")[2].partition(".")[0]

    def _imports(self, name: str) -> Iterator[Import]:
        tree = ast.parse(self.files[name].read_text(encoding="utf-8"))
        early = set(_statements(tree.body))
        for node in ast.walk(tree):
            if not isinstance(node, ast.stmt | ast.expr):
                continue
            for target in self._targets(name, node):
                path = self.files[name].relative_to(self._root).as_posix()
                yield Import(name, target, path, node.lineno, node not in early)

    def _targets(self, name: str, node: ast.stmt | ast.expr) -> Iterator[str]:
        """Yield the modules of the package that a node imports."""
        match node:
            case ast.Import(names=names):
                yield from filter(self._is_own, (alias.name for alias in names))
            case ast.ImportFrom(module=module, names=names, level=0) if (
                module is not None and self._is_own(module)
            ):
                for alias in names:
                    inner = f"{module}.{alias.name}"
                    yield inner if inner in self.files else module
            case ast.ImportFrom(level=level) if level > 0:
                raise AssertionError(f"{name}:{node.lineno}: a relative import")
            case ast.Call(func=func, args=[ast.Constant(value=str(text)), *_]) if (
                ast.unparse(func).endswith(("import_module", "__import__"))
            ):
                yield from filter(self._is_own, [text])

    def _is_own(self, module: str) -> bool:
        return module == self.name or module.startswith(f"{self.name}.")


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(
            statement.test
        ):
            yield from _statements(statement.orelse)
            continue
        yield statement
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, name, []))
        for handler in getattr(statement, "handlers", []):
            yield from _statements(handler.body)


def between_rooms(package: Package) -> dict[tuple[str, str], list[Import]]:
    """Return the imports from room to room, late ones included."""
    found = defaultdict(list)
    for each in package.imports:
        rooms = package.room(each.source), package.room(each.target)
        if rooms[0] != rooms[1] and rooms[0]:
            found[rooms].append(each)
    return dict(found)


def complaints(package: Package, floors: Iterable[Iterable[str]] = FLOORS) -> list[str]:
    """Return what breaks the order: upward imports, unknown rooms and circles."""
    level = {room: n for n, rooms in enumerate(floors) for room in rooms}
    rooms = {package.room(name) for name in package.files} - {""}
    said = [f"the room {room!r} has no floor" for room in sorted(rooms - {*level})]
    arrows = between_rooms(package)
    for (upper, lower), imports in arrows.items():
        # The root hands the public names on; nothing in the package needs it.
        if lower == "" or level.get(lower, 0) < level.get(upper, 0):
            said += [f"{each}: upwards" for each in imports]
    said += _circles(arrows)
    inside = defaultdict(list)
    for each in package.imports:
        is_package = each.target == package.name or each.source.startswith(
            f"{each.target}."
        )
        # A package's own __init__ is imported before any of its modules anyway.
        if not each.is_late and not is_package and package.room(each.source):
            inside[each.source, each.target].append(each)
    return said + _circles(inside)


def _circles(arrows: Mapping[tuple[str, str], list[Import]]) -> list[str]:
    graph = defaultdict(set)
    for source, target in arrows:
        if source != target:
            graph[source].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]
        steps = pairwise(circle)
        where = [str(arrows[step][0]) for step in steps]
        return [f"a circle: {'; '.join(where)}"]
    return []


def n_floors(package: Package) -> int:
    """Return the length of the longest chain of rooms that import one another."""
    graph = defaultdict(set)
    for upper, lower in between_rooms(package):
        if upper not in FORMER:
            graph[upper].add(lower)
    height: dict[str, int] = {}
    for room in TopologicalSorter(graph).static_order():
        height[room] = 1 + max((height[r] for r in graph[room]), default=0)
    return max(height.values())


def code_lines(path: Path) -> set[int]:
    """Return the lines of a file that hold more than comments and docstrings."""
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT}
    nothing |= {tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}
    with path.open("rb") as file:
        tokens = [t for t in tokenize.tokenize(file.readline) if t.type not in nothing]
    used = {n for t in tokens for n in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                used -= {*range(node.lineno, (node.end_lineno or 0) + 1)}
    return used


def function_sizes(package: Package) -> dict[str, int]:
    """Return the lines of code of each function, by place."""
    sizes = {}
    for name, path in package.files.items():
        used = code_lines(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                span = {*range(node.lineno, (node.end_lineno or 0) + 1)}
                sizes[f"{name}:{node.lineno} {node.name}"] = len(span & used)
    return sizes


def test_imports_run_downwards_and_not_in_circles() -> None:
    assert complaints(Package(PACKAGE, PLUGINS)) == []


def test_the_house_is_small() -> None:
    package = Package(PACKAGE)
    rooms = {package.room(name) for name in package.files} - {""} - FORMER
    assert len(rooms) <= MOST_ROOMS
    assert n_floors(package) <= MOST_FLOORS


def test_the_documentation_lists_the_rooms_in_their_order() -> None:
    text = (ROOT / "docs/explanation/architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)(?:/|\.py)` \|", text, re.MULTILINE)
    package = Package(PACKAGE)
    rooms = {package.room(name) for name in package.files} - {""} - FORMER
    assert sorted(room for _, room in rows) == sorted(rooms)
    assert all(room in FLOORS[int(floor)] for floor, room in rows)


def test_functions_are_short() -> None:
    sizes = function_sizes(Package(PACKAGE))
    ordered = sorted(sizes.values())
    assert statistics.median(ordered) <= MEDIAN
    assert ordered[int(0.9 * len(ordered))] <= P90
    assert [place for place, size in sizes.items() if size > LONGEST] == []


def test_tests_stand_in_rooms_of_the_same_names() -> None:
    """A test module is named like a module of its room, or listed as a scenario."""
    rooms = {room for floor in FLOORS for room in floor}
    tests = ROOT / "tests"
    folders = {path.name for path in tests.iterdir() if path.is_dir()}
    others = {"benchmarks", "chaos", "cluster", "helpers", "packaging", "__pycache__"}
    assert folders - others <= rooms
    found = {
        path.relative_to(tests).with_name(path.stem.removeprefix("test_"))
        for room in folders - others
        for path in (tests / room).rglob("test_*.py")
    }
    scenarios = {
        Path(room, name) for room, names in SCENARIOS.items() for name in names
    }
    modules = {each.relative_to(PACKAGE).with_suffix("") for each in PACKAGE.rglob("*")}
    modules |= {module / module.name for module in modules}  # in their own folder
    assert found - scenarios <= modules
    assert scenarios <= found, "a scenario is listed that is not there"


def made(folder: Path, **files: str) -> Package:
    """Make a package of some files, named as in ``a__b`` for ``a/b.py``."""
    for name, text in files.items():
        path = folder / "psyrun" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Package(folder / "psyrun")


def test_a_clean_tree_is_not_complained_about(tmp_path: Path) -> None:
    package = made(
        tmp_path,
        cli__main="from psyrun.run.session import x",
        run__session="import psyrun.utils.text",
        utils__text="x = 1",
    )
    assert complaints(package) == []
    assert n_floors(package) == 3


def test_an_upward_import_is_named_with_both_files(tmp_path: Path) -> None:
    package = made(tmp_path, run__a="x = 1", utils__b="\nfrom psyrun.run.a import x")
    said = "psyrun/utils/b.py:2 imports psyrun.run.a: upwards"
    assert complaints(package) == [said]


def test_late_imports_count_too(tmp_path: Path) -> None:
    late = "def f():\n    from psyrun.run import a\n"
    typed = "if TYPE_CHECKING:\n    import psyrun.run.a\n"
    named = "importlib.import_module('psyrun.run.a')\n"
    package = made(tmp_path, run__a="", utils__b=late, store__c=typed, pspace__d=named)
    assert len(complaints(package)) == 3


def test_circles_of_neighbours_and_of_files_are_named(tmp_path: Path) -> None:
    package = made(
        tmp_path,
        store__a="import psyrun.pspace.b",
        pspace__b="def f():\n    import psyrun.store.a",
        utils__c="import psyrun.utils.d",
        utils__d="import psyrun.utils.c",
    )
    rooms, files = complaints(package)
    assert "psyrun/store/a.py:1" in rooms
    assert "psyrun/pspace/b.py:2" in rooms
    assert "psyrun/utils/c.py:1" in files
    assert "psyrun/utils/d.py:1" in files


def test_plugins_stand_above_all_rooms(tmp_path: Path) -> None:
    plugin = tmp_path / "workflow" / "plugins" / "plugin_psyrun" / "__init__.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text("from psyrun.utils.a import x\nfrom psyrun import Param\n")
    made(tmp_path, utils__a="x = 1", __init__="")
    package = Package(tmp_path / "psyrun", tmp_path / "workflow" / "plugins")
    assert complaints(package) == [
        "workflow/plugins/plugin_psyrun/__init__.py:2 imports psyrun: upwards"
    ]


def test_a_room_needs_a_floor_and_the_root_is_not_imported(tmp_path: Path) -> None:
    package = made(tmp_path, attic__a="from psyrun import Param", __init__="Param = 1")
    assert complaints(package) == [
        "the room 'attic' has no floor",
        "psyrun/attic/a.py:1 imports psyrun: upwards",
    ]


def main() -> None:
    """Print rooms, their imports and their sizes."""
    package = Package(PACKAGE)
    arrows = between_rooms(package)
    print(f"{'room':10} {'lines':>6} {'code':>6}  imports")
    totals = [0, 0]
    for room in ["", *(room for floor in FLOORS for room in floor)]:
        paths = [
            path for name, path in package.files.items() if package.room(name) == room
        ]
        lines = sum(
            len(path.read_text(encoding="utf-8").splitlines()) for path in paths
        )
        code = sum(len(code_lines(path)) for path in paths)
        totals = [totals[0] + lines, totals[1] + code]
        lower = " ".join(sorted(lower for upper, lower in arrows if upper == room))
        if paths:
            print(f"{room or 'psyrun':10} {lines:6} {code:6}  {lower}")
    sizes = sorted(function_sizes(package).values())
    p90, longest = sizes[int(0.9 * len(sizes))], sizes[-1]
    print(f"{'all':10} {totals[0]:6} {totals[1]:6}")
    print(f"{len(arrows)} imports between rooms, {n_floors(package)} floors")
    median = statistics.median(sizes)
    print(f"functions: median {median:g} lines, p90 {p90}, longest {longest}")
    print("\n".join(complaints(package)), file=sys.stderr)


if __name__ == "__main__":
    main()
