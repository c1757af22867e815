"""Other operands of an operation: left out, a function of themselves, taken from elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations, permutations

import numpy as np

from parity.backends.operations import Edit, Leaf, Operation
from parity.diagnose.operators.names import hides, of_omission
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called, changed, cited, equal, passed, so_in
from parity.dtypes import Array

PLAIN: dict[str, Callable[[Array], Array]] = {
    "negative": np.negative,
    "square": np.square,
    "root": np.sqrt,
    "inverse": np.reciprocal,
    "exponential": np.exp,
    "logarithm": np.log,
}
MEANING = {
    "square": ", as the variance is of a standard deviation",
    "root": ", as the standard deviation (std) is of a variance",
}
# A sign that an operation turns is known as that operation. Without one it is a symmetry's half, as of a loss that is
# the same of the other class and the negative logit, and nobody wrote it.
LONE = {"negative": "alone"}
LIST = 4  # operands at most of a list, as of cat, that are tried in any order
FEWEST = 4  # different numbers that tell a function
FEW = 8  # values that are tried in an operand's place


def omitted(spot: Spot) -> Iterator[Proposal]:
    """Propose that the operation is dropped: one of its operands passes."""
    values, operation = spot.values, spot.operation
    if len(operation.makes) != 1:
        return
    shape = values[operation.makes[0]].shape
    for leaf, place in spot.operands.items():
        if values[place].shape == shape or spot.reorders:
            others = [one for one in operation.operands if one != place]
            by = f" by {', '.join(map(spot.origin, others))}" if others else ""
            line = "" if by.endswith(spot.place) else spot.place
            hidden = any(hides(operation, values[one].array) for one in others)
            there = f", which goes on with {cited(spot.parted[0])}" if spot.parted else ""
            yield Proposal(
                always(passed(spot.number, leaf)),
                "mask missing" if hidden else of_omission(spot.run.trace, operation, place),
                f"torch does {called(operation)}{by}{line}; it is missing in tensorflow{there}",
                f"do {called(operation)}{by} in tensorflow too{at(spot.parted[0]) if spot.parted else ''}, or leave it "
                f"out in torch{spot.place}",
                subject=f"{operation.name} in torch alone",
                without=operation.name,
            )


def inverted(spot: Spot) -> Iterator[Proposal]:
    """Propose that a mask or a condition is the inverse of itself."""
    yield from functions(spot, kinds="b")


def _tells(spot: Spot, place: int) -> bool:
    """Whether a value of torch's says of which function another is: constants of few numbers are many by chance.

    0 and 1/2, the steps of a table, have 0 and 1/4 as their squares and as their halves.
    """
    value = spot.values[place]
    if value.array is None or value.array.dtype.kind == "b":
        return value.array is not None
    different = int(np.count_nonzero(value.ordered[1:] != value.ordered[:-1])) + 1  # no difference of infinities
    return different >= FEWEST or place not in spot.alignment.constants[0]


def functions(spot: Spot, kinds: str = "bf") -> Iterator[Proposal]:
    """Propose that an operand is another function of itself, of those of some dtypes' kinds."""
    operation = spot.operation
    for leaf, array in spot.arrays.items():
        if array.dtype.kind not in kinds or not _tells(spot, spot.operands[leaf]):
            continue
        changes = PLAIN if array.dtype.kind == "f" else {"inverse": np.logical_not}
        for what, change in changes.items():
            argument = f"{spot.argument(leaf)} of {operation.name}"
            meaning = MEANING.get(what, "")
            yield Proposal(
                always(changed(spot.number, leaf, partial(_finite, change))),
                "operand",
                f"the {argument} is {_which(operation, spot.leaves[leaf])} in torch{spot.place}, and its {what} in "
                f"tensorflow{spot.by}{meaning}",
                f"one side takes the {argument} as it is, the other its {what}{meaning}",
                subject=f"the {what} of the {argument} in tensorflow",
                only=LONE.get(what, ""),
            )


def of_results(spot: Spot) -> Iterator[Proposal]:
    """Propose that what an operation makes is another function of itself."""
    array = spot.result
    known = array is not None and array.dtype.kind == "f" and _tells(spot, spot.operation.makes[0])
    for what, change in PLAIN.items() if known else ():
        meaning = MEANING.get(what, "")
        yield Proposal(
            always(Edit(spot.number, after=partial(_finite, change))),
            "operand",
            f"what {spot.here} makes goes on as it is in torch, and as its {what} in tensorflow{spot.by}{meaning}",
            f"one side goes on with the {what} of {spot.here}, the other does not{meaning}",
            subject=f"the {what} of {spot.operation.name} in tensorflow",
        )


def _finite(change: Callable[[Array], Array], array: Array) -> Array:
    """A function of an array. Raises ValueError where it makes numbers that are not finite of finite ones."""
    result = change(array)
    # A root of a negative number, or 1 / 0: nobody computes that in the place of what is finite, and 1 / 0 has a sign,
    # which 0 has not.
    if np.isfinite(array).all() and not np.isfinite(result).all():
        raise ValueError("no function of these numbers")
    return result


def _which(operation: Operation, leaf: Leaf) -> str:
    """What an operand is called: that of the layer's call, or "as it is"."""
    return f"what {operation.layer} is given" if operation.layer and leaf.argument in ("input", "self") else "as it is"


def elsewhere(spot: Spot) -> Iterator[Proposal]:
    """An operand is another value of the run: one that TensorFlow's operations take, or another of its own operands."""
    values, operation = spot.values, spot.operation
    yield from _out_of_place(spot)
    first_made = min(operation.makes)
    # Values that TensorFlow's operations near by take, as torch's run has them: what a port could have meant.
    taken_there = [place for other in spot.near for place in other.operands]
    twins = [twin for place in taken_there for twin in sorted(spot.alignment.twins[1].get(place, ()))]
    own = {*spot.operands.values()}
    for leaf, here in spot.operands.items():
        argument = spot.leaves[leaf].argument
        candidates = [place for place in dict.fromkeys(twins) if place < first_made and place not in own]
        candidates += [place for place in own if place != here]  # which the operation takes twice then
        alike = [place for place in candidates if values[place].shape == values[here].shape]
        for place in alike[:FEW]:
            both = values[here].array, values[place].array
            # Of the same numbers, what has reordered them.
            same = equal(values[here], values[place]) and any(
                _made_of(spot, of) != spot.origin(of) for of in (here, place)
            )
            origin = _made_of if same else Spot.origin
            mine, theirs = _told_apart(spot, here, place, origin)
            hidden = any(hides(operation, array) for array in both)
            cause = "order" if origin is _made_of else "mask value" if hidden else "operand"
            yield from _for_all(spot, here, place, cause, (mine, theirs))
            yield Proposal(
                always(Edit(spot.number, leaf, take=place)),
                cause,
                f"the {argument} of {operation.name}{spot.place} is {mine} in torch, and {theirs} in tensorflow"
                f"{spot.by}",
                f"give {operation.name}{spot.place} the same {argument} on both sides: {mine}, or {theirs}",
                subject=f"another {argument} of {operation.name}",
            )


def _for_all(spot: Spot, here: int, place: int, cause: str, origins: tuple[str, str]) -> Iterator[Proposal]:
    """The proposal that whatever takes a value of torch's run takes another, where several operations do."""
    takers = [(number, leaf) for number, leaf in spot.takers(here) if min(spot.operations[number].makes) > place]
    if len({number for number, _ in takers}) < 2:
        return
    mine, theirs = origins
    yield Proposal(
        always(*(Edit(number, leaf, take=place) for number, leaf in takers)),
        cause,
        f"torch goes on with {mine}, and tensorflow with {theirs}{spot.by}{so_in(len(takers))}",
        f"go on with the same on both sides: {mine}, or {theirs}",
        subject=f"{theirs} in tensorflow",
    )


def _told_apart(spot: Spot, here: int, place: int, origin: Callable[[Spot, int], str]) -> tuple[str, str]:
    """Where two values come from; where one line made both, with what of, or with the turns of a loop."""
    texts = origin(spot, here), origin(spot, place)
    makers = [maker for of in (here, place) if (maker := spot.run.trace.makers().get(of))]
    if texts[0] != texts[1] or len(makers) < 2:
        return texts
    of = makers[0]
    pairs = [(one, two) for one, two in zip(of.operands, makers[1].operands, strict=False) if one != two]
    sources = [", ".join(spot.origin(both[side]) for both in pairs) for side in (0, 1)]
    if sources[0] != sources[1]:
        return f"{texts[0]} of {sources[0]}", f"{texts[1]} of {sources[1]}"
    alike = [one for one in spot.operations if (one.name, one.line, one.layer) == (of.name, of.line, of.layer)]
    turns = [next((n for n, one in enumerate(alike, 1) if one is maker), 0) for maker in makers]
    return f"{texts[0]}, turn {turns[0]} of {len(alike)}", f"{texts[1]}, turn {turns[1]}"


def _out_of_place(spot: Spot) -> Iterator[Proposal]:
    operation = spot.operation
    for order in _exchanged(spot):
        names = " and ".join(f"{spot.argument(leaf)} ({spot.origin(spot.operands[leaf])})" for leaf in order)
        behind = ", ".join(map(spot.argument, order.values()))
        turned = "in each other's place" if len(order) == 2 else f"in the order {behind}"
        yield Proposal(
            always(*(Edit(spot.number, leaf, take=spot.operands[other]) for leaf, other in order.items())),
            "order",
            f"the operands {names} of {operation.name}{spot.place} stand {turned} in tensorflow{spot.by}",
            f"give {operation.name}{spot.place} its operands in one order on both sides",
        )


def _exchanged(spot: Spot) -> Iterator[dict[int, int]]:
    """Leaf -> the leaf in whose place it is: two of one shape or of one list; those of a short list in any order."""
    places = spot.operands
    for one, two in combinations(places, 2):
        listed = spot.leaves[one].argument == spot.leaves[two].argument
        shaped = spot.values[places[one]].shape == spot.values[places[two]].shape
        if (listed or shaped) and places[one] != places[two]:
            yield {one: two, two: one}
    for argument in dict.fromkeys(spot.leaves[leaf].argument for leaf in places):
        of = spot.tensors(argument)
        for order in permutations(of) if 2 < len(of) <= LIST else ():
            moved = {leaf: other for leaf, other in zip(of, order, strict=True) if leaf != other}
            if len(moved) > 2:
                yield moved


def parts(spot: Spot) -> Iterator[Proposal]:
    """Two values stand in each other's place: results of one operation, as a gate's halves, or z and 1 - z."""
    values, makes = spot.values, spot.operation.makes
    for one, two in combinations(range(len(makes)), 2):
        if values[makes[one]].shape == values[makes[two]].shape:
            fix = f"take what {spot.operation.name}{spot.place} makes in one order on both sides"
            for numbers in dict.fromkeys((tuple(spot.alike(spot.number)), (spot.number,))):
                of_each = [spot.operations[number].makes for number in numbers]
                pairs = [both for of in of_each for both in ((of[one], of[two]), (of[two], of[one]))]
                edits = [Edit(at, leaf, take=other) for of, other in pairs for at, leaf in spot.takers(of)]
                yield from _in_turn(spot, edits, f"results {one} and {two} of {spot.here}", fix, so_in(len(numbers)))
    operands = [*spot.operation.operands]
    if len(makes) == len(operands) == 1 and not values[operands[0]].leaf:
        [operand], [result] = operands, makes
        array = values[operand].array
        if array is not None and array.dtype.kind == "f" and array.shape == values[result].shape:
            yield from _made_and_its_source(spot, operand, result)


def _made_and_its_source(spot: Spot, operand: int, result: int) -> Iterator[Proposal]:
    """What an operation makes, and what of, in each other's place: wherever they are taken, or at its line alone."""
    rest = [(number, leaf) for number, leaf in spot.takers(operand) if number != spot.number]
    takers = rest, spot.takers(result)
    near = tuple([of for of in some if spot.operations[of[0]].line == spot.operation.line] for some in takers)
    source = spot.origin(operand)
    for rest, back in (takers, near) if near != takers else (takers,):
        where = spot.place if (rest, back) == near else ""
        fix = f"exchange {called(spot.operation)} and {source}{where} in torch, or their counterparts in tensorflow"
        edits = [changed(number, leaf, partial(spot.run.through, spot.number)) for number, leaf in rest]
        edits += [Edit(number, leaf, take=operand) for number, leaf in back]
        if rest and back:
            yield from _in_turn(spot, edits, f"{spot.here} and {source}, of which it is made,", fix)


def _in_turn(spot: Spot, edits: Sequence[Edit], both: str, fix: str, more: str = "") -> Iterator[Proposal]:
    if edits:
        description = f"{both} stand in each other's place in tensorflow{spot.by}{more}"
        yield Proposal(always(*edits), "order", description, fix)


def _made_of(spot: Spot, place: int) -> str:
    """Where a value comes from, with what has reordered it last."""
    maker = next((one for one in spot.operations if place in one.makes and len(one.takes) == 1), None)
    known = maker and equal(spot.values[maker.operands[0]], spot.values[place])
    return f"{cited(maker)} of {spot.origin(place)}" if maker and known else spot.origin(place)
