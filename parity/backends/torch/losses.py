"""The losses of single tokens in torch, and a user's loss.

Line for line beside `parity/backends/keras/losses.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from parity.backends.nesting import places, put
from parity.dtypes import Inputs, Outputs


def per_token(logits: torch.Tensor, targets: torch.Tensor, pad: int | None, smoothing: float) -> torch.Tensor:
    """Cross entropy in nats of logits (batch, time, vocab), as (batch, time); 0 where the target is padding.

    With `smoothing` s the target is 1 - s of its class and s / vocab of every class.
    Szegedy et al., Rethinking the Inception Architecture, 2015, section 7: https://arxiv.org/abs/1512.00567
    """
    flat = nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=pad, reduction="none", label_smoothing=smoothing
    )
    return flat.reshape(targets.shape)


def of_outputs(
    loss: Callable[[Any, Any], Any] | None, output: Outputs, targets: Mapping[str, Any], inputs: Inputs, backward: bool
) -> dict[str, Any]:
    """A user's loss of an output with `targets` in the places of its leaves; or its gradient by each that floats."""
    assert loss is not None  # asked for only where there is one
    own = places(output)
    leaves = {place: _alike(targets.get(place), leaf) for place, leaf in own.items() if isinstance(leaf, torch.Tensor)}
    floating = {place: leaf for place, leaf in leaves.items() if leaf.is_floating_point()}
    sources = {place: leaf.detach().clone().requires_grad_() for place, leaf in floating.items()}
    value = loss(put(output, leaves | sources), inputs)
    if not backward:
        return {"loss": value}
    if not value.requires_grad:
        return {place: torch.zeros_like(source) for place, source in sources.items()}
    gradients = torch.autograd.grad(value.sum(), list(sources.values()), materialize_grads=True)
    return dict(zip(sources, gradients, strict=True))


def _alike(value: Any, own: Any) -> torch.Tensor:
    """A tensor of the same shape and dtype, or the model's own."""
    return own if value is None or (value.shape, value.dtype) != (own.shape, own.dtype) else value
