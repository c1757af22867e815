"""A side's optimizer, step by step: what it starts from, what it does, and what its settings say that it should do.

The user's two optimizers are compared in float64 without training both: each side's steps are held against those that
its own settings predict, so that the settings are proved, and then the second side's against the first's settings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from parity.backends.protocol import BackendModel
from parity.canonical.faulty_recipe import Decay, Epsilon, FaultyRecipe
from parity.canonical.optimizer_steps import Trace
from parity.canonical.optimizers import OWN, Recipe
from parity.canonical.transforms import SUMMED
from parity.canonical.weights import Weights
from parity.compare.judge import MAX_FLOAT64_ULPS, Verdict, judge
from parity.compare.square import PrecisionSquare, Runs
from parity.dtypes import EPS, Array
from parity.pair.models import PairModels

Batches = Sequence[Sequence[tuple[Any, Any]]]  # step -> its micro-batches of (inputs, targets)
Settings = Mapping[str, FaultyRecipe]  # of each parameter
# Steps whose rates are compared, though nothing is trained for so long: some, with those before and behind them, as
# of the steps at which either side's schedule bends. A warm-up of a thousand steps looks constant in the first ten.
FAR = (2, 4, 6, 8, 10, 30, 100, 300, 1000, 3000, 10000)
LAST = FAR[-1] + 1


def record(corners: PairModels, model: BackendModel, weights: Weights, recipe: Recipe, batches: Batches) -> Trace:
    """Train one corner, and record each step's weights and gradients. Afterwards all models have the drawn weights."""
    return _recorded(corners, model, weights, recipe, batches)[0]


@dataclass(frozen=True, eq=False)
class Stepped:
    """What a side's own optimizer did, `trace`; its settings, if they can be read; and its learning rates.

    `rates` has one for each of the steps `at`, the same of both sides. `ruled` says that a class of the user's own adds
    epsilon, or decays weights, elsewhere than the library's.
    """

    side: str
    trace: Trace
    settings: Settings | None
    rates: tuple[float, ...]
    at: tuple[int, ...]
    ruled: bool = False


def stepped(corners: PairModels, weights: Weights, batches: Batches) -> list[Stepped]:
    """Run each side's own optimizer from these weights, in float64.

    Settings from which the steps do not follow have not been read rightly, and are dropped.
    """
    runs = []
    recorded = [_recorded(corners, corners.models[side, "float64"], weights, OWN, batches) for side in corners.sides]
    settings = [trainer.settings() for _, trainer in recorded]
    bends = {step for _, trainer in recorded for step in trainer.bends(LAST)} | {*FAR}
    at = tuple(sorted({step for bend in bends for step in (bend - 1, bend, bend + 1) if 0 < step <= LAST}))
    for side, (trace, trainer), own in zip(corners.sides, recorded, settings, strict=True):
        run = Stepped(side, trace, own, trainer.ahead(at), at)
        if run.settings is not None and not _followed(run, run.settings):
            ruled = next((of for of in _ruled(run.settings) if _followed(run, of)), None)
            run = replace(run, settings=ruled, ruled=ruled is not None)
        runs.append(run)
    return runs


def _followed(run: Stepped, settings: Settings) -> bool:
    """Whether a side's steps are those that settings predict."""
    return not any(verdict.fails for verdict in judged(run, settings, run.side))


def _ruled(settings: Settings) -> Iterator[Settings]:
    """The same settings in rules that a class of the user's own may have: epsilon elsewhere, another form of decay."""
    for epsilon, decay in product(Epsilon, (None, Decay.COUPLED, Decay.DECOUPLED)):
        yield {name: replace(one, epsilon=epsilon, decay=decay or one.decay) for name, one in settings.items()}


def verdicts(corners: PairModels, weights: Weights, batches: Batches) -> list[Verdict]:
    """Whether both sides' own optimizers do the same, by their settings; none where those of a side are not known."""
    if any((side, "float64") not in corners.learning() for side in corners.sides):
        return []
    first, second = stepped(corners, weights, batches)
    if first.settings is None or second.settings is None:
        return []
    rates = judged_rates(corners.sides, first.rates, second.rates)
    steps = judged(second, in_form(first, second), first.side)
    return [*steps, *([rates] if rates.fails else [])]


def judged(one: Stepped, settings: Settings, whose: str) -> Iterator[Verdict]:
    """Judge a side's steps against those that settings predict, parameter by parameter; arrays are (steps, numbers).

    `whose` is the side that the settings are of. Both are float64; their float32 row is the same rounded, since only
    the float64 difference is in question.
    """
    expected = one.trace.after_each(settings)
    for name, place in one.trace.places.items():
        arrays = expected[:, place], one.trace.changes[:, place]
        square = PrecisionSquare.of(
            [*(array.astype(np.float32) for array in arrays), *arrays], (f"{whose}'s settings", one.side)
        )
        yield judge(f"steps of {one.side}'s own optimizer for {name}", square, scale=one.trace.scale)


def judged_rates(sides: tuple[str, str], ours: Sequence[float], theirs: Sequence[float]) -> Verdict:
    """Judge the learning rates of both sides at the same steps.

    A library may compute a schedule in float32: the second side has no float64 there, so that such rounding is allowed.
    """
    first, second = np.array(ours, np.float64), np.array(theirs, np.float64)
    rows: dict[str, Runs] = {
        "float32": (first.astype(np.float32), second.astype(np.float32)),
        "float64": (first, None),
    }
    return judge("learning rates", PrecisionSquare(rows, sides, "a schedule may compute in float32"))


def limit(trace: Trace) -> float:
    """The largest difference between steps that rounding error accounts for, in the unit of the weights."""
    return MAX_FLOAT64_ULPS * EPS["float64"] * trace.scale


def in_form(first: Stepped, second: Stepped) -> Settings:
    """The first side's settings, in the form that the second's library has for them.

    Where the rule of either is its user's own, it is in no library's form, and is compared like the settings.
    """
    assert first.settings is not None  # of sides whose settings were read
    assert second.settings is not None
    excused = not (first.ruled or second.ruled)
    return {name: _in_form(first.settings[name], other, excused) for name, other in second.settings.items()}


def _in_form(first: FaultyRecipe, other: FaultyRecipe, excused: bool) -> FaultyRecipe:
    """The first side's settings, with the other's in whatever a library fixes: none of that is the user's mistake.

    Where epsilon stands (`epsilon`, `inside`), what is added to a norm (`slack`), and rates rounded to float32.
    """
    rates = [first.recipe.rate_at(step) for step in range(1, len(other.recipe.rates) + 1)]
    narrow = [np.float32(rate) for rate in rates] == [np.float32(rate) for rate in other.recipe.rates]
    recipe = replace(first.recipe, rates=other.recipe.rates if narrow else tuple(rates))
    one = replace(first, recipe=recipe, slack=other.slack)
    return replace(one, epsilon=other.epsilon, inside=other.inside) if excused else one


def _recorded(
    corners: PairModels, model: BackendModel, drawn: Weights, recipe: Recipe, steps: Batches
) -> tuple[Trace, Any]:
    """Train one corner; return a trace of each step's weights and gradients, and the trainer with its settings.

    A parameter's place in the trace's rows is fixed by the order of the gradients: parameters without one are left out.
    """
    corners.load(drawn)
    trainer, read = model.trainer(recipe), model.read()
    weights, parts, places = [], [], dict[str, slice]()
    for batches in steps:
        pulled = [model.gradients(*fed) for fed in batches]
        end = 0
        for name, array in pulled[0].items():
            places[name], end = slice(end, end + array.size), end + array.size
        weights.append(_row(read, places))
        parts.append(np.array([_row(gradients, places) for gradients in pulled]))
        trainer.step(batches)
        read = model.read()
    state = {moment: _row(arrays, places) for moment, arrays in trainer.state().items()}
    weights.append(_row(read, places))
    sums = tuple(
        f"{layer.path}.{part.parameter}" for layer in model.layers for part in layer.parts if part.transform is SUMMED
    )
    trace = Trace(recipe, places, np.array(weights), np.array(parts), state, sums)
    corners.load(drawn)
    return trace, trainer


def _row(arrays: Mapping[str, Array], places: Mapping[str, slice]) -> Array:
    """Parameters by name as one row, each at its places."""
    return np.concatenate([arrays[name].ravel() for name in places])
