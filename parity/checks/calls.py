"""How a model is called changes nothing: a second time, outside tf.function, in training mode.

A second call gives identical bits, and no call in evaluation mode changes a parameter. In training
mode the sides are compared where neither draws at random, as dropout does; where one does and the
other does not, that is a finding.
"""

import numpy as np
import optree
from hypothesis.strategies import SearchStrategy

from parity import strategies
from parity.backends import SIDES
from parity.batch import Batch
from parity.corners import Corners
from parity.layers import Array
from parity.runs import Square
from parity.square import Verdict, exact, judge

SHARE = 5


def examples(corners: Corners) -> SearchStrategy[strategies.Example]:
    return strategies.examples(corners)


def verify(corners: Corners, example: strategies.Example) -> list[Verdict]:
    corners.ensure(example.weights)
    batch, before = corners.batch(example), _held(corners)
    once, again, eager = corners.outputs(batch), corners.outputs(batch), corners.outputs(batch, eager=True)
    verdicts = []
    for name, square in once.items():
        verdicts += [
            exact(f"{run} {name}, called twice", first, second, ("first", "second"))
            for (run, _, first), (_, _, second) in zip(square.present, again[name].present, strict=True)
        ]
        for side in SIDES:
            own = Square.within(side, square, eager[name], ("as called", "called eagerly"))
            verdicts.append(judge(f"{side} {name} outside a graph", own, places=batch.mask))
    verdicts += [
        exact(f"{subject} after calls", before[subject], array, ("before", "after"))
        for subject, array in _held(corners).items()
    ]
    batch = _trainable(batch)
    trained, again = (corners.outputs(batch, eager=True, training=True) for _ in range(2))
    corners.load(example.weights)  # batch normalization keeps what it has seen
    for name, square in trained.items():
        verdicts += _training(name, square, again[name], batch.mask)
    return verdicts


def _held(corners: Corners) -> dict[str, Array]:
    return {f"{side} {name}": array for side in SIDES for name, array in corners.models[side, "float32"].read().items()}


def _trainable(batch: Batch) -> Batch:
    """A lone row twice: batch normalization refuses a single value, which has no variance."""
    leaves = optree.tree_leaves(batch.ids)
    if len(leaves[0]) > 1:
        return batch
    ids = optree.tree_map(lambda array: np.repeat(array, 2, 0), batch.ids)
    return Batch(ids, None, None if batch.mask is None else np.repeat(batch.mask, 2, 0))


def _training(name: str, trained: Square, again: Square, mask: Array | None) -> list[Verdict]:
    random = [
        not np.array_equal(first, second, equal_nan=True)
        for (_, dtype, first), (_, _, second) in zip(trained.present, again.present, strict=True)
        if dtype == "float32"
    ]
    one, other = (np.array([drawn]) for drawn in random)
    verdicts = [exact("whether training mode draws at random", one, other, trained.sides)]
    if not any(random):
        verdicts.append(judge(f"{name} in training mode", trained, places=mask))
    return verdicts
