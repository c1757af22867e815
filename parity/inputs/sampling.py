"""Examples from a seed: the same seed and versions draw the same, whatever surrounds them."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any, TypeVar

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
    """Draw whether the arrays of an example have edges: `wanted`, unless somebody drew it before in the same example.

    Whoever draws first decides for all of them, because Hypothesis draws a shared strategy once an example.
    """
    return st.shared(Drawn(st.just(wanted), {}), key="edges of parity's arrays")


def plain(drawn: SearchStrategy[Value]) -> SearchStrategy[Value]:
    """What a strategy draws where the arrays in it have no edges."""
    return st.tuples(edged(False), drawn).map(itemgetter(1))


def profile(examples: int, shrink: bool = False, steered: bool = False) -> settings:
    """Hypothesis's settings for so many examples, whatever the surroundings have set.

    `shrink` makes a failing example smaller; `steered` has Hypothesis seek examples of a high `target`.
    """
    return settings(
        max_examples=examples,
        derandomize=False,  # a profile of the surroundings, CI's own among them, must not change what is drawn
        database=None,  # a failure of an earlier run must not come first
        deadline=None,  # an example takes as long as the models do
        phases=(Phase.generate, *((Phase.target,) if steered else ()), *((Phase.shrink,) if shrink else ())),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,  # a check reports one failure, the smallest
    )


@contextlib.contextmanager
def without_constants_of_modules() -> Iterator[None]:
    """Keep Hypothesis from drawing constants that it finds in whatever modules happen to be loaded.

    The same seed would draw other examples after an import, and in a checkout others than installed.
    And keep its tables of characters out of the directory that the user works in, and where nobody else can
    write any: what a seed draws depends on them.
    """
    with contextlib.ExitStack() as stack:
        for owner, name, instead in PATCHES:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, instead(getattr(owner, name)))
        yield


# What of Hypothesis stands otherwise while examples are drawn, since no setting of it does: (module, name, what makes
# another of what stands there). All of it is private and may move:
# https://github.com/HypothesisWorks/hypothesis/tree/master/hypothesis-python/src/hypothesis/internal
# tests/inputs/test_sampling.py fails where one is no longer needed, or no longer there.
PATCHES: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
    # constants found in the user's modules, and those that were found before
    (providers, "_get_local_constants", lambda _: Constants),
    (providers, "CONSTANTS_CACHE", lambda cache: type(cache)(cache.max_size)),
    # where tables of characters are kept; the setter for it does not tell what was there, to put that back
    (configuration, "__hypothesis_home_directory", lambda _: scratch.kept() / "hypothesis"),
)


def specimens(strategy: SearchStrategy[Value], count: int, seed: int = 0) -> list[Value]:
    """So many of what a strategy draws without edges, one at the least; the first ones, the plainest, are left out.

    They may be fewer where the strategy has fewer different examples.
    """
    return examples(plain(strategy), 3 * count, seed)[-count:]


def simplest(strategy: SearchStrategy[Value]) -> Value:
    """The example that every check tries first, which is the plainest: it does not depend on the seed."""
    return examples(strategy, 1, 0)[0]


def examples(strategy: SearchStrategy[Value], count: int, seed: int) -> list[Value]:
    """What a strategy draws in `count` examples from a seed, as a check does; fewer where it has fewer different."""
    values: list[Value] = []

    def keep(drawn: Value) -> None:
        values.append(drawn)

    decorate: Any = given(strategy)
    seeded: Any = hypothesis.seed(seed)
    with without_constants_of_modules():
        seeded(profile(count)(decorate(keep)))()
    return values
