"""Both models' runs on a few examples, and whether edits leave nothing of the difference on all of them."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity.backends.hooks import Settings
from parity.backends.protocol import Traceable
from parity.canonical.weights import Weights
from parity.compare.divergence import divergence
from parity.compare.judge import judge_difference
from parity.diagnose.operators import search
from parity.diagnose.operators.proposal import Proposal
from parity.diagnose.operators.search import Runs
from parity.diagnose.search import needed
from parity.dtypes import Inputs
from parity.pair import criterion
from parity.pair.models import PairModels


def recorded(
    corners: PairModels,
    weights: Weights,
    inputs: Inputs,
    loss: bool = False,
    form: str = "",
    settings: Settings | None = None,
) -> Runs:
    """Run both sides on inputs, operation by operation; their losses behind them if asked for.

    The first side's layers have other `settings`, if any are given; of a side that can be edited. `form` is "unmasked",
    for a run without the masks that Keras hands on, or "unfused", for one whose operations that do several things at
    once are taken apart; "" for the run as it is.
    """
    corners.ensure(weights)
    dtype = "float32" if corners.reason or (loss and corners.weaker_loss) else "float64"
    ours, theirs = (corners.models[side, dtype] for side in corners.sides)
    with ours.corrected(settings) if settings else nullcontext():
        first = ours.record(inputs, loss, form)
    second = theirs.record(inputs, loss, form)
    filed = bool(corners.pair.lacking((Traceable,)))
    return Runs(first, second, dtype, rounded=corners.apart and filed, fine=filed and dtype == "float32")


@dataclass
class Examples:
    """Pairs of weights and inputs, on which both sides run once in each form; runs are remembered.

    `work` is what is left of the search's limit, in operations, and is shared by all searches on these. With the first
    side's `settings` others, what is left of a difference whose causes are known in part is looked for alone.
    """

    corners: PairModels
    given: Sequence[tuple[Weights, Any]]
    loss: bool = False
    settings: Settings = field(default_factory=dict)
    known: dict[tuple[int, str], Runs] = field(default_factory=dict)
    work: list[float] = field(default_factory=lambda: [search.SEARCH * search.WORK])  # that is left
    limits: dict[int, float] = field(default_factory=dict)  # by TensorFlow's float32 error, of examples where it counts

    def anew(self, settings: Settings) -> "Examples":
        """The same examples, for another search with all of its limit; and the same runs, where the settings are."""
        known = self.known if settings == self.settings else {}
        return Examples(self.corners, self.given, self.loss, settings, known, limits=self.limits)

    def runs(self, number: int, form: str = "") -> Runs:
        """The runs on one example; the models hold its weights then, which torch's run takes as they are."""
        weights, inputs = self.given[number]
        if (number, form) not in self.known:
            self.known[number, form] = recorded(self.corners, weights, inputs, self.loss, form, self.settings)
        self.corners.ensure(weights)
        return self.known[number, form]

    def differs(self, number: int) -> bool:
        """Whether an example shows a difference."""
        alignment = self.runs(number).alignment
        return alignment.gap > alignment.limit

    def differs_in_a_graph(self, number: int) -> bool:
        """Whether losses, as recorded, differ by more than rounding takes of them, or of what they differ by eagerly.

        A loss near zero is what is left of large terms, and so is its rounding error.
        """
        alignment = self.runs(number).alignment
        return self.differs(number) and alignment.gap > alignment.rounding * self.eagerly(number)

    def eagerly(self, number: int) -> float:
        """By how much the losses of an example differ that are given the same outputs, outside of a graph."""
        weights, inputs = self.given[number]
        self.corners.ensure(weights)
        outputs = criterion.outputs_of(self.corners, inputs)
        models = [self.corners.models[side, "float64"] for side in self.corners.sides]
        one, other = (float(model.own_loss(inputs, outputs)["loss"]) for model in models)
        return abs(one - other)

    def closed(self, chosen: Sequence[Proposal], but: int, form: str) -> bool:
        """Whether edits leave nothing of the difference on any example but the one that they were found on."""
        return all(self._closed(at, chosen, form) for at in range(len(self.given)) if at != but)

    def _closed(self, number: int, chosen: Sequence[Proposal], form: str) -> bool:
        gap, limit = search.left(self.runs(number, form), chosen)
        return gap <= limit or gap <= self._amplified(number) < np.inf

    def _amplified(self, number: int) -> float:
        """What rounding comes to where weights of a large scale amplify it, by TensorFlow's own error in float32."""
        whole = self.runs(number)
        if number not in self.limits and whole.dtype == "float64":
            single = (
                self.corners.models[self.corners.sides[1], "float32"].record(self.given[number][1], self.loss).trace
            )
            double = whole.other.trace
            places = ((at, double.outputs[key]) for key, at in single.outputs.items())
            pairs = [(single.values[at].array, double.values[other].array) for at, other in places]
            errors = [divergence(a.astype(np.float64), b) for a, b in pairs if a is not None and b is not None]
            limits = (judge_difference(of, (of.max_abs_diff,) * 2)[1] for of in errors)
            self.limits[number] = max(limits, default=0.0)
        return self.limits.get(number, 0.0)

    def needed(self, chosen: Sequence[Proposal], base: int, form: str) -> list[Proposal]:
        """The edits without which something is left of the difference, on some example: one that adds nothing is no
        cause.
        """

        def all_closed(fewer: list[Proposal]) -> bool:
            runs = self.runs(base, form)
            gap, limit = search.left(runs, fewer)
            return gap <= limit and search.founded(runs, fewer) and self.closed(fewer, base, form)

        return needed(chosen, all_closed)
