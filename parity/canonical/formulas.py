"""The layers written out in NumPy, with the variants that are taken for one another.

They are the arbiter between two sides: a side that its layer's formula reproduces is right. Each takes the input x, the
canonical parameters (axes as in `kind.KINDS`) and options, which are a layer's settings by canonical name; `form` names
a variant that no setting of either framework has. Channels are the last axis and time is the second.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from parity.canonical.activations import named
from parity.dtypes import Array

Options = Mapping[str, Any]  # setting -> value
Weights = Mapping[str, Array]  # canonical parameter -> array


def layer(kind: str, x: Array, weights: Weights, options: Options) -> Array | None:
    """Compute a layer's output, or None where the kind, or an activation, is not among the known.

    None as well where a variant's options do not fit these shapes: whoever tries variants goes on with the next.
    """
    formula = FORMULAS.get(kind)
    own = "tanh" if kind in ("lstm", "gru") else None  # the activation of a layer that says nothing of it
    known = named(options.get("activation", own)) and named(options.get("recurrent_activation", "sigmoid"))
    if formula is None or known is None:
        return None
    with np.errstate(all="ignore"):  # a wrong variant may overflow: its output is compared, and found to differ
        try:
            result: Array = formula(x, weights, options)
        except (ValueError, IndexError, KeyError):  # a variant that these shapes do not allow
            return None
    return result


def embedding(x: Array, weights: Weights, options: Options) -> Array:
    """Rows of the table, times `factor`: ids (...) of any dtype -> (..., width)."""
    table = weights["table"][x.astype(np.int64)]
    return np.multiply(table, options.get("factor", 1.0))


def dense(x: Array, weights: Weights, options: Options) -> Array:
    """activation(x kernel' + bias): (..., in) -> (..., out)."""
    kernel = weights["kernel"]
    product = x.reshape(-1, x.shape[-1]) @ kernel.T  # one product: many times as fast as one of each text
    result: Array = _active(options)(product.reshape(*x.shape[:-1], len(kernel)) + weights["bias"])
    return result


def layer_norm(x: Array, weights: Weights, options: Options) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * gain + bias over the last axis. Ba et al.: https://arxiv.org/abs/1607.06450"""
    mean = x.mean(-1, keepdims=True)
    spread = np.sqrt(np.square(x - mean).mean(-1, keepdims=True) + options.get("epsilon", 1e-5))
    result: Array = np.add((x - mean) / spread * weights["gain"], weights["bias"])
    return result


def rms_norm(x: Array, weights: Weights, options: Options) -> Array:
    """x / sqrt(mean(x^2) + epsilon) * gain over the last axis. Zhang and Sennrich: https://arxiv.org/abs/1910.07467"""
    spread = np.sqrt(np.square(x).mean(-1, keepdims=True) + options.get("epsilon", 1e-6))
    result: Array = np.multiply(x / spread, weights.get("gain", 1.0))
    return result


def batch_norm(x: Array, weights: Weights, options: Options) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * gain + bias. Ioffe and Szegedy: https://arxiv.org/abs/1502.03167

    Of the last axis, (..., width), by the running mean and variance, as in evaluation; with `form` "training" by those
    of x over all axes but the last.
    """
    mean, variance = weights["mean"], weights["variance"]
    if options.get("form") == "training":
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes)
    normed = (x - mean) / np.sqrt(variance + options.get("epsilon", 1e-5))
    result: Array = np.add(normed * weights.get("gain", 1.0), weights.get("bias", 0.0))
    return result


def group_norm(x: Array, weights: Weights, options: Options) -> Array:
    """As `layer_norm`, but by the mean and variance of a row's group of channels over all places. Wu and He:
    https://arxiv.org/abs/1803.08494

    (batch, ..., channels), the channels in `groups` equal parts; a gain and a bias for each channel. Raises KeyError
    without `groups`.
    """
    parts = x.reshape(len(x), -1, options["groups"], x.shape[-1] // options["groups"])
    mean, variance = parts.mean((1, 3), keepdims=True), parts.var((1, 3), keepdims=True)
    normed = ((parts - mean) / np.sqrt(variance + options.get("epsilon", 1e-5))).reshape(x.shape)
    result: Array = np.add(normed * weights.get("gain", 1.0), weights.get("bias", 0.0))
    return result


def conv1d(x: Array, weights: Weights, options: Options) -> Array:
    """Cross-correlation in time, then the activation: (batch, time, in) -> (batch, time', out).

    `padding` is "valid", "same" (as TensorFlow pads: the odd zero stands behind), "causal" or a number
    of zeros on both ends; `stride` and `dilation` are numbers; `before` is how many zeros more stand in
    front, and `shift` moves the kernel against the input by so many steps, as a port does that pads at the other end.
    """
    kernel, stride, dilation = weights["kernel"], _one(options, "stride"), _one(options, "dilation")
    reach = (kernel.shape[-1] - 1) * dilation
    before, behind = _padding(options.get("padding", "valid"), x.shape[1], reach, stride)
    shift = options.get("shift", 0)
    before += options.get("before", 0)
    # A negative padding takes away: NumPy pads by no less than 0, and the rest is cut.
    x = np.pad(x, ((0, 0), (max(before + shift, 0), max(behind - shift, 0)), (0, 0)))
    x = x[:, max(-before - shift, 0) : x.shape[1] - max(shift - behind, 0)]
    steps = (x.shape[1] - reach - 1) // stride + 1
    taps = (
        x[:, tap * dilation : tap * dilation + (steps - 1) * stride + 1 : stride] @ kernel[..., tap].T
        for tap in range(kernel.shape[-1])
    )
    result: Array = _active(options)(sum(taps) + weights["bias"])
    return result


def _padding(padding: Any, time: int, reach: int, stride: int) -> tuple[int, int]:
    """How many zeros stand before and behind `time` steps; `reach` is how far the kernel's last tap is from its first.

    "same" is TensorFlow's rule: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    if isinstance(padding, (tuple, list)):
        padding = padding[0]
    if padding == "same":
        wanted = max(((time + stride - 1) // stride - 1) * stride + reach + 1 - time, 0)
        return wanted // 2, wanted - wanted // 2
    if padding == "causal":
        return reach, 0
    return (0, 0) if padding == "valid" else (int(padding), int(padding))


def lstm(x: Array, weights: Weights, options: Options) -> Array:
    """Gates input, forget, cell, output: (batch, time, in) -> (batch, time, units).

    Hochreiter and Schmidhuber, 1997 (https://doi.org/10.1162/neco.1997.9.8.1735), with Gers's forget gate (2000). The
    options beside a layer's settings: `skipped` (batch, time), bool, are positions at which state and output stand
    still, as behind a mask; `clip` bounds the cell, `handed` the cell that the next step is handed, `peep` times the
    cell is added in the gates, `first` is the state that it starts from, one (batch, units) or (hidden, cell).
    `returned` is "output", or the last state (batch, units): "output 2", the hidden, or "output 3", the cell.
    """
    active, gate = _active(options, "tanh"), _gate(options)
    units = weights["recurrent_kernel"].shape[1]
    hidden, cell = _state(options, len(x), units)
    peep, clip, handed = options.get("peep", 0.0), options.get("clip", np.inf), options.get("handed", np.inf)
    parts = x @ weights["input_kernel"].T + weights["bias"]
    recurrent, outputs = weights["recurrent_kernel"].T, np.zeros((*x.shape[:2], units))
    for step in _steps(x, options):
        i, f, g, o = np.split(parts[:, step] + hidden @ recurrent, 4, -1)
        new = gate(f + peep * cell) * cell + gate(i + peep * cell) * active(g)
        new = np.clip(new, -clip, clip)
        out = gate(o + peep * new) * active(new)
        new = np.clip(new, -handed, handed)
        hidden, cell = _kept(options, step, hidden, out), _kept(options, step, cell, new)
        outputs[:, step] = hidden
    return {"output 2": hidden, "output 3": cell}.get(options.get("returned", ""), outputs)


def gru(x: Array, weights: Weights, options: Options) -> Array:
    """Gates reset, update, new: (batch, time, in) -> (batch, time, units). Cho et al.: https://arxiv.org/abs/1406.1078

    The state becomes update * state + (1 - update) * new. `reset_after` is where the reset gate acts: on the product
    with the state (True, the only form that torch has), or on the state before it. Then the two biases, (2, gates), may
    be one. `first` is the state that it starts from (batch, units), and `skipped` as in `lstm`; `returned` is "output",
    or "output 2", the last state.
    """
    active, gate = _active(options, "tanh"), _gate(options)
    recurrent = weights["recurrent_kernel"].T
    units = recurrent.shape[0]
    bias = weights["bias"]
    bias, inner = (bias, np.zeros_like(bias)) if bias.ndim == 1 else bias
    hidden, _ = _state(options, len(x), units)
    parts, outputs = x @ weights["input_kernel"].T + bias, np.zeros((*x.shape[:2], units))
    for step in _steps(x, options):
        r, z, n = np.split(parts[:, step], 3, -1)
        by_r, by_z, by_n = np.split(hidden @ recurrent + inner, 3, -1)
        reset, update = gate(r + by_r), gate(z + by_z)
        if options.get("reset_after", True):
            new = active(n + reset * by_n)
        else:
            new = active(n + (reset * hidden) @ recurrent[:, 2 * units :] + inner[2 * units :])
        hidden = _kept(options, step, hidden, update * hidden + (1 - update) * new)
        outputs[:, step] = hidden
    return hidden if options.get("returned") == "output 2" else outputs


def _state(options: Options, batch: int, units: int) -> tuple[Array, Array]:
    """The hidden state and the cell before the first step, (batch, units) each: zeros, or what `first` says."""
    first = options.get("first", 0.0)
    hidden, cell = first if isinstance(first, tuple) else (first, first)
    return np.zeros((batch, units)) + hidden, np.zeros((batch, units)) + cell


def _steps(x: Array, options: Options) -> range:
    """The steps of x (batch, time, in) in the order in which they are taken; outputs keep the input's order."""
    time = x.shape[1]
    return range(time - 1, -1, -1) if options.get("go_backwards", False) else range(time)


def _kept(options: Options, step: int, before: Array, after: Array) -> Array:
    """A state (batch, units) after a step: the one before it in the rows that skip this step."""
    skipped = options.get("skipped")
    return after if skipped is None else np.where(skipped[:, step, None], before, after)


def _one(options: Options, name: str) -> int:
    """A setting of one number, which frameworks also hold as a tuple of one; 1 where it is not set."""
    value = options.get(name, 1)
    return int(value[0] if isinstance(value, (tuple, list)) else value)


def _active(options: Options, own: str | None = None) -> Any:
    return named(options.get("activation", own))


def _gate(options: Options) -> Any:
    return named(options.get("recurrent_activation", "sigmoid"))


FORMULAS = {
    "embedding": embedding,
    "dense": dense,
    "lstm": lstm,
    "gru": gru,
    "conv1d": conv1d,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "batch_norm": batch_norm,
    "group_norm": group_norm,
}
