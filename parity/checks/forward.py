"""Forward pass: the outputs match, for random inputs and weights.

The one check that every pair has. What fails here fails in many others too, so they wait for it (`checks.FOLLOWS`).
"""

from hypothesis.strategies import SearchStrategy

from parity import strategies
from parity.checks.stage import Stage
from parity.compare.judge import Verdict
from parity.pair.models import PairModels

STAGE = Stage.OUTPUTS
FAILED = "outputs differ"


def examples(corners: PairModels) -> SearchStrategy[strategies.Example]:
    return strategies.examples(corners)


def verify(corners: PairModels, example: strategies.Example) -> list[Verdict]:
    """Judge every output of the batch, one verdict an array."""
    corners.ensure(example.weights)
    batch = corners.batch(example)
    return [square.judge(name, places=batch.mask) for name, square in corners.outputs(batch).items()]
