"""Registries name every file that they should, and twin files define the same in the same order."""

import ast
import re
from pathlib import Path

import pytest

import parity
from parity import checks, reference
from parity.backends import BACKENDS, SIDES

PACKAGE = Path(parity.__file__).parent


def test_torch_is_imported_before_tensorflow():
    assert list(BACKENDS)[:2] == list(SIDES) == ["torch", "tensorflow"]


def test_every_check_is_registered():
    serving = {"__init__", "runner", "known_divergences", "stage"}
    files = {path.stem for path in (PACKAGE / "checks").glob("*.py")} - serving

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


BACKENDS_OF = PACKAGE / "backends"
# A framework's own forms, what one of them alone needs, and what is read from a graph here and from calls there.
SINGLE = {"backward", "modules", "operations", "pickled", "promotion", "signatures"}
SINGLE |= {"__init__", "calls"}
PARTS = sorted({path.stem for path in (BACKENDS_OF / "torch").glob("*.py")} - SINGLE)
ALONE = {"checkpoints", "ported", "resizing"}  # what TensorFlow alone has of what Keras may run on
ENGINES = sorted({path.stem for path in (BACKENDS_OF / "tensorflow").glob("*.py")} - SINGLE - ALONE)


def defined(*places):
    """What a file defines that is not private, classes with their methods, in order; the first file that there is."""
    path = next(path for path in places if path.exists())
    names = []
    for node in ast.parse(path.read_text()).body:
        names.append(getattr(node, "name", None))
        if isinstance(node, ast.ClassDef):
            names += [f"{node.name}.{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)]
    return [name for name in names if name and not name.rpartition(".")[2].startswith("_")]


@pytest.mark.parametrize("part", PARTS)
def test_backends_define_the_same_verbs_in_the_same_order(part):
    """Where Keras's are the same whatever it runs on, in the room that both have in common."""
    theirs = defined(BACKENDS_OF / "keras" / f"{part}.py", BACKENDS_OF / "tensorflow" / f"{part}.py")

    assert theirs == defined(BACKENDS_OF / "torch" / f"{part}.py")


def test_a_file_of_a_backend_names_its_counterpart():
    """By a path that there is; of each file that is compared with another, so that a reader finds it."""
    paths = [path for side in ("torch", "keras", "tensorflow", "jax") for path in (BACKENDS_OF / side).glob("*.py")]
    named = {path: re.findall(r"(Line for line beside|Its counterpart is) `(.+?)`", path.read_text()) for path in paths}
    lines = {path: PACKAGE.parent / of[0][1] for path, of in named.items() if of}

    assert {path.stem for path in lines} >= {*PARTS} - {"settled"}
    assert {path: other for path, other in lines.items() if not other.exists() or path.stem != other.stem} == {}
    assert {path.stem for path, of in named.items() if of and of[0][0].startswith("Line")}.isdisjoint(SINGLE)


@pytest.mark.parametrize("part", ENGINES)
def test_engines_of_keras_define_the_same_verbs_in_the_same_order(part):
    assert defined(BACKENDS_OF / "jax" / f"{part}.py") == defined(BACKENDS_OF / "tensorflow" / f"{part}.py")
