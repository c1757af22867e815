"""Examples from a seed: the same seed and versions draw the same, whatever surrounds them."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import hypothesis
from hypothesis import HealthCheck, Phase, configuration, given, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from hypothesis.strategies import SearchStrategy

Drawn = TypeVar("Drawn")


def profile(examples: int, shrink: bool = False) -> settings:
    """Hypothesis's settings for so many examples, whatever the surroundings have set."""
    return settings(
        max_examples=examples,
        derandomize=False,  # a profile of the surroundings, CI's own among them, must not change what is drawn
        database=None,
        deadline=None,
        phases=(Phase.generate, *((Phase.shrink,) if shrink else ())),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )


@contextlib.contextmanager
def surroundings_left_alone() -> Iterator[None]:
    """Keep Hypothesis from drawing constants that it finds in whatever modules happen to be loaded.

    The same seed would draw other examples after an import, and in a checkout others than installed.
    And keep its tables of characters out of the user's directory.
    """
    cache, home = providers.CONSTANTS_CACHE, Path(tempfile.gettempdir()) / "parity-hypothesis"
    with (
        mock.patch.object(providers, "_get_local_constants", return_value=Constants()),
        mock.patch.object(providers, "CONSTANTS_CACHE", type(cache)(cache.max_size)),
        mock.patch.object(configuration, "__hypothesis_home_directory", home),  # its setter tells nobody what was there
    ):
        yield


def specimens(strategy: SearchStrategy[Drawn], count: int, seed: int = 0) -> list[Drawn]:
    """So many of what a strategy draws, one at the least; the first ones, which are the plainest, are left out."""
    found: list[Drawn] = []

    def keep(drawn: Drawn) -> None:
        found.append(drawn)

    decorate: Any = given(strategy)
    seeded: Any = hypothesis.seed(seed)
    with surroundings_left_alone():
        seeded(profile(3 * count)(decorate(keep)))()
    return found[-count:]
