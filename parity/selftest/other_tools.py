"""What people do today: the rules by which other tools compare two models on one random batch.

Each is given the float32 outputs of both sides, (torch, tensorflow), and torch's in float64, and says
whether the sides agree. The constants are theirs, not parity's:

    allclose 1e-3, 1e-4, 1e-5   numpy.allclose with no relative part, as cross tests of Transformers and
                                exporters have it: https://github.com/huggingface/transformers/pull/15841
    mean of the tensor, 1e-5    the means alone, as PaDiff by default: https://github.com/PaddlePaddle/PaDiff
    torch.testing               assert_close, whose defaults for float32 are 1.3e-6 and 1e-5:
                                https://docs.pytorch.org/docs/stable/testing.html
    error against float64       as `same` of torch._dynamo.utils: allclose at 1e-4, or else at most twice
                                the reference's own error, and a tenth of 1e-4
"""

from collections.abc import Callable, Mapping

import numpy as np
import optree

from parity.canonical.weights import Weights
from parity.compare.square import PrecisionSquare
from parity.dtypes import Array
from parity.inputs.arrays import Sample
from parity.inputs.edges import Place
from parity.pair.models import PairModels

# torch's float32 output, the other side's, and torch's in float64, of one shape -> whether the sides agree.
Rule = Callable[[Array, Array, Array], bool]

SHAPE = (4, 12)  # of the batch of texts: no padding, no special id
WEIGHTS = Weights(0, 1.0)


def _close(absolute: float, relative: float = 0.0) -> Rule:
    """numpy.allclose with these, relative to torch's output."""
    # Nothing of parity's is judged by this: it is the rule that parity is compared with.
    return lambda torch, other, _: np.allclose(other, torch, rtol=relative, atol=absolute)


def _means(torch: Array, other: Array, _: Array) -> bool:
    """Whether the means of the two tensors are alike, whatever their elements are."""
    return abs(float(torch.mean(dtype=np.float64) - other.mean(dtype=np.float64))) <= 1e-5


def _errors(torch: Array, other: Array, exact: Array) -> bool:
    """Whether the other side's root-mean-square error against float64 is at most twice torch's, and a constant."""
    if np.allclose(other, torch, rtol=1e-4, atol=1e-4):  # the rule's own first step, and its own constant
        return True
    ours, theirs = (float(np.sqrt(np.mean((array - exact) ** 2))) for array in (torch, other))
    return theirs <= 2 * ours + 1e-4 / 10


RULES: Mapping[str, Rule] = {
    "allclose 1e-3": _close(1e-3),
    "allclose 1e-4": _close(1e-4),
    "allclose 1e-5": _close(1e-5),
    "mean of the tensor, 1e-5": _means,
    "torch.testing defaults": _close(1e-5, 1.3e-6),
    "error against float64": _errors,
}


def flagged(corners: PairModels) -> list[str]:
    """The rules by which the sides differ in outputs or loss, of one batch that is drawn from seed 0."""
    corners.load(WEIGHTS)
    squares = _of_texts(corners) if corners.pad is not None else _of_arrays(corners)
    outputs = [(*square.rows["float32"], square.rows["float64"][0]) for square in squares]
    with np.errstate(all="ignore"):
        return [
            name
            for name, rule in RULES.items()
            if not all(
                rule(torch, other, torch if exact is None else exact)
                for torch, other, exact in outputs
                if torch is not None and other is not None
            )
        ]


def _of_texts(corners: PairModels) -> list[PrecisionSquare]:
    """Logits and loss of one random batch of ids, from 4 on: those below are special."""
    ids = np.random.default_rng(0).integers(4, corners.tokenizer.vocab, (SHAPE[0], SHAPE[1] + 1))
    return [corners.logits(ids[:, :-1], np.ones(SHAPE, bool)), corners.loss(ids[:, :-1], ids[:, 1:])]


def _of_arrays(corners: PairModels) -> list[PrecisionSquare]:
    """Outputs and loss of a pair without a tokenizer, of ids that are no padding and normal numbers."""
    random = np.random.default_rng(0)

    def drawn(at: Place, array: Array) -> Array:
        shape, ids = (SHAPE[0], *array.shape[1:]), corners.pair.ids.get(at)
        if ids is None:
            return random.standard_normal(shape).astype(array.dtype)
        integers = random.integers(0, ids.below, shape)
        return np.where(integers == ids.pad, (integers + 1) % ids.below, integers)

    batch = corners.batch(Sample(WEIGHTS, optree.tree_map_with_path(drawn, corners.given(0)[0])))
    return [*corners.outputs(batch).values(), corners.loss(batch.ids, batch.targets)]
