"""A function that torch's run computes by operations of its own, in whose place TensorFlow has another one."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Operation
from parity.canonical.activations import FUNCTIONS, PROBABILITIES, Function, along, written
from parity.diagnose.operators.operands import passed
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called
from parity.diagnose.search import within
from parity.dtypes import Array

REACH = 12  # operations of a formula


def instead(spot: Spot) -> Iterator[Proposal]:
    """Propose a known function of one value, or that value itself, in the place of what torch makes of it alone.

    By one operation or by a chain of up to `REACH`, whose last result has the value's shape.
    """
    values, sources = spot.run.trace.values, {place for _, place in spot.operation.takes if not _constant(spot, place)}
    if len(sources) != 1:
        return
    [source] = sources
    array = values[source].array
    if array is None or array.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):  # a function that does nothing to these numbers, as a ReLU above 0, says nothing
        functions = [(name, change) for name, change in FUNCTIONS.items() if not np.array_equal(change(array), array)]
    chain = _chain(spot, source)
    for number in chain:
        last = spot.run.trace.operations[number]
        leaves = enumerate(spot.run.leaves(number))
        leaf = next((n for n, of in leaves if of.place is not None and values[of.place].shape == array.shape), None)
        result = values[last.makes[0]].array if len(last.makes) == 1 else None
        if leaf is None or result is None or result.shape != array.shape:
            continue
        if (np.isfinite(array) & ~np.isfinite(result)).any():  # what is out of range says nothing of its function
            continue
        if number != spot.number:  # of a single operation that is `omitted`
            yield _left_out(spot, source, last, (number, leaf))
        own = _over_some_axis(array, result, spot.alignment.digits)
        for name, function in (*functions, *along(array.ndim)):
            yield _function(spot, source, last, (number, leaf), name, function, own)


def _over_some_axis(array: Array, result: Array, digits: float) -> set[str]:
    """Of which functions over an axis, any of the array's, the result is one: softmax, whatever operations it is."""
    limit = digits * float(np.abs(result[np.isfinite(result)]).max(initial=0.0))
    with np.errstate(all="ignore"):  # what a mask hides
        known = [name for name, function in along(array.ndim + 1) if within(function(array), result, limit)]
    return {name.partition(" over ")[0] for name in known}


def _function(
    spot: Spot, source: int, last: Operation, leaf: tuple[int, int], name: str, function: Function, own: set[str]
) -> Proposal:
    """The proposal that `function` of the value `source` stands in the place of the chain up to `last`.

    `leaf` is (operation's number, place of a leaf of the value's shape), through which the value is taken; `own` what
    the chain is over an axis.
    """
    chain = called(spot.operation) + (f" ... {called(last)}" if last is not spot.operation else "")
    cause = "softmax axis" if "softmax" in name and name.partition(" over ")[0] in own else "activation"
    fix = f"{written(name)} in torch{at(last)}, or in tensorflow what {chain} does"
    description = f"torch does {chain}{at(last)} with {spot.origin(source)}"
    if name.startswith(PROBABILITIES):
        cause, fix = "from_logits", "from_logits=True of Keras's loss, or give both losses probabilities"
        description += ", for logits; tensorflow takes them for probabilities"
    return Proposal(
        always(Edit(*leaf, take=source), Edit(leaf[0], None, partial(_of, leaf[1], function))),
        cause,
        f"{description}; with {name} in its place it makes what tensorflow does{spot.by}",
        fix,
    )


def _left_out(spot: Spot, source: int, last: Operation, leaf: tuple[int, int]) -> Proposal:
    """The proposal that the chain up to `last` is skipped: what takes its result takes the value `source`."""
    chain = f"{called(spot.operation)} ... {called(last)}{at(last)}"
    return Proposal(
        always(Edit(*leaf, take=source), Edit(leaf[0], None, partial(passed, leaf[1]))),
        "extra operation",
        f"torch does {chain} with {spot.origin(source)}, and tensorflow does not{spot.by}",
        f"leave out {chain} in torch, or do the same in tensorflow",
        subject=f"{spot.operation.name} ... {last.name} in torch alone",
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
