"""The house itself: who imports whom, what importing costs, registries, and the rules of honesty."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import parity
from parity import checks, reference
from parity.backends import BACKENDS

PACKAGE = Path(parity.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# A room may import only what stands before it; rooms between two bars do not know each other.
LINE = """
    foundations | compare canonical | inputs | backends | pair results | strategies | checks | diagnose reference
    | api gate | report | selftest | frontends | __main__ __init__
"""
# A module's room is the folder that it stands in; at the top, the one that is named here, or else one of its own.
ROOMS = {
    "foundations": "dtypes errors files locks process scratch workers",
}
# Who may import what the line forbids, or what closes a circle, and why.
EXCEPTIONS = (
    ("compare", "pair.comparison", "parity.compare is a room and a function"),
    ("results.report", "report", "a report writes itself as JSON and as a page, by what draws it"),
    ("selftest.faults.fault", "selftest.faults", "another process finds a fault by its name"),
    ("selftest.faults.fault", "selftest.twins", "as the line above"),
)
FRAMEWORKS = {"torch", "tensorflow", "keras"}


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

    assert {arrow for arrow in among if arrow[1] != "checks.known_divergences"} == set()


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


def foreign(path):
    """The frameworks that a file imports and should not."""
    parts = {*path.relative_to(PACKAGE).with_suffix("").parts}
    if {"faults", "twins"} & parts and path.stem not in FRAMEWORKS:  # lines in a framework's own terms, in a function
        return {name.partition(".")[0] for name in imports_of(path, deep=False)} & FRAMEWORKS
    frameworks = {imported.partition(".")[0] for imported in imports_of(path)} & FRAMEWORKS
    side = {"torch", "tensorflow"} & parts if {"backends", "reference", "pairs"} & parts else set()
    return frameworks - (side | {"keras"} if "tensorflow" in side else side)


def test_frameworks_are_imported_only_by_their_own_files():
    assert {name_of(path): found for path in MODULES if (found := foreign(path))} == {}


def test_checks_never_import_a_backend():
    imports = {name for path in (PACKAGE / "checks").glob("*.py") for name in imports_of(path)}

    assert {name for name in imports if re.match(r"parity\.backends\.(torch|tensorflow)", name)} == set()


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
    (tmp_path / "mine.py").write_text("import keras, tensorflow, torch\n")

    assert frameworks_behind("mine", tmp_path) == sorted(FRAMEWORKS)


def frameworks_behind(module, folder=PACKAGE.parent):
    """What a fresh interpreter has of the frameworks once it has imported a module."""
    loaded = f"import sys; sys.path.insert(0, {str(folder)!r}); import {module}; "
    loaded += f"print(*sorted({FRAMEWORKS!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()


def test_torch_is_imported_before_tensorflow():
    assert list(BACKENDS) == ["torch", "tensorflow"]


def test_every_check_is_registered():
    files = {path.stem for path in (PACKAGE / "checks").glob("*.py")} - {"__init__", "runner", "known_divergences"}

    assert {module.__name__.rpartition(".")[2] for module in checks.CHECKS} == files


def test_every_reference_pair_is_registered():
    folders = {path.parent.name for path in (PACKAGE / "reference").glob("*/__init__.py")} - {"demo", "stack"}

    assert set(reference.PAIRS) == folders


@pytest.mark.parametrize("module", checks.CHECKS, ids=lambda module: module.__name__)
def test_a_check_states_its_claim_in_one_line(module):
    claim, blank, *_ = [*module.__doc__.splitlines(), "", ""]

    assert claim.endswith(".")
    assert blank == ""
    assert len(claim) <= 110


TWINS = [
    *sorted(path.parent for path in (PACKAGE / "reference").glob("*/torch.py")),
    PACKAGE / "selftest" / "faults" / "pairs",
]


@pytest.mark.parametrize("folder", TWINS, ids=lambda folder: folder.name)
def test_twins_are_comparable_line_by_line(folder):
    """What both files define, they define in the same order."""

    def defined(side):
        tree = ast.parse((folder / f"{side}.py").read_text())
        return [
            (node.name, [getattr(item, "name", "") for item in node.body if isinstance(item, ast.FunctionDef)])
            for node in tree.body
            if isinstance(node, ast.ClassDef)
        ]

    torch, tensorflow = defined("torch"), defined("tensorflow")
    assert [name for name, _ in torch] == [name for name, _ in tensorflow]
    for (_, ours), (_, theirs) in zip(torch, tensorflow, strict=True):
        theirs = ["forward" if name == "call" else name for name in theirs]
        assert [name for name in theirs if name in ours] == ours


# A framework's own forms, what one of them alone needs, and what is read from a graph here and from calls there.
SINGLE = {"arithmetic", "modules", "operations", "pickled", "promotion", "signatures", "unfused"}
PARTS = sorted({path.stem for path in (PACKAGE / "backends").glob("*/*.py")} - SINGLE)


@pytest.mark.parametrize("part", PARTS)
def test_backends_define_the_same_verbs_in_the_same_order(part):
    def defined(side):
        tree = ast.parse((PACKAGE / "backends" / side / f"{part}.py").read_text())
        names = []
        for node in tree.body:
            names.append(getattr(node, "name", None))
            if isinstance(node, ast.ClassDef):
                names += [f"{node.name}.{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)]
        return [name for name in names if name and not name.rpartition(".")[2].startswith("_")]

    assert defined("tensorflow") == defined("torch")


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
