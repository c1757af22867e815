"""torch's functions that do several things at once, by the operations that they are made of.

Each function here has the name, the arguments and the defaults of torch's, and computes the formula of its page in
https://docs.pytorch.org/docs/stable/nn.functional.html. It gives None where that formula does not hold (an option that
it lacks), and the call is then recorded as the one operation that it is.
"""
# ruff: noqa: A002 the arguments have the names that torch's have, by which they are given

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from parity.backends.torch import signatures


class Recording(TorchFunctionMode):  # type: ignore[misc]  # torch's class has no types
    """Hands every call of torch's functions to `record`; where `unfused`, those that have parts by their parts."""

    def __init__(self, record: Callable[[Any, Any, Any], Any], unfused: bool) -> None:
        super().__init__()
        self._record, self._unfused = record, unfused

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch._C._functorch.peek_interpreter_stack() is not None:  # inside vmap no tensor has numbers of its own
            return function(*args, **kwargs)
        parts = PARTS.get(signatures.name(function)) if self._unfused else None
        if parts is not None:
            with self:
                result = parts(*args, **kwargs)
            if result is not None:
                return result
        return self._record(function, args, kwargs)


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: Any,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor | None:
    """softmax(query key^T / sqrt(width) + mask) value; query (..., time, width), key and value (..., keys, width).

    None with dropout, or where a row sees nothing, of which a softmax makes NaN.
    """
    if dropout_p or (attn_mask is not None and attn_mask.dtype == torch.bool and not attn_mask.any(-1).all()):
        return None
    if enable_gqa:  # several heads of queries share one of keys and values
        key, value = (of.repeat_interleave(query.shape[-3] // of.shape[-3], -3) for of in (key, value))
    scores = torch.matmul(query, key.transpose(-2, -1))
    scores = scores / math.sqrt(query.shape[-1]) if scale is None else scores * scale
    if is_causal:
        seen = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril(diagonal=0)
        scores = scores.masked_fill(seen.logical_not(), -math.inf)
    elif attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(attn_mask.logical_not(), -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.matmul(torch.softmax(scores, dim=-1), value)


def normalize(
    input: torch.Tensor,
    p: float = 2.0,
    dim: int = 1,
    eps: float = 1e-12,
    out: torch.Tensor | None = None,
) -> torch.Tensor | None:
    """x / max(|x|, eps) along `dim`, by the Euclidean norm."""
    if out is not None or p != 2.0:
        return None
    return input / input.square().sum(dim=dim, keepdim=True).sqrt().clamp_min(eps)


def cosine_similarity(x1: torch.Tensor, x2: torch.Tensor, dim: int = 1, eps: float = 1e-8) -> torch.Tensor:
    """The sum of x1 / max(|x1|, eps) * x2 / max(|x2|, eps) along `dim`."""
    first, second = (x.square().sum(dim=dim, keepdim=True).sqrt().clamp_min(eps) for x in (x1, x2))
    return ((x1 / first) * (x2 / second)).sum(dim=dim)


def norm(
    input: torch.Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    dtype: Any = None,
) -> torch.Tensor | None:
    """The Euclidean norm along `dim`; None of all elements at once, and of other norms."""
    if dtype is not None or dim is None or p not in ("fro", 2, None):
        return None
    return input.square().sum(dim=dim, keepdim=keepdim).sqrt()


def linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    product = torch.matmul(input, weight.t())
    return product if bias is None else product + bias


def glu(input: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """The first half times the sigmoid of the second."""
    first, second = input.chunk(2, dim=dim)
    return first * torch.sigmoid(second)


def silu(input: torch.Tensor, inplace: bool = False) -> torch.Tensor | None:
    return None if inplace else input * torch.sigmoid(input)


def hardsigmoid(input: torch.Tensor, inplace: bool = False) -> torch.Tensor | None:
    """min(max(x / 6 + 1 / 2, 0), 1)."""
    return None if inplace else (input * (1 / 6) + 0.5).clamp(0.0, 1.0)


def gelu(input: torch.Tensor, approximate: str = "none") -> torch.Tensor:
    """x times the normal distribution's cumulative function, by erf or approximated by tanh."""
    if approximate == "none":
        return 0.5 * input * (1 + torch.erf(input / math.sqrt(2)))
    return 0.5 * input * (1 + torch.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input.pow(3))))


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


def group_norm(
    input: torch.Tensor,
    num_groups: int,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    grouped = input.reshape(input.shape[0], num_groups, -1)  # (batch, channels, ...) -> (batch, groups, rest)
    normed = _normed(grouped, [-1], eps).reshape(input.shape)
    shape = [1, -1, *[1] * (input.ndim - 2)]
    normed = normed if weight is None else normed * weight.reshape(shape)
    return normed if bias is None else normed + bias.reshape(shape)


def _normed(x: torch.Tensor, axes: list[int], eps: float) -> torch.Tensor:
    """(x - mean) / sqrt(variance + eps) over the axes, by the biased variance."""
    middle = x - x.mean(dim=axes, keepdim=True)
    return middle / (middle.square().mean(dim=axes, keepdim=True) + eps).sqrt()


def cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    *args: Any,
    **kwargs: Any,
) -> torch.Tensor | None:
    """The negative log likelihood of log_softmax(input), of smoothed labels in shares; None of targets that are shares.

    With smoothed labels of a mean without weights alone.
    """
    named = dict(zip(("size_average", "ignore_index", "reduce", "reduction", "label_smoothing"), args, strict=False))
    named |= kwargs
    smoothing, dim = named.pop("label_smoothing", 0.0), 1 if input.ndim > 1 else 0
    plain = weight is None and named.get("reduction", "mean") == "mean"
    if target.dtype.is_floating_point or (smoothing and not plain):
        return None
    logs = torch.log_softmax(input, dim=dim)
    likelihood = functional.nll_loss(logs, target, weight, **named)
    if not smoothing:
        return likelihood
    counted = target != named.get("ignore_index", -100)
    others = logs.sum(dim).masked_fill(counted.logical_not(), 0.0).sum() / counted.sum()
    return (1 - smoothing) * likelihood - smoothing / input.shape[dim] * others


def binary_cross_entropy_with_logits(input: torch.Tensor, target: torch.Tensor, **kwargs: Any) -> torch.Tensor | None:
    if {name for name, value in kwargs.items() if value is not None} - {"reduction"}:
        return None
    # max(x, 0) - x y + log(1 + exp(-|x|)): the form that does not overflow.
    each = functional.relu(input) - input * target + torch.log1p(torch.exp(-input.abs()))
    return _reduced(each, kwargs.get("reduction", "mean"))


def std(
    input: torch.Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, **kwargs: Any
) -> torch.Tensor | None:
    """The root of the variance, over axes that are given."""
    if dim is None or isinstance(dim, bool) or kwargs.keys() - {"correction"}:
        return None
    return torch.sqrt(torch.var(input, dim, correction=kwargs.get("correction", int(unbiased)), keepdim=keepdim))


def mse_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: torch.Tensor | None = None,
) -> torch.Tensor | None:
    return None if reduce or size_average or weight is not None else _reduced((input - target).square(), reduction)


def l1_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: torch.Tensor | None = None,
) -> torch.Tensor | None:
    return None if reduce or size_average or weight is not None else _reduced((input - target).abs(), reduction)


def kl_div(
    input: torch.Tensor,
    target: torch.Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> torch.Tensor | None:
    """target * (log(target) - input), where the input is a log-probability; "batchmean" sums over all but the batch."""
    if size_average or reduce or log_target:
        return None
    each = target * (target.log() - input)
    return each.sum() / len(input) if reduction == "batchmean" else _reduced(each, reduction)


def gaussian_nll_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> torch.Tensor:
    """0.5 * (log(var) + (input - target)^2 / var), and with `full` the constant 0.5 * log(2 pi) too."""
    var = (torch.ones_like(input) * var).clamp(min=eps)
    each = 0.5 * (torch.log(var) + (input - target).square() / var)
    return _reduced(each + 0.5 * math.log(2 * math.pi) if full else each, reduction)


def _reduced(each: torch.Tensor, reduction: str) -> torch.Tensor:
    return {"none": lambda: each, "sum": each.sum, "mean": each.mean}[reduction]()


PARTS: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": attention,
    **{
        function.__name__: function
        for function in (
            normalize,
            cosine_similarity,
            norm,
            linear,
            glu,
            silu,
            gelu,
            hardsigmoid,
            layer_norm,
            group_norm,
            cross_entropy,
            binary_cross_entropy_with_logits,
            std,
            mse_loss,
            l1_loss,
            kl_div,
            gaussian_nll_loss,
        )
    },
}
