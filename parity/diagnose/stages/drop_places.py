"""Why training mode draws otherwise at equal rates: a dropout stands elsewhere, on one side alone, or drops channels.

What each side drops is looked up in its run, and its counterpart by the numbers that it has in evaluation mode. A place
is proved if torch's run, with its dropouts moved to where the other side has them, draws what that side does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, permutations, product
from typing import Any

import numpy as np
import optree

from parity.backends.operations import Edit, Editable, Operation, Trace
from parity.canonical.weights import Weights
from parity.checks.results import Cause
from parity.compare import chance
from parity.compare.square import NAMES
from parity.diagnose.constants import told as constant
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.examples import recorded
from parity.diagnose.operators.proposal import at, called
from parity.diagnose.operators.proposal import constant as with_constant
from parity.diagnose.search import within
from parity.diagnose.specimens import specimen
from parity.diagnose.stages.drops import DROPOUTS, Drop, drawn_by, stated
from parity.dtypes import Array, Inputs
from parity.pair.draw_counts import Event, Place, Taken
from parity.pair.draws import COPIES, ELEMENTS, FEWEST, ROWS
from parity.pair.models import PairModels

CALLS = 32  # of a batch of copies: outputs show less of a dropout than what stands next to it
MANY = 16  # places that are tried, each with runs of its own
FIX = "drop the same array on both sides: the same numbers are dropped on no other"
TOGETHER = "drop single numbers on both sides, as Dropout does, or whole channels on both: Dropout2d, SpatialDropout2D"


def explain(corners: PairModels, weights: Weights, inputs: Inputs) -> list[Cause]:
    """The dropouts that one side has elsewhere, or alone; empty where no such thing is proved."""
    first, second = corners.sides
    if not corners.backends[first].EDITABLE:
        return []
    examples = [(of, _few(batch)) for of, batch in ((weights, inputs), specimen(corners, 1))]
    runs = recorded(corners, *examples[0])
    dropped = drawn_by(corners.models[second, runs.dtype], examples[0][1], runs.other.trace)
    ours, theirs = [*stated(runs.run.trace)], dropped or [*stated(runs.other.trace)]
    twins = runs.alignment.twins[1]
    both = [
        (one, other)
        for one in ours
        for other in theirs
        if one.value in twins.get(other.value, ()) and one.whole == _axes(runs.alignment, one.value, other)
    ]
    alone = [one for one in ours if all(one is not of for of, _ in both)]
    others = [other for other in theirs if all(other is not of for _, of in both)]
    random = np.random.default_rng(0)
    ways = product(*(_placed(runs.run, runs.alignment, other, random) for other in others))
    plain = [*_switched(runs.run, ())]
    if not (alone or others) or any(_apart(corners, first, *of, plain)[0] for of in examples):
        return []  # torch draws something that is no dropout of its run
    for added in islice(ways, MANY):
        moved = [*_switched(runs.run, [one.operation for one in alone]), *added]
        gaps = [[_apart(corners, second, *of, edits) for edits in (plain, moved)] for of in examples]
        if any(before[0] for before, _ in gaps) and not any(after[0] for _, after in gaps):
            figures = max(before[1] for before, _ in gaps), max(after[1] for _, after in gaps)
            return [*_causes(runs.alignment, alone, others, figures)]
    return []


def _few(inputs: Inputs) -> Inputs:
    return optree.tree_map(lambda array: array[:ROWS], inputs)


def _axes(alignment: Alignment, place: int, drop: Drop) -> tuple[int, ...] | None:
    """The axes of a value of torch's, the same numbers as a dropout of the other side takes, that this drops as one.

    None where they cannot be told: the value has other axes than the other side's, and not in another order alone.
    """
    if not drop.whole:
        return ()
    value, other = alignment.traces[0].values[place], alignment.traces[1].values[drop.value]
    if value.array is None or other.array is None:
        return None
    limit = alignment.digits * value.sketch.largest
    for axes in permutations(range(value.array.ndim)):
        turned = value.array.transpose(axes)
        if turned.shape == other.shape and within(turned, other.array, limit):
            return tuple(sorted(axes[axis] for axis in drop.whole))
    return None


def _switched(run: Editable, out: Sequence[Operation]) -> Iterator[Edit]:
    """torch's dropouts at work, but for those left out."""
    for number, one in enumerate(run.trace.operations):
        if one.name not in DROPOUTS or any(one is of for of in out):
            continue
        places = [leaf for leaf, of in enumerate(run.leaves(number)) if of.argument == "training"]
        yield with_constant(number, places[0] if places else "training", True)


def _placed(run: Editable, alignment: Alignment, drop: Drop, random: np.random.Generator) -> list[Edit]:
    """The edits of torch's run that could drop what the other side does: of what makes it, or what takes it."""
    edits = list[Edit]()
    for place in sorted(alignment.twins[1].get(drop.value, ())):
        whole = _axes(alignment, place, drop)
        if whole is None:
            continue
        dropped = partial(_dropped, random, drop.rate, whole)
        for number, one in enumerate(run.trace.operations):
            if one.makes == (place,) and one.name not in DROPOUTS:
                edits.append(Edit(number, after=dropped))
            for leaf, of in enumerate(run.leaves(number)):
                if of.place == place and one.name not in DROPOUTS:
                    edits.append(Edit(number, leaf, partial(_given, leaf, dropped)))
    return edits


def _dropped(random: np.random.Generator, rate: float, whole: Sequence[int], array: Array) -> Array:
    """An array with a share of its elements, drawn at random, set to 0, and the others scaled by 1 / (1 - rate).

    Along the axes of `whole` all elements are set to 0, or none.
    """
    shape = [1 if axis in whole else size for axis, size in enumerate(array.shape)]
    result: Array = (array * (random.random(shape) >= rate) / (1 - rate)).astype(array.dtype)
    return result


def _given(leaf: int, change: Callable[[Array], Array], arguments: Sequence[Any]) -> Array:
    return change(arguments[leaf])


def _apart(
    corners: PairModels, side: str, weights: Weights, inputs: Inputs, edits: Sequence[Edit]
) -> tuple[bool, float]:
    """Whether what torch's edited run draws in its outputs is further from what a side draws than chance takes it.

    And how far it is. True and infinite where neither can be given many copies of the inputs.
    """
    corners.ensure(weights)
    model, other = corners.models[corners.sides[0], "float32"], corners.models[side, "float32"]
    once = model.record(inputs)
    copies = min(COPIES, ELEMENTS // max(1, sum(value.sketch.size for value in once.trace.values)))
    whole = {place: once.trace.values[of].array for place, of in once.trace.outputs.items()}
    whole = {place: of for place, of in whole.items() if of is not None and of.dtype.kind == "f" and of.ndim}
    if copies < FEWEST or not whole:
        return True, np.inf
    many = optree.tree_map(lambda array: np.concatenate([array] * copies), inputs)

    def split(outputs: Mapping[str, Array]) -> dict[str, Array]:
        return {place: outputs[place].reshape(copies, *of.shape) for place, of in whole.items()}

    with model.modes.seeded(), other.modes.seeded(), other.modes.frozen():
        run = model.record(many)

        def ours() -> dict[str, Array]:
            trace = run.again(edits)
            return split({place: trace.values[of].array for place, of in trace.outputs.items()})

        def theirs() -> dict[str, Array]:
            return split(other.outputs(many, eager=True, training=True))

        pilot = ours()
        events = {place: Event(Place(f"output{place}"), of, pilot[place]) for place, of in whole.items()}
        sides = [_shares(events, of) for of in (ours, theirs)]
    pairs = [(mine, sides[1][place][what]) for place, of in sides[0].items() for what, mine in of.items()]
    results = [chance.apart(one, two, len(pairs)) for one, two in pairs]
    return any(gap > limit for gap, limit in results), max(gap for gap, _ in results)


def _shares(events: Mapping[str, Event], draw: Callable[[], Mapping[str, Array]]) -> dict[str, dict[str, Array]]:
    """What is counted of each output in several calls, by output and what it is."""
    taken = {place: Taken(event) for place, event in events.items()}
    for _ in range(CALLS):
        outputs = draw()
        for place, one in taken.items():
            one.take(outputs[place])
    return {place: one.shares for place, one in taken.items()}


def _causes(
    alignment: Alignment, ours: Sequence[Drop], theirs: Sequence[Drop], figures: tuple[float, float]
) -> Iterator[Cause]:
    """One cause for a dropout that was moved; else one for each that one side has alone."""
    sides = [_texts(alignment.traces[side], of) for side, of in enumerate((ours, theirs))]
    if ours and theirs:
        claim = f"torch drops {' and '.join(sides[0])}, tensorflow {' and '.join(sides[1])}"
        mine = {one.value for one in ours}
        fix = FIX if any(mine.isdisjoint(alignment.twins[1].get(of.value, ())) for of in theirs) else TOGETHER
        yield Cause("dropout", theirs[0].operation.layer or ours[0].operation.layer, claim, fix, *figures)
        return
    for (side, other), texts, drops in zip((NAMES, NAMES[::-1]), sides, (ours, theirs), strict=True):
        for text, drop in zip(texts, drops, strict=True):
            claim = f"{side} drops {text}; {other} does not"
            yield Cause("dropout", drop.operation.layer, claim, FIX, *figures)


def _texts(trace: Trace, drops: Sequence[Drop]) -> list[str]:
    """Each dropout as it is told: what it drops, at which rate, at which line."""
    makers = trace.makers()
    return [
        f"{'what ' + called(makers[of.value]) + ' makes' if of.value in makers else 'what it is given'} at rate "
        f"{constant(of.rate)}{_together(of)}{at(of.operation)}"
        for of in drops
    ]


def _together(drop: Drop) -> str:
    """How a dropout is told that drops more than single numbers."""
    axes = f"{'axes' if len(drop.whole) > 1 else 'axis'} {' and '.join(map(str, drop.whole))}"
    return f", along {axes} all numbers as one" if drop.whole else ""
