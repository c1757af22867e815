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
from parity.backends.torch.unfused_losses import LOSSES


class Recording(TorchFunctionMode):  # type: ignore[misc]  # torch's class has no types
    """Hands every call of torch's functions to `record`; where `unfused`, those that have parts by their parts.

    `record` is given the function, its arguments, and the name of that of the user's code of which it is a part.
    """

    def __init__(self, record: Callable[[Any, Any, Any, str], Any], unfused: bool) -> None:
        super().__init__()
        self._record, self._unfused, self._inside = record, unfused, ""

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch._C._functorch.peek_interpreter_stack() is not None:  # inside vmap no tensor has numbers of its own
            return function(*args, **kwargs)
        parts = PARTS.get(signatures.name(function)) if self._unfused else None
        if parts is not None:
            outer, self._inside = self._inside, self._inside or signatures.name(function)
            with self:
                result = parts(*args, **kwargs)
            self._inside = outer
            if result is not None:
                return result
        return self._record(function, args, kwargs, self._inside)


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
    out: torch.Tensor | None = None,
    dtype: Any = None,
) -> torch.Tensor | None:
    """The Euclidean norm along `dim`; None of all elements at once, and of other norms."""
    if out is not None or dtype is not None or dim is None or p not in ("fro", 2, None):
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


def softplus(input: torch.Tensor, beta: float = 1.0, threshold: float = 20.0) -> torch.Tensor:
    """log(1 + exp(beta x)) / beta, and x where beta x is beyond the threshold."""
    large = input * beta > threshold
    soft = torch.log1p(torch.exp((input * beta).masked_fill(large, 0.0))) / beta
    return torch.where(large, input, soft)


def mish(input: torch.Tensor, inplace: bool = False) -> torch.Tensor | None:
    return None if inplace else input * torch.tanh(functional.softplus(input))


def hardswish(input: torch.Tensor, inplace: bool = False) -> torch.Tensor | None:
    """x min(max(x + 3, 0), 6) / 6."""
    return None if inplace else input * (input + 3).clamp(0.0, 6.0) / 6


def elu(input: torch.Tensor, alpha: float = 1.0, inplace: bool = False) -> torch.Tensor | None:
    """x above 0, alpha (exp(x) - 1) below."""
    return None if inplace else torch.where(input > 0, input, alpha * torch.expm1(input.clamp(max=0)))


def prelu(input: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x above 0, weight x below, of one weight or of one of each channel."""
    slope = _of_channels(weight, input) if input.ndim > 1 else weight
    return torch.where(input > 0, input, slope * input)


def pairwise_distance(
    x1: torch.Tensor, x2: torch.Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> torch.Tensor | None:
    """The Euclidean norm of x1 - x2 + eps."""
    return None if p != 2 else (x1 - x2 + eps).square().sum(-1, keepdim=keepdim).sqrt()


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
    return _with_gain(normed, weight, bias)


def batch_norm(
    input: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,  # noqa: ARG001 it is of training, which has no parts
    eps: float = 1e-5,
) -> torch.Tensor | None:
    """(x - mean) / sqrt(variance + eps) by the running figures of each channel; None in training, which moves them."""
    if training or running_mean is None or running_var is None:
        return None
    mean, variance = (_of_channels(of, input) for of in (running_mean, running_var))
    return _with_gain((input - mean) / (variance + eps).sqrt(), weight, bias)


def rms_norm(
    input: torch.Tensor, normalized_shape: Any, weight: torch.Tensor | None = None, eps: float | None = None
) -> torch.Tensor:
    """x / sqrt(mean(x^2) + eps)."""
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    axes = [*range(-len(normalized_shape), 0)]
    normed = input / (input.square().mean(dim=axes, keepdim=True) + eps).sqrt()
    return normed if weight is None else normed * weight


def _of_channels(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return values.reshape([1, -1, *[1] * (x.ndim - 2)])


def _with_gain(normed: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
    normed = normed if weight is None else normed * _of_channels(weight, normed)
    return normed if bias is None else normed + _of_channels(bias, normed)


def _normed(x: torch.Tensor, axes: list[int], eps: float) -> torch.Tensor:
    """(x - mean) / sqrt(variance + eps) over the axes, by the biased variance."""
    middle = x - x.mean(dim=axes, keepdim=True)
    return middle / (middle.square().mean(dim=axes, keepdim=True) + eps).sqrt()


def std(
    input: torch.Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, **kwargs: Any
) -> torch.Tensor | None:
    """The root of the variance, over axes that are given."""
    if dim is None or isinstance(dim, bool) or kwargs.keys() - {"correction"}:
        return None
    return torch.sqrt(torch.var(input, dim, correction=kwargs.get("correction", int(unbiased)), keepdim=keepdim))


PARTS: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": attention,
    **{
        function.__name__: function
        for function in (
            normalize,
            cosine_similarity,
            pairwise_distance,
            norm,
            linear,
            glu,
            silu,
            gelu,
            softplus,
            mish,
            elu,
            prelu,
            hardswish,
            hardsigmoid,
            layer_norm,
            rms_norm,
            group_norm,
            batch_norm,
            std,
        )
    },
    **LOSSES,
}
