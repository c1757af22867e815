"""The house itself: who imports whom, what importing costs, and the rules of honesty."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import parity
from tests.helpers.house import House, tree_of, within

PACKAGE = Path(parity.__file__).parent

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
    "jax": {"jax", "jaxlib", "keras"},
    "keras": {"keras"},
    "onnx": {"onnx", "onnxruntime"},
    "litert": {"ai_edge_litert"},
}
FRAMEWORKS = set().union(*OWN.values())

HOUSE = House(PACKAGE, LINE, ROOMS, EXCEPTIONS)
MODULES, NAMES, ARROWS = HOUSE.modules, HOUSE.names, HOUSE.arrows
name_of, imports_of, room_of = HOUSE.name_of, HOUSE.imports_of, HOUSE.room_of


def test_a_room_imports_only_what_stands_before_it():
    assert HOUSE.homeless() == set()
    assert HOUSE.upward() == set()


def test_checks_do_not_import_each_other():
    among = {arrow for arrow in ARROWS if all(name.startswith("checks.") for name in arrow)}
    serving = ("checks.known_divergences", "checks.results", "checks.stage")

    assert {arrow for arrow in among if not any(within(place, arrow[1]) for place in serving)} == set()


def test_no_modules_import_each_other_in_a_circle():
    assert HOUSE.circle() == []


@pytest.mark.parametrize(("name", "place", "reason"), EXCEPTIONS, ids=lambda text: text)
def test_an_exception_is_still_needed(name, place, reason):
    own = [other for one, other in ARROWS if one == name and within(place, other)]

    assert any(HOUSE.forbids(name, other) or HOUSE.reach(name, other) for other in own), (
        f"{name} no longer needs {place}"
    )
    assert reason


def test_the_line_and_the_table_name_what_there_is():
    assert {room_of(name) for name in NAMES} == set(HOUSE.order)
    assert {module for modules in ROOMS.values() for module in modules.split()} <= set(NAMES)


def test_the_listing_is_short_enough_to_tell_the_story():
    folders = {path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))}

    assert len(folders) <= 12, folders
    assert len([*PACKAGE.glob("*.py")]) <= 8
    others = {path.name for path in PACKAGE.iterdir()} - folders - {path.name for path in PACKAGE.glob("*.py")}
    assert others <= {"__pycache__", "py.typed", "specimens"}  # the last are data, which the wheel puts there


def test_each_rooms_map_names_its_files():
    """In the docstring of its `__init__`; but for a framework's twin files and their configuration, named alike."""
    for path in MODULES:
        if path.name != "__init__.py" or path.parent == PACKAGE:
            continue
        files = {other.stem for other in path.parent.glob("*.py")} | {
            of.parent.name for of in path.parent.glob("*/__init__.py")
        }
        files -= {"__init__"} | ({"torch", "tensorflow", "config"} if {"torch", "tensorflow"} <= files else set())
        words = set(re.findall(r"\w+", ast.get_docstring(tree_of(path))))

        assert len(files) < 2 or files <= words, f"{name_of(path)} does not name {files - words}"


def test_the_house_has_at_most_twelve_floors():
    floors = HOUSE.floors()

    assert max(floors.values()) <= 12, floors


def test_a_file_names_few_other_rooms():
    assert HOUSE.crowded(9) == {}


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

    assert {name for name in imports if re.match(r"parity\.backends\.(torch|tensorflow|keras|jax)", name)} == set()


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

    assert folders <= set(HOUSE.order)


def test_few_annotations_are_a_bare_any():
    """A name for what only a framework can say more of, as `dtypes.Tensor`, says what a thing is."""
    bare, every = HOUSE.bare_any()

    assert bare <= 0.08 * every, f"{bare} of {every}"


def test_files_can_be_read_in_one_sitting():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in OTHERS}

    assert {name: length for name, length in lengths.items() if length > 300} == {}
    assert HOUSE.long_files() == {}


def test_functions_are_short_and_files_say_what_they_are_for():
    assert HOUSE.long_functions() == {}
    assert HOUSE.undocumented() == []
