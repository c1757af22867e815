"""Other values of an operation's arguments: what TensorFlow's operations have, or what one tries by hand.

A stride, an axis, an epsilon, a padding mode: most ports that differ do so in one argument of one call. The numbers
that are tried are those that the other side's operations near by are called with, and then the usual ones.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations, product
from math import inf, sqrt
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.names import CHOICES, PRODUCTS, SUMS, of_argument
from parity.diagnose.operators.proposal import Proposal, Spot, always, called, constant, flat, so_in, written
from parity.pair.thresholds import ENDS

FOURIER = ("ortho", "forward")  # how a Fourier transform is scaled, where not backwards
# What an argument that is text can be instead, by what it is.
WORDS = (
    ("none", "tanh"),
    ("zeros", "reflect", "replicate", "circular"),
    ("constant", "reflect", "replicate", "circular"),
    ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "area"),
    ("mean", "sum", "batchmean", "none"),
    ("trunc", "floor"),
    ("ij", "xy"),
    ("backward", *FOURIER),
)
# Arguments that say how an operation runs, or of what shape what it takes is.
FIXED = {
    *("dropout", "train", "training", "num_layers", "has_biases", "bidirectional", "batch_first", "inplace", "sparse"),
    *("norm_type", "scale_grad_by_freq", "padding_idx", "dtype", "device", "memory_format", "create_graph"),
    *("only_inputs", "allow_unused", "is_grads_batched", "materialize_grads", "cudnn_enabled", "requires_grad"),
    *("size_average", "reduce"),  # old names of what `reduction` says, which torch warns of
}
REAL = {*PRODUCTS, *SUMS, "pow", "__pow__"}  # operations whose whole numbers may as well be none
# Another length of these would not fit what takes them, and says nothing of the model.
SHAPED = ("zeros", "ones", "empty", "full")  # operations whose every number is a length
RESHAPED = ("view", "reshape")  # whose numbers are lengths that are given, in some order
AXES = ("dim", "axis", "dims")
USUAL = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12)  # epsilons
SHORT = 40  # letters of two values that are told in a heading
KNOWN = 8  # numbers that are tried for two at once
MANY = 130  # lists of numbers that are tried for one


def arguments(spot: Spot) -> Iterator[Proposal]:
    """Another value of one argument."""
    known = sorted(_numbers(spot))
    if spot.operation.name in SHAPED:
        return
    for argument, value in {**spot.operation.settings, **spot.run.defaults(spot.number)}.items():
        if argument in FIXED or (argument == "alpha" and value == 1):  # a sum's, which is a difference then
            continue
        places = spot.plain(argument)
        if argument in AXES:
            for other in _axes(spot, value):
                yield _argument(spot, argument, value, other, constant(spot.number, argument, other))
        if len(places) > 1:
            for others in _lists(spot, [*places.values()], known):
                if spot.operation.name in RESHAPED and sorted(others) != sorted(places.values()):
                    continue
                edits = [constant(spot.number, at, new) for at, new in zip(places, others, strict=True)]
                yield _argument(spot, argument, value, others, *edits)
        else:
            real = (*known, 2 * value, value / 2) if type(value) is int and spot.operation.name in REAL else ()
            yield from _smoothed(spot, argument, value)
            scales = FOURIER if argument == "norm" and value is None else ()
            hidden = (-inf,) if type(value) is float and spot.operation.name in CHOICES else ()
            for other in (*hidden, *scales, *_values(value, known), *real, *indices(spot, value), *slices(spot, value)):
                where = next(iter(places), argument)
                yield from _in_proportion(spot, argument, value, other)
                yield _argument(spot, argument, value, other, constant(spot.number, where, other))


def _in_proportion(spot: Spot, argument: str, value: Any, other: Any) -> Iterator[Proposal]:
    """The same factor in all operations of a line that multiply, each by another number: as in a loop."""
    if spot.operation.name not in PRODUCTS or not all(type(one) in (int, float) and one for one in (value, other)):
        return
    alike = [
        (number, at, leaf.plain)
        for number, one in enumerate(spot.operations)
        if (one.name, one.line) == (spot.operation.name, spot.operation.line)
        for at, leaf in enumerate(spot.run.leaves(number))
        if leaf.argument == argument and type(leaf.plain) in (int, float)
    ]
    numbers, factor = [*dict.fromkeys(was for *_, was in alike)], other / value
    if len(numbers) > 1 and spot.operation.line:
        all_of = ", ".join(map(written, numbers))
        yield Proposal(
            always(*(constant(number, at, was * factor) for number, at, was in alike)),
            "scale",
            f"torch calls {spot.operation.name}{spot.place} with {argument}={all_of}; with {factor:.9g} times each it "
            f"makes what tensorflow does{spot.by}",
            f"{factor:.9g} times {argument} in torch's {spot.operation.name}{spot.place}, or without it in tensorflow",
        )


def constants(spot: Spot) -> Iterator[Proposal]:
    """Two numbers of a line stand in each other's place, as the weights of two terms: once, or wherever it runs."""
    own = spot.operation
    if own.line is None:
        return
    numbers = [
        (number, leaf, one.plain)
        for number, of in enumerate(spot.operations)
        if of.line == own.line and of.layer == own.layer
        for leaf, one in enumerate(spot.run.leaves(number))
        if type(one.plain) is float
    ]
    for number, leaf, mine in [of for of in numbers if of[0] == spot.number]:
        for other, there, theirs in numbers:
            if (other, there) <= (number, leaf) or mine == theirs:
                continue
            pair, turned = [(number, leaf, theirs), (other, there, mine)], {mine: theirs, theirs: mine}
            every = [(*place, turned[was]) for *place, was in numbers if was in turned]
            for places in (every, pair) if len(every) > len(pair) else (pair,):
                yield Proposal(
                    always(*(constant(*place) for place in places)),
                    "scale" if own.name in PRODUCTS else "argument",
                    f"{written(mine)} of torch's {called(own)} and {written(theirs)} of "
                    f"{called(spot.operations[other])}{spot.place} stand in each other's place in tensorflow{spot.by}"
                    f"{so_in(len(places)) if places is every else ''}",
                    f"the same of both numbers at the same place on both sides{spot.place}",
                    subject=f"{written(mine)} and {written(theirs)} exchanged",
                )


def _smoothed(spot: Spot, argument: str, value: Any) -> Iterator[Proposal]:
    """Labels smoothed over the classes but the target's own: torch's amount then is K / (K - 1) times as large."""
    shape = spot.values[spot.operation.operands[0]].shape if spot.operation.takes else ()
    classes = shape[min(1, len(shape) - 1)] if shape else 0
    if argument != "label_smoothing" or classes < 2:
        return
    for times, by in ((classes / (classes - 1), "tensorflow gives"), ((classes - 1) / classes, "torch gives")):
        proposal = _argument(spot, argument, value, value * times, constant(spot.number, argument, value * times))
        claim = f"{proposal.told}; as if {by} the mass to the {classes - 1} other classes alone"
        fix = "give each of all classes, the target's among them, smoothing / classes, as torch does, or none"
        yield replace(proposal, told=claim, fix=fix, subject=f"smoothing over the other classes: {by} it to them")


def together(spot: Spot) -> Iterator[Proposal]:
    """Two arguments of one operation are others: numbers of TensorFlow's, or a word and what does not go with it."""
    known = sorted(_numbers(spot))[:KNOWN]
    plain = [(at, leaf.argument, leaf.plain) for at, leaf in enumerate(spot.leaves) if leaf.place is None]
    for one, two in permutations(plain, 2):
        (first, here), (second, there) = one[1:], two[1:]
        if first == second or not {first, second}.isdisjoint(FIXED):
            continue
        pairs: Iterable[tuple[Any, Any]] = ()
        if isinstance(here, str) and (there is None or isinstance(there, bool)):
            pairs = product(_values(here, ()), (value for value in (None, False, True) if value is not there))
        elif one < two and {type(here), type(there)} <= {int, float}:
            pairs = ((type(here)(a), type(there)(b)) for a, b in product(known, repeat=2))
        for new, other in pairs:
            edits = [constant(spot.number, at, to) for at, to in ((one[0], new), (two[0], other))]
            yield _argument(spot, first, written(here), f"{new}, {second}={written(other)}", *edits)


def _argument(spot: Spot, argument: str, value: Any, other: Any, *edits: Edit) -> Proposal:
    """The proposal that an argument has another value."""
    name, was, new = spot.operation.name, written(value), written(other)
    order = ", so that both stand in the same order" if spot.reorders else ""
    # Of what, where the operation itself does not say it.
    of = f" on {spot.origin(spot.operation.operands[0])}".removesuffix(spot.place) if spot.operation.takes else ""
    return Proposal(
        always(*edits),
        of_argument(spot.operation, argument, value, other),
        f"torch calls {name}{spot.place} with {argument}={was}{of}; with {argument}={new} it makes what tensorflow "
        f"does{spot.by}",
        f"{argument}={new} in torch's {name}{spot.place}{of}, or in tensorflow what {argument}={was} does{order}",
        subject=f"{argument} {was}, not {new}" if len(was + new) <= SHORT else argument,
    )


def _axes(spot: Spot, value: Any) -> list[Any]:
    """Any axes of the first operand."""
    if not spot.operation.takes or not all(type(one) is int for one in flat(value)):
        return []
    rank = len(spot.values[spot.operation.operands[0]].shape)
    now = {axis % rank for axis in flat(value)} if rank else set()
    chosen = [axes for size in range(1, rank + 1) for axes in combinations(range(rank), size) if {*axes} != now]
    return [axes[0] if isinstance(value, int) and len(axes) == 1 else [*axes] for axes in chosen]


def _lists(spot: Spot, value: Sequence[Any], known: Sequence[float]) -> Iterator[list[Any]]:
    """One number another, then all of them: any that stand here or there; and the other side's own lists."""
    for place, one in enumerate(value):
        for other in (*_values(one, known), *slices(spot, one)):
            yield [*value[:place], other, *value[place + 1 :]]
    sliced = [place for place, one in enumerate(value) if isinstance(one, slice)]
    if len(sliced) > 1:  # two axes in each other's place
        for one, two in combinations(sliced, 2):
            order = {one: two, two: one}
            yield [value[order.get(place, place)] for place in range(len(value))]
    yield from moved(value, known)
    if not all(type(one) is int for one in value):
        return
    lists = (of for operation in spot.near for of in operation.settings.values() if isinstance(of, list) and of)
    yield from (of for of in lists if len(of) == len(value) and of != value and all(type(one) is int for one in of))
    if sorted(value) == [*range(len(value))]:
        yield [int(place) for place in np.argsort(value)]  # the inverse of a permutation
    numbers = sorted({*value, *(int(n) for n in known if n == int(n) and abs(n) <= max(map(abs, value)) + 1)})
    if len(numbers) ** len(value) <= MANY:
        yield from (list(other) for other in product(numbers, repeat=len(value)) if list(other) != value)


def _values(value: Any, known: Sequence[float]) -> list[Any]:
    """Other values that an argument could have in the place of this."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        near = (*known, value + 1, value - 1, 0, 1, 2, -1, -value)
        return [n for n in dict.fromkeys(int(n) for n in near if float(n).is_integer()) if n != value]
    if isinstance(value, float):
        usual = [0.0, 1.0, 1 - value, value * value, sqrt(abs(value)), 2 * value, value / 2, 10 * value, value / 10]
        usual += [-value, *([1 / value] if value else [])]
        plain = [float(f"{n:.12g}") for n in usual]
        return [n for n in dict.fromkeys((*known, *plain, *USUAL)) if n != value]
    if isinstance(value, str):
        return [word for words in WORDS if value in words for word in words if word != value]
    return []


def _numbers(spot: Spot) -> set[float]:
    """The numbers that the other side's operations are called with: those near by, of a threshold all that end there.

    What ends at a number that nothing comes to makes what it takes, so that nothing is near by.
    """
    ends = spot.operation.name in ENDS and spot.operation.name not in SUMS
    near = [*spot.near, *(one for one in spot.there.operations if ends and one.name.lower() in ENDS)]
    values = [value for operation in near for value in operation.settings.values()]
    return {float(n) for value in values for n in flat(value) if type(n) in (int, float) and np.isfinite(n)}


def moved(value: Sequence[Any], known: Sequence[float]) -> Iterator[list[Any]]:
    """Slices of the same lengths that begin elsewhere, along several axes: by a place or two, or at a known number."""
    places = [at for at, one in enumerate(value) if isinstance(one, slice) and type(one.start) is type(one.stop) is int]
    if len(places) < 2:
        return
    numbers = {int(one) for one in known if one >= 0 and one == int(one)}
    starts = [[*{value[at].start, *numbers, *(value[at].start + by for by in (-2, -1, 1, 2))}] for at in places]
    if np.prod([len(of) for of in starts]) > MANY:
        starts = [[value[at].start + by for by in (-1, 0, 1)] for at in places]
    for chosen in product(*starts):
        moved = [*value]
        for at, start in zip(places, chosen, strict=True):
            one = value[at]
            moved[at] = slice(start, one.stop - one.start + start, one.step)
        if min(chosen) >= 0 and moved != [*value]:
            yield moved


def slices(spot: Spot, value: Any) -> Iterator[slice]:
    """The slice begins or ends elsewhere, by one place or two, or takes each of several."""
    if not isinstance(value, slice):
        return
    start, stop, step = value.start, value.stop, value.step
    if not all(one is None or type(one) is int for one in (start, stop, step)):
        return
    for by in (1, -1, 2, -2):
        begins = max((start or 0) + by, 0) if (start or 0) >= 0 else start + by
        ends = None if stop is None or (stop + by == 0 and stop < 0) else stop + by
        yield from (slice(begins, ends, step), slice(begins, stop, step), slice(start, ends, step))
    yield from (slice(None, None, step), slice(start, stop, 2), slice(start, stop, None))
    if start and stop is None:  # the other end
        yield from (slice(None, -start, step), slice(None, start, step))
    if stop is not None and not start:
        yield from (slice(-stop, None, step), slice(stop, None, step))
    for length in spot.values[spot.operation.operands[0]].shape if spot.operation.takes else ():
        yield from (slice(None, length // 2), slice(length // 2, None), slice(None, None, 2), slice(1, None, 2))


def indices(spot: Spot, value: Any) -> Iterator[int]:
    """Any place along an axis, of a whole number that may be one."""
    if type(value) is int:
        lengths = {length for place in spot.operation.operands for length in spot.values[place].shape}
        yield from (length - 1 for length in lengths if length - 1 != value)
        if spot.operation.name == "__getitem__":
            yield from (place for place in range(min(max(lengths, default=0), 16)) if place != value)
