"""Forward pass: the outputs match, for random inputs and weights.

The one check that every pair has. What fails here fails in many others too, so they wait for it (`checks.FOLLOWS`).
"""

from collections.abc import Iterator

from hypothesis.strategies import SearchStrategy

from parity import strategies
from parity.canonical.weights import OWN, Weights
from parity.checks.stage import Stage
from parity.compare.judge import Verdict
from parity.inputs.arrays import Sample
from parity.pair import thresholds
from parity.pair.models import PairModels

STAGE = Stage.OUTPUTS
FAILED = "outputs differ"
ROWS = ((5, 6, 5, 5), (7, 8, 8))  # of ids that every vocabulary has


def examples(corners: PairModels) -> SearchStrategy[strategies.Example]:
    return strategies.examples(corners)


def beyond(corners: PairModels) -> Iterator[strategies.Example]:
    """Examples that come beyond thresholds of the models that others hardly come to."""
    weights = OWN if corners.pair.own_weights else Weights(0, 1.0)
    texts = corners.pair.inputs is None
    yield from thresholds.beyond(
        corners, strategies.Case(weights, ROWS) if texts else Sample(weights, corners.given(0)[0])
    )


def verify(corners: PairModels, example: strategies.Example) -> list[Verdict]:
    """Judge every output of the batch, one verdict an array."""
    corners.ensure(example.weights)
    batch = corners.batch(example)
    return [square.judge(name, places=batch.mask) for name, square in corners.outputs(batch).items()]
