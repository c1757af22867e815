"""Sides are roles: what a pair's two sides are is asked of the pair, and who else may name a framework is listed."""

import ast

import pytest

from tests.test_house import MODULES, NAMES, name_of, within

# Who may name a framework or ask for a side by a framework's name, and why; all others ask the pair for its sides.
NAMING = {
    "backends": "each is one",
    "reference": "twins, one file a framework",
    "selftest": "faults are planted in a framework's own terms",
    "pair.pair": "says which backends a pair can be given",
    "compare.square": "has what sides are called that nobody named",
    "checks.known_divergences": "is about frameworks, whatever sides they run",
    "frontends.ported": "finds out which framework a model is of",
    "frontends.cli.train": "trains reference models",
}


def framework_literals(path):
    """The lines that hold a framework's name, or ask something for an attribute of that name, as `link.torch`."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Constant) and node.value in ("torch", "tensorflow"))
        or (isinstance(node, ast.Attribute) and node.attr in ("torch", "tensorflow"))
    ]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_sides_are_roles(path):
    name, lines = name_of(path), framework_literals(path)

    assert not lines or any(within(entry, name) for entry in NAMING), f"{name} names a framework: lines {lines}"


@pytest.mark.parametrize("entry", NAMING)
def test_who_may_name_a_framework_does(entry):
    assert any(framework_literals(path) for name, path in NAMES.items() if within(entry, name))
