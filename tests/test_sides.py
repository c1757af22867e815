"""Sides are roles: what a pair's two sides are is asked of the pair, and who else may name a framework is listed."""

import ast

from parity.backends import BACKENDS
from tests.test_house import MODULES, name_of, within

# Who may name a framework or ask for a side by a framework's name, and why; all others ask the pair for its sides.
NAMING = {
    "backends": "each is one",
    "reference": "twins, one file a framework",
    "selftest": "faults are planted in a framework's own terms",
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
        if (isinstance(node, ast.Constant) and node.value in BACKENDS)
        or (isinstance(node, ast.Attribute) and node.attr in BACKENDS)
    ]


def test_sides_are_roles():
    found = {name_of(path): lines for path in MODULES if (lines := framework_literals(path))}
    wrong = {name: lines for name, lines in found.items() if not any(within(entry, name) for entry in NAMING)}

    assert not wrong, f"these name a framework, by line, where the pair is to be asked for its sides: {wrong}"
    assert [entry for entry in NAMING if not any(within(entry, name) for name in found)] == []
