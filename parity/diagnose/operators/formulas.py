"""A function that torch's run computes by operations of its own, in whose place TensorFlow has another one."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from parity.backends.operations import Edit, Operation
from parity.canonical.activations import FUNCTIONS, Function, along, written
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called
from parity.dtypes import Array

REACH = 12  # operations of a formula


def instead(spot: Spot) -> Iterator[Proposal]:
    """Propose a known function of one value in the place of what torch makes of that value alone.

    By one operation or by a chain of up to `REACH`, whose last result has the value's shape.
    """
    values, sources = spot.run.trace.values, {place for _, place in spot.operation.takes if not _constant(spot, place)}
    if len(sources) != 1:
        return
    [source] = sources
    array = values[source].array
    if array is None or array.dtype.kind != "f":
        return
    functions = [(name, change) for name, change in FUNCTIONS.items() if name != "identity"]
    for number in _chain(spot, source):
        last = spot.run.trace.operations[number]
        leaves = enumerate(spot.run.leaves(number))
        leaf = next((n for n, of in leaves if of.place is not None and values[of.place].shape == array.shape), None)
        if leaf is None or len(last.makes) != 1 or values[last.makes[0]].shape != array.shape:
            continue
        for name, function in (*functions, *along(array.ndim)):
            yield _function(spot, source, last, (number, leaf), name, function)


def _function(
    spot: Spot, source: int, last: Operation, leaf: tuple[int, int], name: str, function: Function
) -> Proposal:
    """The proposal that `function` of the value `source` stands in the place of the chain up to `last`.

    `leaf` is (operation's number, place of a leaf of the value's shape), through which the value is taken.
    """
    chain = called(spot.operation) + (f" ... {called(last)}" if last is not spot.operation else "")
    return Proposal(
        always(Edit(*leaf, take=source), Edit(leaf[0], None, partial(_of, leaf[1], function))),
        "softmax axis" if "softmax" in name else "activation",
        f"torch does {chain}{at(last)} with {spot.origin(source)}; with {name} in its place it makes what tensorflow "
        f"does{spot.by}",
        f"{written(name)} in torch{at(last)}, or in tensorflow what {chain} does",
    )


def _chain(spot: Spot, source: int) -> list[int]:
    """The operations from this one on that take that value, what they have made of it, and constants."""
    known, chain = {source}, list[int]()
    for number, one in enumerate(spot.run.trace.operations[spot.number : spot.number + REACH], spot.number):
        takes = {place for _, place in one.takes if not _constant(spot, place)}
        if takes and takes <= known:
            known |= {*one.makes}
            chain.append(number)
    return chain


def _constant(spot: Spot, place: int) -> bool:
    return spot.run.trace.values[place].leaf == "constant"


def _of(leaf: int, function: Function, arguments: Sequence[Any]) -> Array:
    return function(arguments[leaf])
