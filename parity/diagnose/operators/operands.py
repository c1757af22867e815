"""Other operands of an operation: left out, a function of themselves, taken from elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations, permutations
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Leaf, Operation
from parity.diagnose.operators.names import of_omission
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called, equal, hides
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
    values, operation = spot.run.trace.values, spot.operation
    if len(operation.makes) != 1:
        return
    shape = values[operation.makes[0]].shape
    for place, leaf in enumerate(spot.leaves):
        if leaf.place is not None and (values[leaf.place].shape == shape or spot.reorders):
            others = [spot.origin(one) for _, one in operation.takes if one != leaf.place]
            by = f" by {', '.join(others)}" if others else ""
            hidden = any(hides(operation, values[one].array) for _, one in operation.takes if one != leaf.place)
            there = f", which goes on with {called(spot.parted[0])}{at(spot.parted[0])}" if spot.parted else ""
            yield Proposal(
                always(Edit(spot.number, None, partial(passed, place))),
                "mask missing" if hidden else of_omission(spot.run.trace, operation, leaf.place),
                f"torch does {spot.placed(called(operation) + by)}; it is missing in tensorflow{there}",
                f"do {called(operation)}{by} in tensorflow too{at(spot.parted[0]) if spot.parted else ''}, or leave it "
                f"out in torch{spot.place}",
                subject=f"{operation.name} in torch alone",
            )


def inverted(spot: Spot) -> Iterator[Proposal]:
    """Propose that a mask or a condition is the inverse of itself."""
    yield from functions(spot, kinds="b")


def _tells(spot: Spot, place: int) -> bool:
    """Whether a value of torch's says of which function another is: constants of few numbers are many by chance.

    0 and 1/2, the steps of a table, have 0 and 1/4 as their squares and as their halves.
    """
    value = spot.run.trace.values[place]
    if value.array is None or value.array.dtype.kind == "b":
        return value.array is not None
    different = int(np.count_nonzero(value.ordered[1:] != value.ordered[:-1])) + 1  # no difference of infinities
    return different >= FEWEST or place not in spot.alignment.constants[0]


def functions(spot: Spot, kinds: str = "bf") -> Iterator[Proposal]:
    """Propose that an operand is another function of itself, of those of some dtypes' kinds."""
    operation = spot.operation
    for place, leaf in enumerate(spot.leaves):
        array = None if leaf.place is None else spot.run.trace.values[leaf.place].array
        changes: dict[str, Callable[[Array], Array]] = {}
        if array is not None and array.dtype.kind in kinds and _tells(spot, leaf.place or 0):
            changes = PLAIN if array.dtype.kind == "f" else {"inverse": np.logical_not}
        for what, change in changes.items():
            argument = f"{spot.argument(place)} of {operation.name}"
            meaning = MEANING.get(what, "")
            yield Proposal(
                always(Edit(spot.number, place, partial(changed, place, change))),
                "operand",
                f"the {argument} is {_which(operation, leaf)} in torch{spot.place}, and its {what} in tensorflow"
                f"{spot.by}{meaning}",
                f"one side takes the {argument} as it is, the other its {what}{meaning}",
                subject=f"the {what} of the {argument} in tensorflow",
                only=LONE.get(what, ""),
            )


def of_results(spot: Spot) -> Iterator[Proposal]:
    """Propose that what an operation makes is another function of itself."""
    operation = spot.operation
    value = spot.run.trace.values[operation.makes[0]].array if len(operation.makes) == 1 else None
    known = value is not None and value.dtype.kind == "f" and _tells(spot, operation.makes[0])
    for what, change in PLAIN.items() if known else ():
        meaning = MEANING.get(what, "")
        yield Proposal(
            always(Edit(spot.number, after=partial(_of_result, change))),
            "operand",
            f"what {called(operation)}{spot.place} makes goes on as it is in torch, and as its {what} in tensorflow"
            f"{spot.by}{meaning}",
            f"one side goes on with the {what} of {called(operation)}{spot.place}, the other does not{meaning}",
            subject=f"the {what} of {operation.name} in tensorflow",
        )


def _of_result(change: Callable[[Array], Array], array: Array) -> Array:
    """A function of what an operation makes; ValueError where that is no number any more."""
    result = change(array)
    # A root of a negative number, or 1 / 0: nobody computes that in the place of what is finite.
    if np.isfinite(array).all() and not np.isfinite(result).all():
        raise ValueError("no function of this result")
    return result


def _which(operation: Operation, leaf: Leaf) -> str:
    """What an operand is called: that of the layer's call, or "as it is"."""
    return f"what {operation.layer} is given" if operation.layer and leaf.argument in ("input", "self") else "as it is"


def elsewhere(spot: Spot) -> Iterator[Proposal]:
    """An operand is another value of the run: one that TensorFlow's operations take, or another of its own operands."""
    values, operation = spot.run.trace.values, spot.operation
    leaves = [(at, leaf.argument, leaf.place) for at, leaf in enumerate(spot.leaves) if leaf.place is not None]
    yield from _out_of_place(spot)
    first_made = min(operation.makes)
    # Values that TensorFlow's operations near by take, as torch's run has them: what a port could have meant.
    taken_there = [place for other in spot.near for _, place in other.takes]
    twins = [twin for place in taken_there for twin in sorted(spot.alignment.twins[1].get(place, ()))]
    own = {place for _, _, place in leaves}
    for leaf_at, argument, here in leaves:
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
                always(Edit(spot.number, leaf_at, take=place)),
                cause,
                f"the {argument} of {operation.name}{spot.place} is {mine} in torch, and {theirs} in tensorflow"
                f"{spot.by}",
                f"give {operation.name}{spot.place} the same {argument} on both sides: {mine}, or {theirs}",
                subject=f"another {argument} of {operation.name}",
            )


def _for_all(spot: Spot, here: int, place: int, cause: str, origins: tuple[str, str]) -> Iterator[Proposal]:
    """The proposal that whatever takes a value of torch's run takes another, where several operations do."""
    takers = [
        (number, leaf) for number, leaf in spot.takers(here) if min(spot.run.trace.operations[number].makes) > place
    ]
    if len({number for number, _ in takers}) < 2:
        return
    mine, theirs = origins
    yield Proposal(
        always(*(Edit(number, leaf, take=place) for number, leaf in takers)),
        cause,
        f"torch goes on with {mine}, and tensorflow with {theirs}{spot.by}; so in {len(takers)} places",
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
    pairs = [(one, two) for (_, one), (_, two) in zip(of.takes, makers[1].takes, strict=False) if one != two]
    sources = [", ".join(spot.origin(both[side]) for both in pairs) for side in (0, 1)]
    if sources[0] != sources[1]:
        return f"{texts[0]} of {sources[0]}", f"{texts[1]} of {sources[1]}"
    alike = [
        one for one in spot.run.trace.operations if (one.name, one.line, one.layer) == (of.name, of.line, of.layer)
    ]
    turns = [next((n for n, one in enumerate(alike, 1) if one is maker), 0) for maker in makers]
    return f"{texts[0]}, turn {turns[0]} of {len(alike)}", f"{texts[1]}, turn {turns[1]}"


def _out_of_place(spot: Spot) -> Iterator[Proposal]:
    operation = spot.operation
    for order in _exchanged(spot):
        names = " and ".join(f"{spot.argument(leaf)} ({spot.origin(spot.leaves[leaf].place or 0)})" for leaf in order)
        behind = ", ".join(map(spot.argument, order.values()))
        turned = "in each other's place" if len(order) == 2 else f"in the order {behind}"
        yield Proposal(
            always(*(Edit(spot.number, leaf, take=spot.leaves[other].place) for leaf, other in order.items())),
            "order",
            f"the operands {names} of {operation.name}{spot.place} stand {turned} in tensorflow{spot.by}",
            f"give {operation.name}{spot.place} its operands in one order on both sides",
        )


def _exchanged(spot: Spot) -> Iterator[dict[int, int]]:
    """Leaf -> the leaf in whose place it is: two of one shape or of one list; those of a short list in any order."""
    values, lists = spot.run.trace.values, dict[str, list[int]]()
    places = {leaf: one.place for leaf, one in enumerate(spot.leaves) if one.place is not None}
    for leaf in places:
        lists.setdefault(spot.leaves[leaf].argument, []).append(leaf)
    for one, two in combinations(places, 2):
        listed = spot.leaves[one].argument == spot.leaves[two].argument
        shaped = values[places[one]].shape == values[places[two]].shape
        if (listed or shaped) and places[one] != places[two]:
            yield {one: two, two: one}
    for of in lists.values():
        for order in permutations(of) if 2 < len(of) <= LIST else ():
            moved = {leaf: other for leaf, other in zip(of, order, strict=True) if leaf != other}
            if len(moved) > 2:
                yield moved


def parts(spot: Spot) -> Iterator[Proposal]:
    """Two values stand in each other's place: results of one operation, as a gate's halves, or z and 1 - z."""
    values, makes, here = spot.run.trace.values, spot.operation.makes, f"{called(spot.operation)}{spot.place}"
    for one, two in combinations(range(len(makes)), 2):
        if values[makes[one]].shape == values[makes[two]].shape:
            fix = f"take what {spot.operation.name}{spot.place} makes in one order on both sides"
            for numbers in dict.fromkeys((tuple(spot.alike(spot.number)), (spot.number,))):
                of_each = [spot.run.trace.operations[number].makes for number in numbers]
                pairs = [both for of in of_each for both in ((of[one], of[two]), (of[two], of[one]))]
                edits = [Edit(at, leaf, take=other) for of, other in pairs for at, leaf in spot.takers(of)]
                more = f"; so in {len(numbers)} places" if len(numbers) > 1 else ""
                yield from _in_turn(spot, edits, f"results {one} and {two} of {here}", fix, more)
    operands = [place for _, place in spot.operation.takes]
    if len(makes) == len(operands) == 1 and not values[operands[0]].leaf:
        [operand], [result] = operands, makes
        array = values[operand].array
        if array is not None and array.dtype.kind == "f" and array.shape == values[result].shape:
            yield from _made_and_its_source(spot, operand, result)


def _made_and_its_source(spot: Spot, operand: int, result: int) -> Iterator[Proposal]:
    """What an operation makes, and what of, in each other's place: wherever they are taken, or at its line alone."""
    operations, here = spot.run.trace.operations, f"{called(spot.operation)}{spot.place}"
    rest = [(number, leaf) for number, leaf in spot.takers(operand) if number != spot.number]
    takers = rest, spot.takers(result)
    near = tuple([of for of in some if operations[of[0]].line == spot.operation.line] for some in takers)
    source = spot.origin(operand)
    for rest, back in (takers, near) if near != takers else (takers,):
        where = spot.place if (rest, back) == near else ""
        fix = f"exchange {called(spot.operation)} and {source}{where} in torch, or their counterparts in tensorflow"
        edits = [Edit(number, leaf, partial(_through, spot, leaf)) for number, leaf in rest]
        edits += [Edit(number, leaf, take=operand) for number, leaf in back]
        if rest and back:
            yield from _in_turn(spot, edits, f"{here} and {source}, of which it is made,", fix)


def _through(spot: Spot, leaf: int, arguments: Sequence[Any]) -> Array:
    return spot.run.through(spot.number, arguments[leaf])


def _in_turn(spot: Spot, edits: Sequence[Edit], both: str, fix: str, more: str = "") -> Iterator[Proposal]:
    if edits:
        description = f"{both} stand in each other's place in tensorflow{spot.by}{more}"
        yield Proposal(always(*edits), "order", description, fix)


def _made_of(spot: Spot, place: int) -> str:
    """Where a value comes from, with what has reordered it last."""
    maker = next((one for one in spot.run.trace.operations if place in one.makes and len(one.takes) == 1), None)
    known = maker and equal(spot.run.trace.values[maker.takes[0][1]], spot.run.trace.values[place])
    return f"{called(maker)}{at(maker)} of {spot.origin(place)}" if maker and known else spot.origin(place)


def passed(place: int, arguments: Sequence[Any]) -> Any:
    """One argument as it is: what an operation makes that does nothing."""
    return np.array(arguments[place])


def changed(place: int, change: Callable[[Array], Array], arguments: Sequence[Any]) -> Any:
    """A function of one argument. Raises ValueError where it makes numbers that are not finite of finite ones."""
    result = change(arguments[place])
    if np.isfinite(arguments[place]).all() and not np.isfinite(result).all():
        raise ValueError("no function of this operand")  # 1 / 0 has a sign, which 0 has not
    return result
