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

from parity.corners import Corners
from parity.layers import Array, Weights

Rule = Callable[[Array, Array, Array], bool]

SHAPE = (4, 12)  # of the batch: no padding, no special id
WEIGHTS = Weights(0, 1.0)


def _close(absolute: float, relative: float = 0.0) -> Rule:
    # Nothing of parity's is judged by this: it is the rule that parity is compared with.
    return lambda torch, other, _: np.allclose(other, torch, rtol=relative, atol=absolute)


def _means(torch: Array, other: Array, _: Array) -> bool:
    return abs(float(torch.mean(dtype=np.float64) - other.mean(dtype=np.float64))) <= 1e-5


def _errors(torch: Array, other: Array, exact: Array) -> bool:
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


def flagged(corners: Corners) -> list[str]:
    """The rules by which the sides differ in logits or loss, of one batch that is drawn from seed 0."""
    corners.load(WEIGHTS)
    ids = np.random.default_rng(0).integers(4, corners.tokenizer.vocab, (SHAPE[0], SHAPE[1] + 1))
    logits = corners.logits(ids[:, :-1], np.ones(SHAPE, bool))
    loss = corners.loss(ids[:, :-1], ids[:, 1:])
    outputs = [(*square.rows["float32"], square.rows["float64"][0]) for square in (logits, loss)]
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
