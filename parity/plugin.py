"""pytest: `@parity.parametrize(pair)` makes one test of every check. Loads neither framework."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest

from parity import run
from parity.checks import checks_of, name_of
from parity.corners import Corners
from parity.errors import Mismatch
from parity.pair import Pair


def parametrize(pair: Pair, *, seed: int = 0, examples: int = run.EXAMPLES) -> Any:
    """Parametrize a test over a pair's checks; the argument `check` runs one and raises Mismatch.

    @parity.parametrize(pair)
    def test_parity(check):
        check()
    """
    corners = cache(lambda: Corners(pair))  # built once, when the first test needs it
    checks = [
        pytest.param(partial(_check, module, corners, seed, examples), id=name_of(module)) for module in checks_of(pair)
    ]
    return pytest.mark.parametrize("check", checks)


def _check(module: Any, corners: Callable[[], Corners], seed: int, examples: int) -> None:
    __tracebackhide__ = True
    built = corners()
    command = f"pytest, seed {seed}, {examples} examples"
    outcome = run.run_one(module, built, seed, examples, command)
    if outcome.findings:
        found = outcome.findings[0]
        raise Mismatch(f"{outcome.claim}\n{found.message}\nexample: {found.example}")
