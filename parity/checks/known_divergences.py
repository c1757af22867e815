"""Where the frameworks' own part from the formulas that parity judges: known, shown, watched.

A divergence that no longer occurs fails the check that shows it, so that this list stays true.
Measured with torch 2.13 and Keras 3.15.1.
"""

from parity.checks.results import KnownDivergence
from parity.compare.divergence import divergence
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.dtypes import EPS, Array

KERAS = "https://github.com/keras-team/keras/blob/v3.15.1/keras/src"
# Of Keras itself, whatever it runs on: name -> (cause, link, since when it is known here).
OF_KERAS = {
    "Adam's epsilon": (
        "Keras's Adam and AdamW add epsilon before the bias correction; torch's add it behind",
        f"{KERAS}/optimizers/adam.py",
        "2026-11-24",
    ),
    "RMSprop's epsilon": (
        "Keras's RMSprop adds epsilon inside the root; torch's adds it outside",
        f"{KERAS}/optimizers/rmsprop.py",
        "2026-11-24",
    ),
    "rate in the velocity": (
        "Keras's SGD keeps the rate inside its velocity, so that a changed rate comes late; torch's does not",
        f"{KERAS}/optimizers/sgd.py",
        "2026-11-24",
    ),
}
# (framework, what its backend calls it) -> (cause, link, since when it is known here).
KNOWN = {
    ("torch", "clipping"): (
        "torch's clip_grad_norm_ adds 1e-6 to the norm; TensorFlow adds nothing",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/torch/nn/utils/clip_grad.py",
        "2026-11-24",
    ),
    ("torch", "two biases"): (
        "torch's LSTM trains two biases that act as their sum, which moves twice as fast as Keras's one",
        "https://github.com/onnx/onnx/issues/1127",
        "2026-11-24",
    ),
    ("torch", "fused attention"): (
        "torch's fused attention takes its weights as exp(score - logsumexp) when it goes back, and loses digits of "
        "the gradients where scores are large; parity judges the formula, SDPBackend.MATH",
        "https://github.com/pytorch/pytorch/issues/133671",
        "2026-11-26",
    ),
    ("torch", "running variance"): (
        "torch's batch normalization keeps the unbiased variance of each batch; Keras's keeps the batch's own",
        "https://pytorch.org/docs/2.13/generated/torch.nn.BatchNorm1d.html",
        "2026-11-26",
    ),
    ("tensorflow", "repeated rows"): (
        "Keras squares an embedding's tf.IndexedSlices before it sums repeated rows: wrong for a repeated token",
        "https://github.com/keras-team/keras/pull/18692",
        "2026-11-24",
    ),
    **{(framework, name): entry for framework in ("tensorflow", "jax") for name, entry in OF_KERAS.items()},
}


def show(framework: str, name: str, defined: Array, actual: Array) -> KnownDivergence:
    """Try one divergence again: what the formula gives against what the framework does, in float64 arrays of one shape.

    It occurs if rounding does not explain the difference. Raises KeyError for a name that `KNOWN` does not have.
    """
    gap = divergence(defined, actual)
    occurs = gap.max_abs_diff > MAX_FLOAT64_ULPS * EPS["float64"] * gap.scale
    return KnownDivergence(framework, name, *KNOWN[framework, name], gap.first, gap.second, occurs)
