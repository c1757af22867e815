"""The house itself: who imports whom, what importing costs, registries, and the rules of honesty."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import parity
from parity import checks, reference
from parity.backends import BACKENDS

PACKAGE = Path(parity.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Each line may import only what stands above it.
FLOORS = (
    ("errors", "verdict", "transforms", "diagnosis"),
    ("layers", "locks", "recipe", "pickled"),
    ("flow", "edges", "scratch"),
    ("loops", "compiled", "files", "documents", "fixtures", "drawing", "samples"),
    ("compare",),
    ("explain",),
    ("backends.tracing", "backends.modes"),
    ("backends.forms", "backends.nesting"),
    ("runs", "segment", "tokenizer", "oracle", "backends"),
    ("backends.optimizers", "backends.tracing.torch", "backends.tracing.tensorflow"),
    ("backends.modes.torch", "backends.modes.tensorflow"),
    ("batch", "constants", "backends.torch", "backends.tensorflow", "backends.preload", "process"),
    ("transfer", "square", "probe", "pair", "progress", "chance"),
    ("lockstep", "workers", "exercised"),
    ("alike",),
    ("links",),
    ("linking",),
    ("outputs", "watches", "corners", "bundle", "divergences", "generate", "baseline"),
    ("drift", "criterion", "draws", "rehearsal"),
    ("gate",),
    ("stacks", "backward"),
    ("strategies",),
    ("checks", "reference"),
    ("survey",),
    ("report",),
    ("locate",),
    ("captures",),
    ("diagnose", "faults"),
    ("run", "tolerances", "touch"),
    ("golden",),
    ("trials",),
    ("selftest",),
    ("train", "display", "tree", "targets"),
    ("console",),
    ("tokenizing", "several"),
    ("config",),
    ("items", "gating"),
    ("gathered",),
    ("cli", "plugin"),
    ("__main__", "__init__"),
)
PACKAGES = ("reference", "report", "checks", "faults", "diagnose", "stacks")
FRAMEWORKS = {"torch", "tensorflow", "keras"}


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports_of(path, deep=True):
    """Absolute names of the modules that a file imports, at its top or inside its functions too."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if deep else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                known = (PACKAGE.parent / whole.replace(".", "/")).with_suffix(".py").exists()
                package = (PACKAGE.parent / whole.replace(".", "/")).is_dir()
                yield whole if known or package else node.module


def floor_of(name):
    """The floor of the most particular entry that covers a module."""
    found = [(len(entry), i) for i, floor in enumerate(FLOORS) for entry in floor if covers(entry, name)]
    assert found, f"{name} stands on no floor"
    return max(found)[1]


def covers(entry, name):
    return name == entry or name.startswith(f"{entry}.")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_only_what_stands_above(path):
    name = name_of(path)
    if name == "__init__":
        return  # the package's face hands names on
    for imported in imports_of(path):
        if not imported.startswith("parity."):
            continue
        other = imported.removeprefix("parity.")
        own = name.partition(".")[0] == other.partition(".")[0]
        if (
            own
            and name.startswith(("reference", "report", "checks", "faults", "diagnose", "stacks"))
            and "." in name + other
        ):
            siblings = name.startswith("checks.") and other.startswith("checks.")
            assert not siblings, f"{name} imports its sibling {other}"
            continue
        assert floor_of(other) < floor_of(name), f"{name} imports {other}, which stands no higher"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_frameworks_are_imported_only_by_their_own_files(path):
    parts = set(path.relative_to(PACKAGE).parts)
    if "faults" in parts and path.stem not in FRAMEWORKS:  # a few lines in a framework's own terms, in a function
        assert not {name.partition(".")[0] for name in imports_of(path, deep=False)} & FRAMEWORKS
        return
    frameworks = {imported.partition(".")[0] for imported in imports_of(path)} & FRAMEWORKS
    home = path.stem if {"backends", "reference", "stacks", "pairs"} & parts else None

    assert frameworks <= ({"torch"} if home == "torch" else {"tensorflow", "keras"} if home == "tensorflow" else set())


@pytest.mark.parametrize("path", sorted((PACKAGE / "checks").glob("*.py")), ids=name_of)
def test_checks_never_import_a_backend(path):
    assert not [name for name in imports_of(path) if re.match(r"parity\.backends\.(torch|tensorflow)", name)]


@pytest.mark.parametrize("module", ["parity", "parity.cli", "parity.plugin", "parity.run", "parity.inputs.tokenizer"])
def test_importing_loads_no_framework(module):
    loaded = f"import {module}, sys; print(*sorted({FRAMEWORKS!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == ""


def test_that_the_test_above_can_fail():
    loaded = f"import parity.backends as b, sys; b.load(); print(*sorted({FRAMEWORKS!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert result.stdout.split() == sorted(FRAMEWORKS)


def test_torch_is_imported_before_tensorflow():
    assert list(BACKENDS) == ["torch", "tensorflow"]


def test_every_check_is_registered():
    files = {path.stem for path in (PACKAGE / "checks").glob("*.py")} - {"__init__"}

    assert {module.__name__.rpartition(".")[2] for module in checks.CHECKS} == files


def test_every_reference_pair_is_registered():
    folders = {path.parent.name for path in (PACKAGE / "reference").glob("*/__init__.py")}

    assert set(reference.PAIRS) == folders


@pytest.mark.parametrize("module", checks.CHECKS, ids=lambda module: module.__name__)
def test_a_check_states_its_claim_in_one_line(module):
    claim, blank, *_ = [*module.__doc__.splitlines(), "", ""]

    assert claim.endswith(".")
    assert blank == ""
    assert len(claim) <= 110


TWINS = [*sorted(path.parent for path in (PACKAGE / "reference").glob("*/torch.py")), PACKAGE / "faults" / "pairs"]


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


@pytest.mark.parametrize(
    "folder", ["", "formats", "kinds", "losses", "modes", "optimizers", "precision", "running", "tracing"]
)
def test_backends_define_the_same_verbs_in_the_same_order(folder):
    def defined(side):
        tree = ast.parse((PACKAGE / "backends" / folder / f"{side}.py").read_text())
        names = []
        for node in tree.body:
            names.append(getattr(node, "name", None))
            if isinstance(node, ast.ClassDef):
                names += [f"{node.name}.{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)]
        return [name for name in names if name and not name.rpartition(".")[2].startswith("_")]

    assert defined("tensorflow") == defined("torch")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_tolerance_outside_the_square(path):
    """But for the rules of others, whose constants are theirs: nothing of parity's is judged by them."""
    if path.name not in ("square.py", "tolerances.py"):
        assert not re.search(r"\b(atol|rtol|allclose|isclose|approx)\b", path.read_text())


ROOT = Path(__file__).parents[1]
OTHERS = sorted(
    path for pattern in ("*.py", "tests*/*.py", "benchmarks/*.py", "examples/*.py") for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("path", [*MODULES, *OTHERS], ids=lambda path: path.stem)
def test_files_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_short_and_files_say_what_they_are_for(path):
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    assert max((node.end_lineno - node.lineno for node in functions), default=0) <= 40
    assert ast.get_docstring(tree), f"{path} does not say what it is for"
