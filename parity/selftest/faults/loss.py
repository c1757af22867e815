"""Faults of the loss: of its mean, its mask, its logarithm and its smoothed labels.

The logits are right on both sides. Most replace one side's whole loss, so that its gradients and its training follow; a
check of the loss sees the number itself, the check of masking that padding changes it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from parity.dtypes import Array, Inputs, Module, Tensor
from parity.pair.models import PairModels
from parity.selftest.faults.fault import Fault, side_of
from parity.selftest.faults.inject_stages import Alter, corner
from parity.selftest.faults.pairs.functions import cross_entropy, keras_cross_entropy, smooth_l1

# ids, targets and logits of a model, and the id of padding -> the loss. In its framework's own terms.
Criterion = Callable[[Any, Any, Any, int], Any]


def _fault(name: str, check: str, cause: str, alter: Alter) -> Fault:
    """Of parity's own loss of tokens, cross entropy without the targets that are padding."""
    return Fault(name, "conv", corners=alter, check=check, where="loss", cause=cause)


def _of(side: str, criterion: Criterion) -> Alter:
    """One side's loss, and with it its gradients and its training."""

    def alter(corners: PairModels) -> None:
        for (of, _), model in corners.models.items():
            if of == side_of(side):
                _replace(model, criterion, compiled=side == "keras")

    return alter


def _replace(model: Module, criterion: Criterion, compiled: bool) -> None:
    """A model's loss is this one; where the old one was `compiled` into a graph, that is traced anew."""

    def loss(ids: Tensor, targets: Tensor, run: object = None) -> Tensor:  # noqa: ARG001 the logits are asked for here
        return criterion(ids, targets, model.module(ids), model.pad)

    model._loss = loss
    if compiled:
        model._trace()


def _torch(**options: Any) -> Criterion:
    """torch's cross entropy with other settings."""

    def criterion(_: object, targets: Tensor, logits: Tensor, pad: int) -> Tensor:
        from torch.nn.functional import cross_entropy

        settings = {"ignore_index": pad, **options}
        return cross_entropy(logits.flatten(0, 1), targets.flatten(), **settings)

    return criterion


def _keras(reduce: Callable[[Any, Any, Any], Any], logits_are: bool = True, through: str = "") -> Criterion:
    """`reduce(losses, counted, ids != pad)` of Keras's losses (batch, time), of `through`(logits)."""

    def criterion(ids: Tensor, targets: Tensor, logits: Tensor, pad: int) -> Tensor:
        import keras
        from keras import ops

        # Keras takes back a Softmax that it finds behind its logits; not one behind another operation.
        values = 1 * getattr(ops, through)(logits) if through else logits
        losses = keras.losses.sparse_categorical_crossentropy(targets, values, from_logits=logits_are)
        return reduce(losses, ops.cast(targets != pad, losses.dtype), ops.cast(ids != pad, losses.dtype))

    return criterion


def _sum(tensor: Tensor) -> Tensor:
    from keras import ops

    return ops.sum(tensor)


def _mean(losses: Tensor, counted: Tensor, _: object) -> Tensor:
    """The mean of losses (batch, time) where `counted`, of zeros and ones, is one: the right one."""
    return _sum(losses * counted) / _sum(counted)


def _by_length(losses: Tensor, counted: Tensor, _: object) -> Tensor:
    """Every token up to a row's last target counts, as with a mask of lengths."""
    from keras import ops

    return _mean(losses, ops.cast(ops.flip(ops.cumsum(ops.flip(counted, 1), 1), 1) > 0, losses.dtype), _)


def _chances(function: Callable[[Any], Any], base: float = np.e) -> Criterion:
    """-log of torch's softmax, the chances passing through `function`."""

    def criterion(_: object, targets: Tensor, logits: Tensor, pad: int) -> Tensor:
        from torch.nn.functional import nll_loss

        chances = function(logits.softmax(-1)).log() / np.log(base)
        return nll_loss(chances.flatten(0, 1), targets.flatten(), ignore_index=pad)

    return criterion


def _rows(_: object, targets: Tensor, logits: Tensor, pad: int) -> Tensor:
    """The mean of the rows' means."""
    from torch.nn.functional import cross_entropy

    losses = cross_entropy(logits.mT, targets, ignore_index=pad, reduction="none")  # (batch, time)
    counts = (targets != pad).sum(1)
    return (losses.sum(1)[counts > 0] / counts[counts > 0]).mean()


def _twice(_: object, targets: Tensor, logits: Tensor, pad: int) -> Tensor:
    """Targets that were shifted already are shifted once more."""
    from torch.nn.functional import cross_entropy
    from torch.nn.functional import pad as padded

    later = padded(targets[:, 1:], (0, 1), value=pad)
    total = cross_entropy(logits.mT, later, ignore_index=pad, reduction="sum")
    return total / (later != pad).sum().clamp(min=1)


def _weighted(_: object, targets: Tensor, logits: Tensor, pad: int) -> Tensor:
    """The first half of the classes weighs half."""
    import torch

    classes = logits.shape[-1]
    weight = torch.where(torch.arange(classes) < classes // 2, 0.5, 1.0).to(logits.dtype)
    return torch.nn.functional.cross_entropy(logits.mT, targets, weight, ignore_index=pad)


def _of_the_batch_before(corners: PairModels) -> None:
    """A sum over the tokens is divided by the count of the batch before."""
    for (side, _), model in corners.models.items():
        if side == "torch":
            original, before = model.loss, [0]

            def loss(ids: Array, targets: Array, original: Any = original, before: list[int] = before) -> Array:
                count = int(np.count_nonzero(targets))
                last, before[0] = before[0] or count, count
                value = original(ids, targets)
                return np.array(value * (count / last), value.dtype)

            vars(model)["loss"] = loss


def _tokens(side: str, change: Callable[[Array, Array, Any, float], Array]) -> Alter:
    """One side's losses of each token pass through `change(losses, targets, logits, smoothing)`."""

    def altered(losses: Tensor, ids: Array, targets: Array, smoothing: float) -> Array:
        values = losses(ids, targets, smoothing)
        logits = losses.__self__.logits(ids).astype(np.float64)
        return change(values.astype(np.float64), targets, logits, smoothing).astype(values.dtype)

    return corner(side, "losses", altered)


def _other_classes(losses: Array, targets: Array, logits: Array, smoothing: float) -> Array:
    """The mass of smoothing goes to all classes but the target's: 1 - s stays there."""
    classes = logits.shape[-1]
    target = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    others = (logits.sum(-1) - target) / (classes - 1)
    return losses + np.where(targets == 0, 0, smoothing * (logits.mean(-1) - others))


def _but_padding(losses: Array, targets: Array, logits: Array, smoothing: float) -> Array:
    """The mass of smoothing goes to all classes but that of padding."""
    return losses + np.where(targets == 0, 0, smoothing * (logits.mean(-1) - logits[..., 1:].mean(-1)))


def _amount(share: float) -> Alter:
    """Labels are smoothed by a share of what is asked for."""
    return corner("keras", "losses", lambda losses, ids, targets, smoothing: losses(ids, targets, smoothing * share))


def _own(name: str, pair: str, cause: str, check: str = "loss", **loss: Any) -> Fault:
    """Of a loss that is the pair's own."""
    return Fault(name, pair, loss=loss, check=check, where="loss", cause=cause)


def _classes_weighted(output: Tensor, inputs: Inputs) -> Tensor:
    """The last of four classes weighs double, in torch's mean of weights."""
    return cross_entropy(output, inputs, weight=output.new_tensor([1.0, 1.0, 1.0, 2.0]))


def _half_detached(output: Tensor, inputs: Inputs) -> Tensor:
    """The same value, of which half the gradient is cut off."""
    return cross_entropy((output + output.detach()) / 2, inputs)


FAULTS: tuple[Fault, ...] = (
    # A mean over what: all places (https://github.com/tensorflow/tensorflow/issues/39146), all places of a sum without
    # padding (https://github.com/keras-team/keras/issues/15323), rows, or as many as the batch before had.
    _fault(
        "padding in keras's mean",
        "masking",
        "padding counted",
        _of("keras", _keras(lambda x, *_: _sum(x) / _sum(x * 0 + 1))),
    ),
    _fault("padding in torch's mean", "masking", "padding counted", _of("torch", _torch(ignore_index=-100))),
    _fault("every token up to a row's last counted", "loss", "padding counted", _of("keras", _keras(_by_length))),
    _fault(
        "divided by batch and time",
        "masking",
        "reduction",
        _of("keras", _keras(lambda x, counted, _: _sum(x * counted) / _sum(x * 0 + 1))),
    ),
    _fault("summed", "loss", "reduction", _of("torch", _torch(reduction="sum"))),
    _fault(
        "divided by the rows",
        "masking",
        "reduction",
        _of("keras", _keras(lambda x, counted, _: _sum(x * counted) / _sum(x[:, :1] * 0 + 1))),
    ),
    _fault("mean of the rows' means", "loss", "reduction", _of("torch", _rows)),
    _fault("divided by the count of the batch before", "masking", "reduction", _of_the_batch_before),
    # Keras masks a loss by the mask of the inputs, torch's ignore_index goes by the targets: at a row's end they part.
    _fault(
        "mask of the inputs",
        "masking",
        "mask of the inputs",
        _of("keras", _keras(lambda x, _, seen: _sum(x * seen) / _sum(seen + 1e-30))),
    ),
    # from_logits=False is Keras's default, and torch's cross entropy takes logits alone: one softmax too few, or too
    # many.
    _fault("logits taken for probabilities", "loss", "from_logits", _of("keras", _keras(_mean, False))),
    _fault("softmax twice in keras", "loss", "from_logits", _of("keras", _keras(_mean, through="softmax"))),
    _fault(
        "softmax twice in torch",
        "loss",
        "from_logits",
        _of("torch", lambda ids, targets, logits, pad: _torch()(ids, targets, logits.softmax(-1), pad)),
    ),
    # Guards against log(0), which Keras has in its losses of probabilities and people have in their own.
    _fault(
        "probabilities clipped at 1e-7",
        "loss",
        "clipped probabilities",
        _of("keras", _keras(_mean, False, through="softmax")),
    ),
    _fault("log(p + 1e-8)", "loss", "clipped probabilities", _of("torch", _chances(lambda p: p + 1e-8))),
    _fault("log(p + 1e-10)", "loss", "clipped probabilities", _of("torch", _chances(lambda p: p + 1e-10))),
    _fault(
        "probabilities of at least 1e-12",
        "loss",
        "clipped probabilities",
        _of("torch", _chances(lambda p: p.clamp(min=1e-12))),
    ),
    _fault("logarithm of base 2", "loss", "scale", _of("torch", _chances(lambda p: p, 2.0))),
    _fault("targets shifted twice", "loss", "target shift", _of("torch", _twice)),
    _fault("classes weighted", "loss", "class weights", _of("torch", _weighted)),
    # Whether the target's class, or padding's, gets a share of the smoothing:
    # https://github.com/pytorch/pytorch/issues/73205
    _fault("labels smoothed unasked", "loss", "label smoothing", _of("torch", _torch(label_smoothing=1e-3))),
    _fault("labels not smoothed", "loss", "label smoothing", _amount(0.0)),
    _fault("labels smoothed by another amount", "loss", "label smoothing", _amount(0.99)),
    _fault("smoothing over the other classes", "loss", "label smoothing", _tokens("torch", _other_classes)),
    _fault("smoothing over all but padding", "loss", "label smoothing", _tokens("torch", _but_padding)),
    _fault(
        "a loss of padding",
        "loss",
        "padding counted",
        _tokens("keras", lambda losses, targets, *_: losses + (targets == 0)),
    ),
    # Of a pair's own. The smooth L1 loss has its beta in two places: https://github.com/keras-team/keras-cv/issues/920
    _own("own loss summed", "sentence", "reduction", torch=partial(cross_entropy, reduction="sum")),
    _own("smooth L1 of beta 1", "image", "argument", torch=partial(smooth_l1, beta=1.0)),
    _own("half of the output detached", "sentence", "gradient scaled", "gradients", torch=_half_detached),
    _own("own labels not smoothed", "sentence", "label smoothing", torch=partial(cross_entropy, label_smoothing=0.0)),
    _own(
        "own logits taken for probabilities",
        "sentence",
        "from_logits",
        keras=partial(keras_cross_entropy, logits=False),
    ),
    _own("own classes weighted", "sentence", "argument", torch=_classes_weighted),
)
