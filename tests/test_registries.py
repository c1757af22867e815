"""Registries name every file that they should, and twin files define the same in the same order."""

import ast
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


# A framework's own forms, what one of them alone needs, and what is read from a graph here and from calls there.
SINGLE = {"arithmetic", "backward", "modules", "operations", "pickled", "promotion", "signatures", "unfused"}
PARTS = sorted({path.stem for path in (PACKAGE / "backends").glob("t*/*.py")} - SINGLE)


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
