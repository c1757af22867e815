"""The house itself: who imports whom, what importing costs, and the rules of honesty."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import parity

PACKAGE = Path(parity.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# A room may import only what stands before it; rooms between two bars do not know each other.
LINE = """
    foundations | compare canonical | inputs | backends | pair | strategies | checks | diagnose reference
    | api gate | report | selftest | frontends | __main__ __init__
"""
# A module's room is the folder that it stands in; at the top, the one that is named here, or else one of its own.
ROOMS = {
    "foundations": "dtypes errors files scratch",
}
# Who may import what the line forbids, or what closes a circle, and why.
EXCEPTIONS = (
    ("compare", "pair.comparison", "parity.compare is a room and a function"),
    ("checks.results.report", "report", "a report writes itself as JSON and as a page, by what draws it"),
    ("checks.results.page", "report", "as the line above"),
    ("diagnose.place", "report", "as the line above"),
    ("selftest.faults.fault", "selftest.faults", "another process finds a fault by its name"),
    ("selftest.faults.fault", "selftest.twins", "as the line above"),
)
# The folders that import frameworks and runtimes, each its own.
OWN = {
    "torch": {"torch"},
    "tensorflow": {"tensorflow", "keras"},
    "onnx": {"onnx", "onnxruntime"},
    "litert": {"ai_edge_litert"},
}
FRAMEWORKS = set().union(*OWN.values())


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}
ORDER = {room: place for place, group in enumerate(LINE.split("|")) for room in group.split()}


@cache
def tree_of(path):
    return ast.parse(path.read_text())


def imports_of(path, deep=True):
    """Absolute names of the modules that a file imports, at its top or inside its functions too."""
    tree = tree_of(path)
    for node in ast.walk(tree) if deep else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole.removeprefix("parity.") in NAMES else node.module


def room_of(name):
    first = name.partition(".")[0]
    return next((room for room, modules in ROOMS.items() if first in modules.split()), first)


def within(entry, name):
    return name == entry or name.startswith(f"{entry}.")


def arrows():
    """(importer, imported) for all modules, but the package's face, which hands names on."""
    return {
        (name, other.removeprefix("parity."))
        for name, path in NAMES.items()
        for other in imports_of(path)
        if name != "__init__" and other.startswith("parity.")
    }


ARROWS = arrows()


def excepted(name, other):
    return any(name == one and within(place, other) for one, place, _ in EXCEPTIONS)


def reach(name, start):
    """Whether a module imports another, at whatever distance."""
    seen, waiting = set(), [start]
    while waiting:
        here = waiting.pop()
        following = {other for one, other in ARROWS if one == here} - seen
        seen |= following
        waiting += following
    return name in seen


def forbidden(name, other):
    """Whether the line forbids that one imports the other."""
    return room_of(name) != room_of(other) and ORDER[room_of(other)] >= ORDER[room_of(name)]


def test_a_room_imports_only_what_stands_before_it():
    assert {name for name in NAMES if room_of(name) not in ORDER} == set()
    assert {arrow for arrow in ARROWS if forbidden(*arrow) and not excepted(*arrow)} == set()


def test_checks_do_not_import_each_other():
    among = {arrow for arrow in ARROWS if all(name.startswith("checks.") for name in arrow)}
    serving = ("checks.known_divergences", "checks.results", "checks.stage")

    assert {arrow for arrow in among if not any(within(place, arrow[1]) for place in serving)} == set()


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: {other for one, other in ARROWS if one == name and not excepted(name, other)} for name in NAMES}

    assert len([*TopologicalSorter(graph).static_order()]) >= len(NAMES)


@pytest.mark.parametrize(("name", "place", "reason"), EXCEPTIONS, ids=lambda text: text)
def test_an_exception_is_still_needed(name, place, reason):
    own = [other for one, other in ARROWS if one == name and within(place, other)]

    assert any(forbidden(name, other) or reach(name, other) for other in own), f"{name} no longer needs {place}"
    assert reason


def test_the_line_and_the_table_name_what_there_is():
    assert {room_of(name) for name in NAMES} == set(ORDER)
    assert {module for modules in ROOMS.values() for module in modules.split()} <= set(NAMES)


def box_of(name):
    """What stands in the listing of `parity/`: a folder, or a module at the top."""
    return name.partition(".")[0]


BETWEEN = {(name, other) for name, other in ARROWS if box_of(name) != box_of(other)}


def test_the_listing_is_short_enough_to_tell_the_story():
    folders = {path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))}

    assert len(folders) <= 12, folders
    assert len([*PACKAGE.glob("*.py")]) <= 8
    others = {path.name for path in PACKAGE.iterdir()} - folders - {path.name for path in PACKAGE.glob("*.py")}
    assert others <= {"__pycache__", "py.typed", "specimens"}  # the last are data, which the wheel puts there


def test_the_house_has_at_most_twelve_floors():
    graph = {box_of(name): set() for name in NAMES}
    for name, other in BETWEEN:
        if not excepted(name, other):
            graph[box_of(name)].add(box_of(other))
    floors = {}
    for box in TopologicalSorter(graph).static_order():  # raises CycleError where two import each other
        floors[box] = 1 + max((floors[other] for other in graph[box]), default=0)

    assert max(floors.values()) <= 12, floors


def test_a_file_names_few_other_rooms():
    named = {name: {box_of(other) for one, other in BETWEEN if one == name} for name in NAMES}

    assert {name: boxes for name, boxes in named.items() if len(boxes) > 9} == {}


def foreign(path):
    """The frameworks that a file imports and should not."""
    parts = {*path.relative_to(PACKAGE).with_suffix("").parts}
    if {"faults", "twins"} & parts and path.stem not in FRAMEWORKS:  # lines in a framework's own terms, in a function
        return {name.partition(".")[0] for name in imports_of(path, deep=False)} & FRAMEWORKS
    frameworks = {imported.partition(".")[0] for imported in imports_of(path)} & FRAMEWORKS
    sides = {*OWN} & parts if {"backends", "reference", "pairs"} & parts else set()
    return frameworks - set().union(*(OWN[side] for side in sides))


def test_frameworks_are_imported_only_by_their_own_files():
    assert {name_of(path): found for path in MODULES if (found := foreign(path))} == {}


def test_checks_never_import_a_backend():
    imports = {name for path in (PACKAGE / "checks").glob("*.py") for name in imports_of(path)}

    assert {name for name in imports if re.match(r"parity\.backends\.(torch|tensorflow)", name)} == set()


def test_nothing_is_diagnosed_by_a_checks_name():
    """What diagnose needs to know of a check, the check says: its stage, its batch, its views."""
    names = {path.stem for path in (PACKAGE / "checks").glob("*.py")}
    compared = {
        f"{name}:{node.lineno}"
        for name, path in NAMES.items()
        if within("diagnose", name) and not within("diagnose.stages", name)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Compare) and "outcome" in ast.unparse(node)
        if {item.value for item in ast.walk(node) if isinstance(item, ast.Constant)} & names
    }
    imported = {
        arrow for arrow in ARROWS if arrow[0] == "diagnose.explain" and arrow[1].removeprefix("checks.") in names
    }

    assert compared == set()
    assert imported - {("diagnose.explain", "checks.stage")} == set()


LIGHT = (
    "parity",
    "parity.frontends.cli",
    "parity.frontends.pytest_plugin.plugin",
    "parity.api",
    "parity.inputs.tokenizer",
)


def test_importing_loads_no_framework():
    assert frameworks_behind(", ".join(LIGHT)) == []


def test_that_the_test_above_can_fail(tmp_path):
    for name in FRAMEWORKS:  # stand-ins: importing the real ones takes seconds
        (tmp_path / f"{name}.py").write_text("")
    (tmp_path / "mine.py").write_text(f"import {', '.join(FRAMEWORKS)}\n")

    assert frameworks_behind("mine", tmp_path) == sorted(FRAMEWORKS)


def frameworks_behind(module, folder=PACKAGE.parent):
    """What a fresh interpreter has of the frameworks once it has imported a module."""
    loaded = f"import sys; sys.path.insert(0, {str(folder)!r}); import {module}; "
    loaded += f"print(*sorted({FRAMEWORKS!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()


def test_no_tolerance_outside_the_square():
    """But for the rules of others, whose constants are theirs: nothing of parity's is judged by them."""
    judged = [path for path in MODULES if path.name not in ("judge.py", "other_tools.py")]

    word = re.compile(r"\b(atol|rtol|allclose|isclose|approx)\b")
    assert [name_of(path) for path in judged if word.search(path.read_text())] == []


ROOT = Path(__file__).parents[1]
OTHERS = sorted(
    path for pattern in ("*.py", "tests/**/*.py", "benchmarks/*.py", "examples/*.py") for path in ROOT.glob(pattern)
)


def test_tests_stand_in_the_rooms_of_what_they_test():
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.rglob("*.py"))} - {"helpers", "extra"}

    assert folders <= set(ORDER)


def annotations(path):
    """Every annotation of a parameter, a result or a variable."""
    for node in ast.walk(tree_of(path)):
        found = [getattr(node, name, None) for name in ("annotation", "returns")]
        yield from (annotation for annotation in found if annotation is not None)


def test_few_annotations_are_a_bare_any():
    """A name for what only a framework can say more of, as `dtypes.Tensor`, says what a thing is."""
    kinds = [isinstance(of, ast.Name) and of.id == "Any" for path in MODULES for of in annotations(path)]

    assert sum(kinds) <= 0.08 * len(kinds), f"{sum(kinds)} of {len(kinds)}"


def test_files_can_be_read_in_one_sitting():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in OTHERS}
    lengths |= {name_of(path): len(path.read_text().splitlines()) for path in MODULES}

    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_functions_are_short_and_files_say_what_they_are_for():
    functions = {
        f"{name_of(path)}.{node.name}": node.end_lineno - node.lineno
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef)
    }

    assert {name: length for name, length in functions.items() if length > 40} == {}
    assert [name_of(path) for path in MODULES if not ast.get_docstring(tree_of(path))] == []
