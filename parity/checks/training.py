"""The same batches train both sides to the same weights.

SGD, momentum, Nesterov, RMSprop, Adam and AdamW, each by the formulas of `parity.canonical.optimizers`, with and
without decay, clipping, accumulation and a change of rate, for 1 to 100 steps: each step's loss,
each weight's change and the optimizer's state. Dropout is off. Every run tries each optimizer in a
short training with all of that at once, because a drawn one has but some of it; and SGD with
accumulation alone, because what clips hides a factor.

What a pair has of optimizers of its own is tried beside them: in float64, each step of the second side against the
step that the first side's settings say, from the same weights and gradients, in the form that the second side's library
has for them (`known_divergences`); and the rates of later steps. An optimizer whose settings do not say what it does is
compared by the weights that it comes to.

A training can amplify rounding, and near a minimum it becomes chaotic: the float64 runs then come
apart, too, and float32 was lost long before and no longer shows by how much. So each training runs
once more from weights one representable number away, and what that moves is what rounding may come
to. `python -m benchmarks.training` measures the margins: over 200 clean trainings of the reference
pairs the largest difference is 0.011 of its limit and the largest ratio 67 (limit 512); of the planted
faults the quietest, 1e-6 in the norm that clips, is 150 times the limit where it shows least.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity import strategies
from parity.backends.protocol import Trainable
from parity.canonical.optimizers import OWN, Recipe
from parity.canonical.weights import Weights
from parity.checks.known_divergences import show
from parity.checks.results import KnownDivergence
from parity.checks.stage import Stage
from parity.compare.judge import Curve, Verdict, judge
from parity.compare.square import PrecisionSquare, norm
from parity.dtypes import EPS
from parity.inputs.batch import batch
from parity.pair import optimizers
from parity.pair.models import PairModels
from parity.pair.training import Trained

NEEDS = (Trainable,)
STAGE = Stage.OPTIMIZER
FAILED = "training differs"
COST = 12
STEPS = (1, 2, 10, 100)
OWN_STEPS = 6  # by the pair's own optimizers
# A hundred steps of a million weights, or one of a hundred million.
AFFORDABLE = 1e8  # steps times weights
# Drawn weights are about 1 at the most, and no recipe's hundred steps move one by more than a few.
DIVERGED = 10.0  # the root mean square of a parameter's change
LOWERED = (10, 1e2, 1e4, 1e8)  # by what a rate is divided, one time after the other

Rows = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Training:
    """From these weights, by this recipe, over and over these rows: one example.

    Of a pair without a tokenizer a row is no text; its first number says which of the pair's inputs.
    """

    weights: Weights
    rows: Rows
    recipe: Recipe
    steps: int
    micro: int

    def batches(self, corners: PairModels) -> list[list[tuple[Any, Any]]]:
        """Each step's micro-batches as (inputs, targets): of texts two rows that follow one another, over and over."""
        pad = corners.pad
        if pad is None:
            fed = [corners.given(row[0]) for row in self.rows]
        else:
            pairs = [batch((row, self.rows[(i + 1) % len(self.rows)]), pad) for i, row in enumerate(self.rows)]
            fed = [(pair.ids, pair.targets) for pair in pairs]
        return [
            [fed[(step * self.micro + part) % len(fed)] for part in range(self.micro)] for step in range(self.steps)
        ]


# No row's ids come back before the third step, so that running means fall as well.
ROWS: Rows = ((5, 6, 5, 5), (7, 8, 8), (9, 10, 9), (11, 5, 12), (13, 13, 14), (15, 5, 6))
FIXED_EXAMPLES = (
    Training(Weights(0, 1.0), ROWS, Recipe("sgd", 0.1), 2, 2),
    *(
        Training(Weights(0, 1.0), ROWS, Recipe(optimizer, rates[0], memory=0.9, decay=0.01, clip=0.1, drop=2), 3, 2)
        for optimizer, rates in strategies.RATES.items()
    ),
)


def own(corners: PairModels) -> tuple[Training, ...]:
    """A short training by the pair's own optimizers, if it has them."""
    return (Training(Weights(0, 1.0), ROWS, OWN, OWN_STEPS, 1),) if corners.pair.optimizer else ()


def examples(corners: PairModels) -> SearchStrategy[Training]:
    size = sum(math.prod(shape) for _, shape in corners.layout.values())
    return st.builds(
        Training,
        st.builds(Weights, st.integers(0, 2**16), st.sampled_from([1.0, 0.01])),
        _rows(corners),
        strategies.recipes(),
        st.sampled_from([steps for steps in STEPS if steps == 1 or steps * size <= AFFORDABLE]),
        st.integers(1, 2),
    )


def _rows(corners: PairModels) -> SearchStrategy[Rows]:
    """What is trained on: texts, or, of a pair without a tokenizer, numbers of its inputs."""
    if corners.pad is None:
        places = st.tuples(st.integers(0, len(corners.pair.specimens) - 1))
        return st.lists(places, min_size=1, max_size=strategies.ROWS).map(tuple)

    def counting(drawn: Rows) -> Rows:
        return tuple(row for row in drawn if any(token != corners.pad for token in row[1:]))

    return strategies.rows(corners.tokenizer).map(counting)


def verify(corners: PairModels, example: Training) -> list[Verdict]:
    """Train all corners; judge losses, changes of weights and optimizer state, each in its own unit (`unit`)."""
    if example.recipe == OWN and (verdicts := optimizers.verdicts(corners, example.weights, example.batches(corners))):
        return verdicts
    example, trained = steady(corners, example)
    behind = f"{example.steps} step{'s' if example.steps > 1 else ''} of {example.recipe.optimizer}"
    verdicts = []
    for what, squares in trained.squares.items():
        scale = unit(what, trained, example)
        for name, square in squares.items():
            # A nudge of the first weights by eps64 moved this by so much: what rounding may come to.
            moved = trained.moved.get((what, name), 0.0)
            subject = f"{what} of {name} after {behind}" if name else f"{what} before {behind}"
            verdicts.append(judge(subject, square, scale=max(scale, moved / EPS["float64"])))
            if what == "losses":
                losses = {corner: tuple(run.tolist()) for corner, _, run in square.present}
                verdicts[-1] = replace(verdicts[-1], curve=Curve(subject, losses))
    return verdicts


def steady(corners: PairModels, example: Training) -> tuple[Training, Trained]:
    """Train all corners, at a rate at which the training does not diverge: the example with that rate, and what
    it came to.

    A rate that suits one model is too large for another, whose weights then grow until an exponential overflows or one
    of two right formulas has no digits left: what follows says nothing of the port. So the rate is lowered, ever
    faster. Where a single side diverges that is a difference, and judged.
    """
    trained = corners.train(example.weights, example.recipe, example.batches(corners))
    for divisor in LOWERED:
        if not diverged(trained):
            break
        example = replace(example, recipe=replace(example.recipe, rate=example.recipe.rate / divisor))
        trained = corners.train(example.weights, example.recipe, example.batches(corners))
    return example, trained


def diverged(trained: Trained) -> bool:
    """Whether on every side that has float64 the weights changed by more than `DIVERGED`, or are no finite numbers."""
    runs = [square.rows["float64"] for square in trained.squares["change"].values()]
    sides = [[run for run in side if run is not None] for side in zip(*runs, strict=True)]
    # No number compares with NaN: what is asked is whether all stay.
    return all(any(not np.sqrt(np.mean(np.square(run))) <= DIVERGED for run in side) for side in sides if side)


def known(corners: PairModels) -> list[KnownDivergence]:
    """What the frameworks' own optimizers and clipping do, where that parts from the formulas that parity judges by."""
    return [
        show(framework, name, *arrays)
        for framework, backend in corners.frameworks.items()
        for name, arrays in backend.divergences().items()
    ]


def unit(what: str, trained: Trained, example: Training) -> float:
    """What differences are measured against: never the weights' own magnitude, which would hide them.

    Of losses the largest; of first moments the norm of all, as of gradients; of second moments the
    sum of all, which is a squared norm. Of changes the largest, where the step is proportional to the
    gradient. RMSprop and Adam divide by sqrt(v) + epsilon, so that an element whose gradient is
    nothing but a rounding error d, as an attention key's bias has, moves by up to rate * d / epsilon;
    and d is measured against the norm of all gradients. Hence rate * norm / epsilon over all steps.
    """
    squares, recipe = trained.squares[what], example.recipe
    if what == "second moment":
        return total(squares.values())
    if what not in ("losses", "change"):
        return norm(squares)
    largest = max(square.float64_difference.scale for square in squares.values())
    if what == "losses" or "second moment" not in trained.squares:
        return largest
    gradient = math.sqrt(total(trained.squares["second moment"].values()) / (1 - recipe.memory**example.steps))
    return max(largest, sum(map(recipe.rate_at, range(1, example.steps + 1))) * gradient / recipe.epsilon)


def total(squares: Iterable[PrecisionSquare]) -> float:
    """The sum of all float64 elements: of second moments, the squared norm of the gradients."""
    return float(sum(np.sum(square.reference) for square in squares))
