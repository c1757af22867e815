"""Why training mode draws otherwise at equal rates: a dropout stands elsewhere, on one side alone, or drops channels.

What each side drops is looked up in its run, and its counterpart by the numbers that it has in evaluation mode. A place
is proved if torch's run, with its dropouts moved to where the other side has them, draws what that side does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, product

import numpy as np
import optree

from parity.backends.operations import DRAWING, Edit, Editable, Operation, Trace
from parity.backends.protocol import BackendModel
from parity.canonical.weights import Weights
from parity.checks.results import Cause
from parity.compare import chance
from parity.compare.square import NAMES
from parity.diagnose.constants import told as constant
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.examples import recorded
from parity.diagnose.operators.orders import layout
from parity.diagnose.operators.proposal import at, called, changed
from parity.diagnose.operators.proposal import constant as with_constant
from parity.diagnose.specimens import specimen
from parity.dtypes import Array, Inputs
from parity.pair.draw_counts import Event, Place, Taken
from parity.pair.draws import COPIES, ELEMENTS, FEWEST, ROWS
from parity.pair.models import PairModels

CALLS = 32  # of a batch of copies: outputs show less of a dropout than what stands next to it
MANY = 16  # places that are tried, each with runs of its own
FIX = "drop the same array on both sides: the same numbers are dropped on no other"
TOGETHER = "drop single numbers on both sides, as Dropout does, or whole channels on both: Dropout2d, SpatialDropout2D"
DRAWS = 8  # of a graph: one in which few channels are drawn for may drop none
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d")  # torch's functions: but for the first, whole channels


@dataclass(frozen=True)
class Drop:
    """A dropout of one side: the operation that drops, at which rate, and the value's place in the evaluation run.

    `whole` are the axes along which a number is dropped with all others.
    """

    operation: Operation
    rate: float
    value: int
    whole: tuple[int, ...] = ()


def explain(corners: PairModels, weights: Weights, inputs: Inputs) -> list[Cause]:
    """The dropouts that one side has elsewhere, or alone; empty where no such thing is proved."""
    first, second = corners.sides
    if not corners.backends[first].EDITABLE:
        return []
    both = (weights, inputs), specimen(corners, 1)
    examples = [(of, optree.tree_map(lambda array: array[:ROWS], batch)) for of, batch in both]
    runs = recorded(corners, *examples[0])
    drawn = drawn_by(corners.models[second, runs.dtype], examples[0][1], runs.other.trace)
    ours, theirs, twins = [*stated(runs.run.trace)], drawn or [*stated(runs.other.trace)], runs.alignment.twins[1]
    pairs = [
        (one, other)
        for one in ours
        for other in theirs
        if one.value in twins.get(other.value, ()) and one.whole == _axes(runs.alignment, one.value, other)
    ]
    alone = [one for one in ours if all(one is not of for of, _ in pairs)]
    others = [other for other in theirs if all(other is not of for _, of in pairs)]
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


def _axes(alignment: Alignment, place: int, drop: Drop) -> tuple[int, ...] | None:
    """The axes of a value of torch's, the same numbers as a dropout of the other side takes, that this drops as one.

    None where they cannot be told: the value has other axes than the other side's, and not in another order alone.
    """
    if not drop.whole:
        return ()
    value, other = alignment.traces[0].values[place], alignment.traces[1].values[drop.value]
    axes = layout(other.array, value.array, alignment.digits)
    return None if axes is None else tuple(sorted(axes[axis] for axis in drop.whole))


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
                    edits.append(changed(number, leaf, dropped))
    return edits


def _dropped(random: np.random.Generator, rate: float, whole: Sequence[int], array: Array) -> Array:
    """An array with a share of its elements, drawn at random, set to 0, and the others scaled by 1 / (1 - rate).

    Along the axes of `whole` all elements are set to 0, or none.
    """
    shape = [1 if axis in whole else size for axis, size in enumerate(array.shape)]
    result: Array = (array * (random.random(shape) >= rate) / (1 - rate)).astype(array.dtype)
    return result


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


def stated(trace: Trace) -> Iterator[Drop]:
    """The dropouts of a run of torch's, which stand there in evaluation mode, too."""
    for one in trace.operations:
        if one.name in DROPOUTS and one.takes:
            taken = one.operands[0]
            channels = one.name != DROPOUTS[0]  # each of the axis behind the batch's is dropped as one
            whole = tuple(range(2, len(trace.values[taken].shape))) if channels else ()
            yield Drop(one, float(one.settings.get("p", 0.5)), taken, whole)


def drawn_by(model: BackendModel, inputs: Inputs, still: Trace) -> list[Drop]:
    """The dropouts of a graph in training mode, by several draws: one may drop nothing, or by chance whole axes."""
    drops: dict[tuple[int, str], Drop] = {}
    for _ in range(DRAWS):
        for one in _dropped_once(model.record(inputs, form=DRAWING).trace, still):
            known = drops.setdefault((one.value, one.operation.layer), one)
            whole = tuple(axis for axis in known.whole if axis in one.whole)
            drops[one.value, one.operation.layer] = replace(known, whole=whole)
    return [*drops.values()]


def _dropped_once(trace: Trace, still: Trace) -> Iterator[Drop]:
    """The dropouts of a graph in training mode, by the values of one in evaluation mode (`still`).

    What is made of random numbers alone is a mask; what takes one, and an array of the model's, drops.
    """
    noise, data, makers = set[int](), set[int](), trace.makers()
    for place, value in enumerate(trace.values):
        if value.leaf and not value.leaf.startswith("constant"):
            data.add(place)
    for one in trace.operations:
        taken = [*one.operands]
        masked, model = not noise.isdisjoint(taken), [place for place in taken if place in data]
        if "Random" in one.name or (masked and not model):
            noise |= {*one.makes}
            continue
        if masked:
            known = _in_evaluation(trace, still, makers, model[0])
            rate, whole = (None, ()) if known is None else _rate(trace, known[0], one.makes[0])
            if known is not None and rate:
                yield Drop(one, rate, known[1], whole)
        if masked or model:
            data |= {*one.makes}


def _in_evaluation(trace: Trace, still: Trace, makers: Mapping[int, Operation], place: int) -> tuple[int, int] | None:
    """A value, or what it was scaled from, in both runs: its place in training mode, and in evaluation mode."""
    while True:
        maker = makers.get(place)
        if maker is None:
            leaves = {value.leaf: at for at, value in enumerate(still.values) if value.leaf}
            there = leaves.get(trace.values[place].leaf)
            return None if there is None else (place, there)
        try:
            there = trace.like(maker, still).makes[maker.makes.index(place)]
        except LookupError:
            shape = trace.values[place].shape
            before = [taken for taken in maker.operands if trace.values[taken].shape == shape]
            if not before:
                return None
            place = before[0]
            continue
        return (place, there) if still.values[there].shape == trace.values[place].shape else None


def _rate(trace: Trace, value: int, result: int) -> tuple[float | None, tuple[int, ...]]:
    """At which rate a value was dropped, and along which axes as one: what is left of it is scaled by 1 / (1 - rate).

    The rate is None where nothing was dropped.
    """
    before, after = trace.values[value].array, trace.values[result].array
    if before is None or after is None or before.shape != after.shape or after.dtype.kind != "f":
        return None, ()
    left, dropped = (before != 0) & (after != 0), (before != 0) & (after == 0)
    if not left.any() or not dropped.any():
        return None, ()
    whole = tuple[int, ...]()
    for axis in range(1, before.ndim):  # along the first, rows of a small batch are dropped together by chance
        axes = (*whole, axis)
        if before.shape[axis] > 1 and not (left.any(axes) & dropped.any(axes)).any():
            whole = axes
    scale = float(np.median(after[left] / before[left]))
    return float(f"{1 - 1 / scale:.6g}") if scale > 1 else None, whole
