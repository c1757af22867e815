"""torch's norms, distances and normalizations by the operations that they are made of."""
# ruff: noqa: A002 the arguments have the names that torch's have, by which they are given

from collections.abc import Callable
from typing import Any

import torch

from parity.backends.torch.unfused.channels import of_channels


def normalize(input: torch.Tensor, dim: int = 1, eps: float = 1e-12) -> torch.Tensor:
    """x / max(|x|, eps) along `dim`, by the Euclidean norm."""
    return input / input.square().sum(dim=dim, keepdim=True).sqrt().clamp_min(eps)


def cosine_similarity(x1: torch.Tensor, x2: torch.Tensor, dim: int = 1, eps: float = 1e-8) -> torch.Tensor:
    """The sum of x1 / max(|x1|, eps) * x2 / max(|x2|, eps) along `dim`."""
    first, second = (x.square().sum(dim=dim, keepdim=True).sqrt().clamp_min(eps) for x in (x1, x2))
    return ((x1 / first) * (x2 / second)).sum(dim=dim)


def pairwise_distance(x1: torch.Tensor, x2: torch.Tensor, eps: float = 1e-6, keepdim: bool = False) -> torch.Tensor:
    """The Euclidean norm of x1 - x2 + eps."""
    return (x1 - x2 + eps).square().sum(-1, keepdim=keepdim).sqrt()


def norm(input: torch.Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False) -> torch.Tensor | None:
    """The Euclidean norm along `dim`; None of all elements at once, and of other norms."""
    if dim is None or p not in ("fro", 2, None):
        return None
    return input.square().sum(dim=dim, keepdim=keepdim).sqrt()


def layer_norm(
    input: torch.Tensor,
    normalized_shape: Any,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    axes = [*range(-len(normalized_shape), 0)]
    normed = _normed(input, axes, eps)
    normed = normed if weight is None else normed * weight
    return normed if bias is None else normed + bias


def rms_norm(
    input: torch.Tensor, normalized_shape: Any, weight: torch.Tensor | None = None, eps: float | None = None
) -> torch.Tensor:
    """x / sqrt(mean(x^2) + eps)."""
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    axes = [*range(-len(normalized_shape), 0)]
    normed = input / (input.square().mean(dim=axes, keepdim=True) + eps).sqrt()
    return normed if weight is None else normed * weight


def group_norm(
    input: torch.Tensor,
    num_groups: int,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    grouped = input.reshape(input.shape[0], num_groups, -1)  # (batch, channels, ...) -> (batch, groups, rest)
    normed = _normed(grouped, [-1], eps).reshape(input.shape)
    return _with_gain(normed, weight, bias)


def batch_norm(
    input: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    momentum: float = 0.1,  # noqa: ARG001 it is of training, which has no parts
    eps: float = 1e-5,
) -> torch.Tensor | None:
    """(x - mean) / sqrt(variance + eps) by the running figures of each channel; None without them, as in training."""
    if running_mean is None or running_var is None:
        return None
    mean, variance = (of_channels(of, input) for of in (running_mean, running_var))
    return _with_gain((input - mean) / (variance + eps).sqrt(), weight, bias)


def std(
    input: torch.Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: Any = None
) -> torch.Tensor | None:
    """The root of the variance, over axes that are given."""
    if dim is None:
        return None
    less = int(unbiased) if correction is None else correction
    return torch.sqrt(torch.var(input, dim, correction=less, keepdim=keepdim))


def _normed(x: torch.Tensor, axes: list[int], eps: float) -> torch.Tensor:
    """(x - mean) / sqrt(variance + eps) over the axes, by the biased variance."""
    middle = x - x.mean(dim=axes, keepdim=True)
    return middle / (middle.square().mean(dim=axes, keepdim=True) + eps).sqrt()


def _with_gain(normed: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
    normed = normed if weight is None else normed * of_channels(weight, normed)
    return normed if bias is None else normed + of_channels(bias, normed)


NORMS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        normalize,
        cosine_similarity,
        pairwise_distance,
        norm,
        layer_norm,
        rms_norm,
        group_norm,
        batch_norm,
        std,
    )
}
