"""pytest: one test a check, by `@parity.parametrize(pair)` or by `pytest --parity PAIR`.

Where parity is installed, every pytest loads this file: it imports next to nothing until a test needs it.
"""

import argparse
import os
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from parity.errors import DIGITS, ParityError
from parity.frontends.pytest_plugin.nodes import MARKS, Collection, Subject, check_of, checks, prepare, settings

if TYPE_CHECKING:
    from parity.pair.pair import Pair

CONFIGURED = ""  # a --parity without a PAIR


def parametrize(pair: "Pair", *, seed: int | None = None, examples: int | None = None) -> Any:
    """Parametrize a test over a pair's checks; the argument `check` runs one and raises Mismatch.

    @parity.parametrize(pair)
    def test_parity(check):
        check()

    Without `seed` and `examples`, those of `--parity-seed` and `--parity-examples` are taken, then those
    of `[tool.parity]`. Each of the tests has the marker `parity`.
    """
    items = checks(Subject(pair), seed=seed, examples=examples)
    return pytest.mark.parametrize("check", [pytest.param(c, id=c.name, marks=MARKS) for c in items])


def pytest_addoption(parser: pytest.Parser) -> None:
    """https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_addoption"""
    group = parser.getgroup("parity", "a PyTorch and a TensorFlow/Keras model that are meant to be the same")
    group.addoption(
        "--parity",
        action="append",
        nargs="?",
        const=CONFIGURED,
        metavar="PAIR",
        help="Also check this pair: a reference name or module:attribute. Without PAIR, those of [tool.parity].",
    )
    group.addoption("--parity-seed", type=_from(0), metavar="N", help="Random seed; 0 by default.")
    group.addoption("--parity-examples", type=_from(1), metavar="N", help="Examples of each check.")
    group.addoption("--parity-all", action="store_true", help="Run every check, also where forward has failed.")
    group.addoption("--parity-html", metavar="FILE", help="Write what all checks found as one HTML page.")


def _from(least: int) -> Callable[[str], int]:
    """What reads an option that is an integer from `least` on, of at most `DIGITS` digits."""

    def number(text: str) -> int:
        if not text.isdecimal() or len(text) > DIGITS or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not {'a positive' if least else 'a non-negative'} integer")
        return int(text)

    return number


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; resolve the pairs of `--parity` before anything runs, also where others collect them."""
    config.addinivalue_line("markers", "parity: a check that a PyTorch and a TensorFlow/Keras model are the same.")
    try:
        if config.getoption("parity_html"):
            _write_page(config)
        if config.getoption("parity"):
            config.pluginmanager.register(Collection(_pairs(config)), "parity collection")
    except ParityError as error:
        raise pytest.UsageError(f"parity: {error}") from error


def _write_page(config: pytest.Config) -> None:
    """Have the page written; by the process that reports, where pytest-xdist has several."""
    from parity.frontends.pytest_plugin.html import Attaching, Page

    config.pluginmanager.register(Attaching(), "parity attaching")
    if not hasattr(config, "workerinput"):  # one of pytest-xdist's processes
        path = config.invocation_params.dir / config.getoption("parity_html")
        config.pluginmanager.register(Page(path), "parity page")


def _pairs(config: pytest.Config) -> dict[str, "Pair"]:
    """Name -> pair of every `--parity`. Raises ParityError for one that is none, or has no tokenizer."""
    from parity.frontends.targets import resolve

    configured, pairs = settings(config), {}
    for text in config.getoption("parity"):
        for target in configured.pairs if text == CONFIGURED else (text,):
            pairs[target] = resolve(target, configured.directory)
            if pairs[target].inputs is None:
                pairs[target].vocabulary()
    return pairs


@pytest.hookimpl(trylast=True)  # builders may want what fixtures and skips have settled
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Prepare a test that `parametrize` made."""
    check = check_of(item)
    if check is not None and hasattr(item, "callspec"):
        file = os.path.relpath(item.path, item.config.invocation_params.dir)
        wanted = shlex.quote(f"{file}::{item.nodeid.partition('::')[2]}")
        prepare(item, check, f"pytest {wanted}")
