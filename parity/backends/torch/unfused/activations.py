"""torch's activations by the operations that they are made of."""
# ruff: noqa: A002 the arguments have the names that torch's have, by which they are given

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from parity.backends.torch.unfused.channels import of_channels


def glu(input: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """The first half times the sigmoid of the second."""
    first, second = input.chunk(2, dim=dim)
    return first * torch.sigmoid(second)


def silu(input: torch.Tensor) -> torch.Tensor:
    return input * torch.sigmoid(input)


def gelu(input: torch.Tensor, approximate: str = "none") -> torch.Tensor:
    """x times the normal distribution's cumulative function, by erf or approximated by tanh."""
    if approximate == "none":
        return 0.5 * input * (1 + torch.erf(input / math.sqrt(2)))
    return 0.5 * input * (1 + torch.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input.pow(3))))


def softplus(input: torch.Tensor, beta: float = 1.0, threshold: float = 20.0) -> torch.Tensor:
    """log(1 + exp(beta x)) / beta, and x where beta x is beyond the threshold."""
    large = input * beta > threshold
    soft = torch.log1p(torch.exp((input * beta).masked_fill(large, 0.0))) / beta
    return torch.where(large, input, soft)


def mish(input: torch.Tensor) -> torch.Tensor:
    return input * torch.tanh(functional.softplus(input))


def elu(input: torch.Tensor, alpha: float = 1.0) -> torch.Tensor:
    """x above 0, alpha (exp(x) - 1) below."""
    return torch.where(input > 0, input, alpha * torch.expm1(input.clamp(max=0)))


def prelu(input: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x above 0, weight x below, of one weight or of one of each channel."""
    slope = of_channels(weight, input) if input.ndim > 1 else weight
    return torch.where(input > 0, input, slope * input)


def hardswish(input: torch.Tensor) -> torch.Tensor:
    """x min(max(x + 3, 0), 6) / 6."""
    return input * (input + 3).clamp(0.0, 6.0) / 6


def hardsigmoid(input: torch.Tensor) -> torch.Tensor:
    """min(max(x / 6 + 1 / 2, 0), 1)."""
    return (input * (1 / 6) + 0.5).clamp(0.0, 1.0)


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        glu,
        silu,
        gelu,
        softplus,
        mish,
        elu,
        prelu,
        hardswish,
        hardsigmoid,
    )
}
