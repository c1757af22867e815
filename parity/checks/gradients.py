"""Both sides give every parameter the same gradient of the loss, of texts the masked mean.

Differences are measured against the norm of all gradients together, because a gradient that is
mathematically zero holds nothing but rounding. What is frozen on one side is frozen on the other.
"""

import numpy as np
from hypothesis.strategies import SearchStrategy

from parity import strategies
from parity.backends.protocol import Trainable
from parity.checks.stage import Stage
from parity.compare.judge import Verdict, judge_exact
from parity.compare.square import norm
from parity.pair.answer import Answer
from parity.pair.models import PairModels

NEEDS = (Trainable,)
STAGE = Stage.GRADIENTS
FAILED = "gradients differ"
COST = 2


def examples(corners: PairModels) -> SearchStrategy[strategies.Example]:
    return strategies.examples(corners, edges=False)  # at a tie or a zero a derivative may not exist


def verify(corners: PairModels, example: strategies.Example) -> list[Verdict]:
    """Judge every parameter's gradient against the norm of all."""
    corners.ensure(example.weights)
    batch = corners.batch(example)
    gradients = corners.gradients(batch.ids, batch.targets)
    # A parameter that no example moves has passed no check of gradients: the report says so.
    corners.exercised.moved(gradients)
    scale = norm(gradients)
    return [_judged(name, square, scale) for name, square in gradients.items()]


def _judged(name: str, square: Answer, scale: float) -> Verdict:
    """Judge one gradient by `scale`, the norm of all; of a parameter that one side alone trains, that it does.

    A frozen parameter's gradient comes as an empty array.
    """
    trained = [np.array([run is not None and run.size > 0]) for run in square.rows["float32"]]
    if trained[0] != trained[1]:
        return judge_exact(f"whether {name} is trained", trained[0], trained[1], square.sides)
    return square.judge(f"gradient of {name}", scale=scale)
