"""One number of each channel beside an array that has more axes."""

import torch


def of_channels(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Values (channels,) for an array (batch, channels, ...)."""
    return values.reshape([1, -1, *[1] * (x.ndim - 2)])
