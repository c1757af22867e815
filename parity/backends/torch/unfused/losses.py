"""torch's losses by the operations that they are made of.

Formulas: https://docs.pytorch.org/docs/stable/nn.functional.html#loss-functions
"""
# ruff: noqa: A002 the arguments have the names that torch's have, by which they are given

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

UNSAID = -100  # the class that is ignored where none is named, which no target is


def nll_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    ignore_index: int = UNSAID,
    reduction: str = "mean",
) -> torch.Tensor | None:
    """-input[target], times the weight of that class and 0 where it is ignored; a mean is one over the weights."""
    dim, named = min(input.ndim - 1, 1), ignore_index != UNSAID
    if not named and UNSAID in target.numpy():  # no operation of torch's, which would be one of the run
        return None
    counted = target != ignore_index if named else None
    classes = target if counted is None else torch.where(counted, target, 0)
    each = -input.gather(dim, classes.unsqueeze(dim)).squeeze(dim)
    weights = None if weight is None else weight[classes]
    if counted is not None:
        weights = counted.to(input.dtype) if weights is None else weights * counted
    if weights is None:
        return _reduced(each, reduction)
    return (each * weights).sum() / weights.sum() if reduction == "mean" else _reduced(each * weights, reduction)


def cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    ignore_index: int = UNSAID,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> torch.Tensor | None:
    """The negative log likelihood of log_softmax(input), some of it of every class; None of targets that are shares."""
    if target.dtype.is_floating_point:
        return None
    dim = min(input.ndim - 1, 1)
    logs = torch.log_softmax(input, dim=dim)
    likelihood = functional.nll_loss(logs, target, weight, ignore_index=ignore_index, reduction=reduction)
    if not label_smoothing:
        return likelihood
    counted = target != ignore_index
    weighted = logs if weight is None else (logs.movedim(dim, -1) * weight).movedim(-1, dim)
    others = -weighted.sum(dim).where(counted, 0.0)
    if reduction == "mean":  # over the weights of what counts
        weights = counted if weight is None else weight[torch.where(counted, target, 0)] * counted
        others = others.sum() / weights.sum()
    elif reduction == "sum":
        others = others.sum()
    return (1 - label_smoothing) * likelihood + label_smoothing / input.shape[dim] * others


def binary_cross_entropy(
    input: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None, reduction: str = "mean"
) -> torch.Tensor:
    """-(y log x + (1 - y) log(1 - x)), no logarithm below -100."""
    own, other = input.log().clamp(min=-100), (1 - input).log().clamp(min=-100)
    each = -(target * own + (1 - target) * other)
    return _reduced(each if weight is None else each * weight, reduction)


def binary_cross_entropy_with_logits(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    reduction: str = "mean",
    pos_weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """max(x, 0) - x y + log(1 + exp(-|x|)), the form that does not overflow."""
    small = torch.log1p(torch.exp(-input.abs()))
    if pos_weight is None:
        each = functional.relu(input) - input * target + small
    else:
        each = (1 - target) * input + (1 + (pos_weight - 1) * target) * (small + functional.relu(-input))
    return _reduced(each if weight is None else each * weight, reduction)


def mse_loss(input: torch.Tensor, target: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    return _reduced((input - target).square(), reduction)


def l1_loss(input: torch.Tensor, target: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    return _reduced((input - target).abs(), reduction)


def smooth_l1_loss(
    input: torch.Tensor, target: torch.Tensor, reduction: str = "mean", beta: float = 1.0
) -> torch.Tensor | None:
    """0.5 d^2 / beta below beta, d - 0.5 beta from there on, of d = |input - target|."""
    if not beta:
        return None
    gap = (input - target).abs()
    return _reduced(torch.where(gap < beta, 0.5 * gap.square() / beta, gap - 0.5 * beta), reduction)


def huber_loss(input: torch.Tensor, target: torch.Tensor, reduction: str = "mean", delta: float = 1.0) -> torch.Tensor:
    """0.5 d^2 up to delta, delta (d - 0.5 delta) beyond it, of d = |input - target|."""
    gap = (input - target).abs()
    return _reduced(torch.where(gap <= delta, 0.5 * gap.square(), delta * (gap - 0.5 * delta)), reduction)


def kl_div(
    input: torch.Tensor, target: torch.Tensor, reduction: str = "mean", log_target: bool = False
) -> torch.Tensor:
    """target * (log(target) - input), where the input is a log-probability; "batchmean" sums over all but the batch."""
    each = torch.exp(target) * (target - input) if log_target else target * (target.log() - input)
    return each.sum() / len(input) if reduction == "batchmean" else _reduced(each, reduction)


def gaussian_nll_loss(
    input: torch.Tensor, target: torch.Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> torch.Tensor:
    """0.5 * (log(var) + (input - target)^2 / var), and with `full` the constant 0.5 * log(2 pi) too."""
    var = (torch.ones_like(input) * var).clamp(min=eps)
    each = 0.5 * (torch.log(var) + (input - target).square() / var)
    return _reduced(each + 0.5 * math.log(2 * math.pi) if full else each, reduction)


def poisson_nll_loss(
    input: torch.Tensor, target: torch.Tensor, log_input: bool = True, eps: float = 1e-8, reduction: str = "mean"
) -> torch.Tensor:
    """exp(x) - y x of logarithms, x - y log(x + eps) of rates."""
    each = torch.exp(input) - target * input if log_input else input - target * torch.log(input + eps)
    return _reduced(each, reduction)


def triplet_margin_loss(
    anchor: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    margin: float = 1.0,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> torch.Tensor:
    """max(margin + |anchor - positive| - |anchor - negative|, 0), each distance as `pairwise_distance` has it."""
    near, far = (functional.pairwise_distance(anchor, other, eps=eps) for other in (positive, negative))
    return _reduced((margin + near - far).clamp(min=0), reduction)


def margin_ranking_loss(
    input1: torch.Tensor, input2: torch.Tensor, target: torch.Tensor, margin: float = 0, reduction: str = "mean"
) -> torch.Tensor:
    """max(-y (x1 - x2) + margin, 0)."""
    return _reduced((margin - target * (input1 - input2)).clamp(min=0), reduction)


def cosine_embedding_loss(
    input1: torch.Tensor, input2: torch.Tensor, target: torch.Tensor, margin: float = 0, reduction: str = "mean"
) -> torch.Tensor:
    """1 - cos(x1, x2) where y is 1, max(cos(x1, x2) - margin, 0) where it is -1."""
    lengths = [x.square().sum(-1) + 1e-12 for x in (input1, input2)]  # with torch's own number, which is no argument
    cosine = (input1 * input2).sum(-1) / (lengths[0] * lengths[1]).sqrt()
    return _reduced(torch.where(target == 1, 1 - cosine, (cosine - margin).clamp(min=0)), reduction)


def _reduced(each: torch.Tensor, reduction: str) -> torch.Tensor:
    return {"none": lambda: each, "sum": each.sum, "mean": each.mean}[reduction]()


LOSSES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        nll_loss,
        cross_entropy,
        binary_cross_entropy,
        binary_cross_entropy_with_logits,
        mse_loss,
        l1_loss,
        smooth_l1_loss,
        huber_loss,
        kl_div,
        gaussian_nll_loss,
        poisson_nll_loss,
        triplet_margin_loss,
        margin_ranking_loss,
        cosine_embedding_loss,
    )
}
