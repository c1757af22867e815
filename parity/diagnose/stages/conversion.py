"""Why a converted pair's parameters differ: what one side's are of the other's, or that nobody loaded them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, islice

import numpy as np

from parity.canonical.form import Reading, Rows, View
from parity.canonical.weights import OWN, Weights
from parity.compare.exact import equal
from parity.diagnose import Cause
from parity.diagnose.layers.functions import owner
from parity.diagnose.layers.orders import left_out
from parity.diagnose.layers.weight_relations import GATES
from parity.diagnose.layers.weights import Happened, what_happened
from parity.diagnose.search import Explained
from parity.diagnose.specimens import specimen
from parity.diagnose.stages.own_orders import Values
from parity.diagnose.stages.own_relations import cause
from parity.diagnose.stages.own_weights import INPUTS, goal_of
from parity.dtypes import Array
from parity.errors import ERRORS
from parity.inputs.arrays import Sample
from parity.pair.carried import Carried, tells
from parity.pair.models import PairModels

MANY = 3  # more layers that something happened to as well
MOST = 96  # parameters that may have been left in their order, each of which is tried
MANY_WAYS = 32  # sets of as many changes that are tried
VAGUE = ("weights changed", "scale")  # of a whole whose parts may say more
FRESH = "as its builder draws it: other numbers once it draws from another seed"


@dataclass(frozen=True)
class Parts:
    """Canonical parameter -> how a side joins it of several of its own.

    A part goes by a layer of its own: "qkv[part 2 of 3].kernel" is the second of "qkv.kernel".
    """

    readings: Mapping[str, Reading]

    @cached_property
    def _places(self) -> dict[str, tuple[str, int]]:
        """A part's name -> the parameter, and which of its parts."""
        return {of: (name, place) for name in self.readings for place, of in enumerate(self._names(name))}

    def _names(self, name: str) -> list[str]:
        path, _, parameter = name.rpartition(".")
        count = len(self.readings[name].views)
        return [f"{path}[part {place} of {count}].{parameter}" for place in range(1, count + 1)]

    def opened(self, values: Values) -> dict[str, Array]:
        """Arrays by name, these parameters as their parts."""
        return {
            part: array
            for name, of in values.items()
            for part, array in (
                zip(self._names(name), self.readings[name].split(of), strict=True)
                if name in self.readings
                else ((name, of),)
            )
        }

    def kinds(self, kinds: Mapping[str, str]) -> dict[str, str]:
        """Every name's kind, the parts' too: one gate's kernel has no gates, and a query is no attention."""
        known = ("attention", *GATES)
        of_parts = {part: "dense" if kinds[name] in known else kinds[name] for part, (name, _) in self._places.items()}
        return {**kinds, **of_parts}

    def closed(self, values: Values, others: Values) -> dict[str, Array]:
        """Arrays by name as whole parameters: what is not among them of a parameter's parts is as in `others`."""
        whole = {name: array for name, array in values.items() if name not in self._places}
        split: dict[str, list[Array]] = {}
        for part in (of for of in values if of in self._places):
            name, place = self._places[part]
            split.setdefault(name, self.readings[name].split(others[name]))[place] = values[part]
        return {**whole, **{name: self.readings[name].join(arrays) for name, arrays in split.items()}}

    def gathered(self, changes: Sequence[Happened]) -> list[Happened]:
        """Changes of parts as of their parameters' layers; what happened to several parts alike is one."""
        together: dict[tuple[str, str, str], Happened] = {}
        order = [name for change in changes for name in change.names if name not in self._places] + [*self._places]
        for change in changes:
            whole = {self._places[name][0] if name in self._places else name for name in change.names}
            layer = owner(min(whole))
            key = layer, change.cause, change.how
            first = together.get(key)
            merged = replace(change, layer=layer)
            if first is not None:
                largest = max(first.before, change.before), max(first.after, change.after)
                names = tuple(sorted((*first.names, *change.names), key=order.index))
                zero = first.zero and change.zero
                merged = replace(first, names=names, before=largest[0], after=largest[1], zero=zero)
            together[key] = merged
        return [*together.values()]


def explain(corners: PairModels, carried: Carried, proved: bool = False) -> Explained:
    """Explain every parameter of a converted pair that differs, one side's as made from the other's.

    Whichever way round leaves less unexplained is told: where a checkpoint came from is not known. `proved`, only what
    brings the outputs together, taken back, is told. Returns causes, and of parameters that nothing explains, a line
    each.
    """
    kinds = {name: kind for name, (kind, _) in corners.layout.items()}
    names = [name for name, verdict in carried.verdicts.items() if verdict.fails or name not in carried.computed]
    values = {side: {name: of[name] for name in names} for side, of in carried.values.items()}
    first, second = values
    parts = _parts(corners)
    ways = [
        _happened((values[one], values[other]), kinds, other, _drawn(corners, other, values[one], values[other]), parts)
        for one, other in ((first, second), (second, first))
    ]
    changes, ruled_out = min(ways, key=lambda way: len(way[1]))
    # The side that is right, and the one that has other values: causes are told of the second.
    one, other = (first, second) if changes and changes[0].side == second else (second, first)
    if left := _left_out(
        corners, {name: (values[one][name], values[other][name]) for name in names}, kinds, (one, other)
    ):
        return [left], []
    if proved or (len(changes) > 1 and not ruled_out and not corners.weaker):
        changes = _wrong(corners, changes, (values[one], values[other]), (one, other), parts) or (
            [] if proved else changes
        )
    longer = _longer(corners)
    changes = [replace(of, how="; ".join((of.how, *(longer[n] for n in of.names if n in longer)))) for of in changes]
    return _together(changes, list(values[first])), ruled_out


def _longer(corners: PairModels) -> dict[str, str]:
    """Tables of which a side has more rows than the other -> what is said of that."""
    readings = [
        (side, f"{layer.path}.{of.parameter}", view)
        for side, build in corners.builds.items()
        for layer in build.form.layers
        for of in layer.readings
        for view in of.views
        if isinstance(view, Rows)
    ]
    more = ((side, name, view.before[0] - len(view.there(np.empty(view.before)))) for side, name, view in readings)
    return {name: f"{side}'s table has {count} rows more" for side, name, count in more}


def _happened(
    both: tuple[Values, Values], kinds: Mapping[str, str], side: str, drawn: Values, parts: Parts
) -> tuple[list[Happened], list[str]]:
    """What happened to a side's parameters, the second ones, that were the first ones: as `what_happened`.

    What a side holds as several is looked at part by part where, as a whole, it shows nothing but numbers that moved.
    """
    changes, ruled_out = what_happened(*both, kinds, side, drawn, FRESH)
    clear = {name for change in changes if change.cause not in VAGUE for name in change.names}
    left = Parts({name: of for name, of in parts.readings.items() if name not in clear and name in both[0]})
    if not left.readings or (clear >= {name for change in changes for name in change.names} and not ruled_out):
        return changes, ruled_out
    ours, theirs = map(left.opened, both)
    of_parts, still = what_happened(ours, theirs, left.kinds(kinds), side, left.opened(drawn), FRESH)
    return (left.gathered(of_parts), still) if len(still) <= len(ruled_out) else (changes, ruled_out)


def _left_out(
    corners: PairModels, both: Mapping[str, tuple[Array, Array]], kinds: Mapping[str, str], sides: tuple[str, str]
) -> Cause | None:
    """The cause that parameters were left in their order where others have another, proved by the outputs; or None.

    Several have to have that order: of one that has, the order itself is the cause.
    """
    ways = [of for of in islice(left_out(both, kinds), MOST) if len(of.moved) >= len(of.values)]
    if corners.weaker or not ways:
        return None
    corners.ensure(OWN)
    goal = goal_of(corners, *sides)
    proofs = ((of, left) for of in ways if (left := goal.left(of.values)))
    return next((cause((of.cause, of.told, of.values), sides[1], left) for of, left in proofs), None)


def of_given(corners: PairModels) -> list[Cause]:
    """Explain outputs of weights as they are by layers that have counterparts, where both sides were loaded alike.

    The pair is built once more, and linked. A cause is proved where, with it taken back, the outputs agree; there is
    none where the layers cannot be linked, and where memory is scarce.
    """
    if corners.weaker or corners.lean:
        return []
    try:
        linked = PairModels(replace(corners.pair, weights="drawn"), corners.dtypes)
    except ERRORS:  # layers without counterparts, or a program that cannot be changed: other causes are looked for
        return []
    if linked.carried is None:
        return _of_nothing(corners, linked)
    return [] if linked.carried.alike else explain(linked, linked.carried, proved=True)[0]


def _of_nothing(corners: PairModels, linked: PairModels) -> list[Cause]:
    """Explain weights of which neither side's were made from the other's: with the same in both, both are the same."""
    figures = []
    for seed in range(INPUTS):
        verdicts = [of.judge(name) for name, of in linked.answers(Sample(*specimen(linked, seed))).items()]
        if any(verdict.fails for verdict in verdicts):
            return []
        figures += [verdict.figure for verdict in verdicts]
    first, second = corners.sides
    before = goal_of(corners, first, second).before
    what = f"nothing in {second} was made from {first}'s weights; with the same weights in both, both give the same"
    fix = "copy the weights, or load one checkpoint in both"
    return [Cause("weights not copied", "", what, fix, before, max(figures))]


def _wrong(
    corners: PairModels, changes: list[Happened], both: tuple[Values, Values], sides: tuple[str, str], parts: Parts
) -> list[Happened]:
    """Drop the changes that the models need, as the order of a flatten's channels, which both sides read otherwise.

    If making all parameters the same does not bring the outputs together, the fewest changes are kept that do when they
    alone are taken back; none where none do.
    """
    corners.ensure(OWN)
    goal, (right, there) = goal_of(corners, *sides), both
    opened = {**right, **parts.opened(right)}

    def agree(wrong: list[Happened]) -> bool:
        values = parts.closed({name: opened[name] for change in wrong for name in change.names}, there)
        return goal.left(values) is not None

    # What is in another order all along comes to the same, and is no cause beside what is wrong.
    closed = agree(changes)
    if closed and not any(change.cause == "order" for change in changes):
        return changes
    # Fewer first, and not all subsets: of ten changes there are a thousand.
    for number in range(1, len(changes)):
        few = next((of for of in islice(combinations(changes, number), MANY_WAYS) if agree(list(of))), None)
        if few is not None:
            return list(few)
    return changes if closed else []


def written(corners: PairModels, weights: Weights) -> Explained:
    """Every parameter that is not read as it was written, and how: of each side, from other weights before."""
    kinds = {name: kind for name, (kind, _) in corners.layout.items()}
    causes: list[Cause] = []
    ruled_out: list[str] = []
    for side in corners.sides:
        model = corners.models[side, "float32"]
        corners.load(Weights(weights.seed + 1, weights.scale))
        initial = model.read()  # what stands there if a write does nothing
        drawn = corners.load(weights)
        changes, tried = what_happened(drawn, model.read(), kinds, side, initial)
        causes, ruled_out = [*causes, *(change.blamed for change in changes)], ruled_out + tried
    return causes, ruled_out


def _together(changes: list[Happened], names: list[str]) -> list[Cause]:
    """Merge what became of many layers alike into one cause, of the first that is affected."""
    layers = list(dict.fromkeys(owner(name) for name in names))
    alike: dict[tuple[str, str], list[Happened]] = {}
    for change in changes:
        alike.setdefault((change.cause, change.how), []).append(change)
    merged: dict[int, Cause] = {}
    for of in alike.values():
        first, *others = sorted(of, key=lambda change: layers.index(change.layer))
        if len(others) >= MANY:
            description = f"{first.side} has what {first.layer} holds, and {len(others)} more layers, {first.how}"
            before, after = max(change.before for change in of), max(change.after for change in of)
            merged[changes.index(of[0])] = replace(first.blamed, told=description, before=before, after=after)
        else:
            merged |= {changes.index(change): change.blamed for change in of}
    return [merged[place] for place in sorted(merged)]


def _drawn(corners: PairModels, side: str, source: Values, values: Values) -> dict[str, Array]:
    """The parameters that a side's builder draws and does not load: built again, from other seeds, it has other
    numbers.

    Empty where that tells nothing: all of them are others, or one that is the `source`'s is, which is drawn there too.
    """
    backend = corners.backends[side]
    with backend.reseeded():
        again = backend.Model(corners.builds[side], "float32", corners.pad).read()
    others = {name: array for name, array in values.items() if not equal(again[name], array)}
    loaded = {name for name, array in values.items() if tells(array) and equal(array, source[name])}
    return others if loaded.isdisjoint(others) and any(tells(values[name]) for name in values.keys() - others) else {}


def _parts(corners: PairModels) -> Parts:
    """The parameters that a side joins of several of its own, by their rows."""
    readings: dict[str, Reading] = {}
    for build in corners.builds.values():
        for layer in build.form.layers:
            for reading in layer.readings:
                rows = all(isinstance(view, View) and view.shape == view.before for view in reading.views)
                if len(reading.sources) > 1 and rows:
                    readings.setdefault(f"{layer.path}.{reading.parameter}", reading)
    return Parts(readings)
