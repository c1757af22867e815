"""What pairs that share models have in common: which weights were loaded last, and what the models gave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from parity.backends.protocol import BackendModel
from parity.canonical.weights import Weights
from parity.pair.assembly import Of

Run = Callable[[BackendModel], Any]


@dataclass
class Loaded:
    """Which `PairModels` loaded weights into the models last, and which; None where it is not known what they have."""

    by: object = None
    weights: Weights | None = None


class Cache(Protocol):
    """A cache of what models gave before, by weights and question."""

    def given(self, corner: Of, model: BackendModel, weights: Weights, what: Sequence[Any], run: Run) -> Any:
        """The result of `run` on a corner's model with these weights, from the cache if that has it.

        `what` identifies the question: the name of `run` and every argument that its result depends on.
        """
