"""Other forms of a model's functions, for tensors of either framework: activations, shifts, cuts.

Each acts on each number alone and keeps the shape, but for shifts and paddings along time.
"""

import math
from collections.abc import Callable
from typing import Any

from parity.dtypes import Tensor
from parity.selftest.faults.inject_layers import is_torch, library


def gelu(x: Tensor) -> Tensor:
    """By the error function."""
    return 0.5 * x * (1 + library(x).erf(x / 2**0.5))


def tanh_gelu(x: Tensor) -> Tensor:
    """By tanh, as Hendrycks and Gimpel approximate it: https://arxiv.org/abs/1606.08415"""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1 + library(x).tanh(inner))


def quick_gelu(x: Tensor) -> Tensor:
    """By a sigmoid, the same paper's other approximation, which CLIP has."""
    return x * library(x).sigmoid(1.702 * x)


def silu(x: Tensor) -> Tensor:
    """x times its sigmoid, also called swish: https://arxiv.org/abs/1606.08415"""
    return x * library(x).sigmoid(x)


def relu(x: Tensor) -> Tensor:
    return library(x).relu(x)


def leaky(slope: float) -> Callable[[Any], Any]:
    """ReLU with a slope below zero."""
    return lambda x: relu(x) - slope * relu(-x)


def hard_sigmoid(x: Tensor) -> Tensor:
    """Keras's: the line through 1/2 of slope 1/6, cut off at 0 and 1."""
    return clipped(x / 6 + 0.5, 0.0, 1.0)


def softsign(x: Tensor) -> Tensor:
    return x / (1 + library(x).abs(x))


def clipped(x: Tensor, low: float, high: float) -> Tensor:
    return library(x).clip(x, low, high)


def late(x: Tensor) -> Tensor:
    """x (batch, time, width) one token late, a zero in front."""
    return padded(x, 1, 0)[:, :-1]


def early(x: Tensor) -> Tensor:
    """x (batch, time, width) one token early, a zero behind: padding="same" for causal."""
    return padded(x, 0, 1)[:, 1:]


def padded(x: Tensor, front: int, back: int) -> Tensor:
    """x (batch, time, width) with so many zeros in front of its tokens and behind them."""
    if is_torch(x):
        from torch.nn.functional import pad

        return pad(x, (0, 0, front, back))
    return library(x).pad(x, ((0, 0), (front, back), (0, 0)))
