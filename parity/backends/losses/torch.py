"""The losses of single tokens in torch; line for line beside tensorflow.py."""

from typing import Any

from torch import nn


def per_token(logits: Any, targets: Any, pad: int | None, smoothing: float) -> Any:
    """Cross entropy in nats of logits (batch, time, vocab), as (batch, time); 0 where the target is padding.

    With `smoothing` s the target is 1 - s of its class and s / vocab of every class.
    Szegedy et al., Rethinking the Inception Architecture, 2015, section 7: https://arxiv.org/abs/1512.00567
    """
    flat = nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=pad, reduction="none", label_smoothing=smoothing
    )
    return flat.reshape(targets.shape)
