"""Examples from a seed: the same seed and versions draw the same, whatever surrounds them."""

import contextlib
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, TypeVar
from unittest import mock

import hypothesis
from hypothesis import HealthCheck, Phase, configuration, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from hypothesis.strategies import SearchStrategy

from parity import scratch
from parity.inputs.edges import Ids, Place

Value = TypeVar("Value")


class Drawn(SearchStrategy[Any]):
    """A strategy that says which of its arrays hold integers: `ids`, by their places."""

    def __init__(self, drawn: SearchStrategy[Any], ids: Mapping[Place, Ids]) -> None:
        super().__init__()
        self._drawn, self.ids = drawn, ids

    def do_draw(self, data: Any) -> Any:
        """Draw from the strategy that this one wraps."""
        return data.draw(self._drawn)

    def __repr__(self) -> str:
        return repr(self._drawn)


def edged(wanted: bool) -> SearchStrategy[bool]:
    """Whether the arrays of an example have edges; whoever draws first decides for all of them."""
    return st.shared(Drawn(st.just(wanted), {}), key="edges of parity's arrays")


def plain(drawn: SearchStrategy[Value]) -> SearchStrategy[Value]:
    """What a strategy draws where the arrays in it have no edges."""
    return st.tuples(edged(False), drawn).map(itemgetter(1))


def profile(examples: int, shrink: bool = False, steered: bool = False) -> settings:
    """Hypothesis's settings for so many examples, whatever the surroundings have set; `steered`, by its `target`."""
    return settings(
        max_examples=examples,
        derandomize=False,  # a profile of the surroundings, CI's own among them, must not change what is drawn
        database=None,
        deadline=None,
        phases=(Phase.generate, *((Phase.target,) if steered else ()), *((Phase.shrink,) if shrink else ())),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )


@contextlib.contextmanager
def without_constants_of_modules() -> Iterator[None]:
    """Keep Hypothesis from drawing constants that it finds in whatever modules happen to be loaded.

    The same seed would draw other examples after an import, and in a checkout others than installed.
    And keep its tables of characters out of the directory that the user works in, and where nobody else can
    write any: what a seed draws depends on them.
    """
    cache, home = providers.CONSTANTS_CACHE, scratch.kept() / "hypothesis"
    with (
        mock.patch.object(providers, "_get_local_constants", return_value=Constants()),
        mock.patch.object(providers, "CONSTANTS_CACHE", type(cache)(cache.max_size)),
        mock.patch.object(configuration, "__hypothesis_home_directory", home),  # its setter tells nobody what was there
    ):
        yield


def specimens(strategy: SearchStrategy[Value], count: int, seed: int = 0) -> list[Value]:
    """So many of what a strategy draws without edges, one at the least; the first ones, the plainest, are left out."""
    return examples(plain(strategy), 3 * count, seed)[-count:]


def simplest(strategy: SearchStrategy[Value]) -> Value:
    """What every check tries first."""
    return examples(strategy, 1, 0)[0]


def examples(strategy: SearchStrategy[Value], count: int, seed: int) -> list[Value]:
    """What a strategy draws in `count` examples from a seed, as a check does."""
    values: list[Value] = []

    def keep(drawn: Value) -> None:
        values.append(drawn)

    decorate: Any = given(strategy)
    seeded: Any = hypothesis.seed(seed)
    with without_constants_of_modules():
        seeded(profile(count)(decorate(keep)))()
    return values
