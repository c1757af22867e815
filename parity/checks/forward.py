"""Forward pass: the outputs match, for random inputs and weights."""

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
    corners.ensure(example.weights)
    batch = corners.batch(example)
    return [square.judge(name, places=batch.mask) for name, square in corners.outputs(batch).items()]
