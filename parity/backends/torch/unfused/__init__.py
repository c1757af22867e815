"""torch's functions that do several things at once, by the operations that they are made of.

Each function here has the name of torch's, and those of its arguments that the formula has, with their defaults; it
computes the formula of its page in https://docs.pytorch.org/docs/stable/nn.functional.html. A call with any other
argument is recorded as the one operation that it is, and so is one of which the function gives None. Each is held
against torch's in tests/backends/test_unfused.py.

    activations, norms, losses      functions of these kinds; `channels` lays a number of each channel beside an array
"""
# ruff: noqa: A002 the arguments have the names that torch's have, by which they are given

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from parity.backends.torch import signatures
from parity.backends.torch.unfused.activations import ACTIVATIONS
from parity.backends.torch.unfused.losses import LOSSES
from parity.backends.torch.unfused.norms import NORMS


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
        result = self._by_parts(function, args, kwargs) if self._unfused else None
        return self._record(function, args, kwargs, self._inside) if result is None else result

    def _by_parts(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
        """What the parts of a function make; None of one that has none, or not with these arguments."""
        name, defaults = signatures.name(function), signatures.known(function, args, kwargs)
        if name not in PARTS or len(defaults) < len(args):
            return None
        named = dict(zip([*defaults][1:], args[1:], strict=False)) | kwargs  # the first has another name in a method
        has = inspect.signature(PARTS[name]).parameters
        if any(of not in has and not _same(value, defaults.get(of)) for of, value in named.items()):
            return None
        outer, self._inside = self._inside, self._inside or name
        try:
            with self:
                return PARTS[name](*args[:1], **{of: value for of, value in named.items() if of in has})
        finally:
            self._inside = outer


def _same(value: Any, default: Any) -> bool:
    """Whether an argument is its default, which no tensor is."""
    return value is default or (not torch.is_tensor(value) and bool(value == default))


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: Any,
    attn_mask: torch.Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor | None:
    """softmax(query key^T / sqrt(width) + mask) value; query (..., time, width), key and value (..., keys, width).

    None where a row sees nothing, of which a softmax makes NaN.
    """
    if attn_mask is not None and attn_mask.dtype == torch.bool and not attn_mask.numpy().any(-1).all():
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


def linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    product = torch.matmul(input, weight.t())
    return product if bias is None else product + bias


def stft(
    input: torch.Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,  # noqa: ARG001 a window is as long
    window: torch.Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    return_complex: bool | None = None,
) -> torch.Tensor | None:
    """The transform of each frame times a window, which stands in the frame's middle: (..., frequencies, frames)."""
    if not return_complex or window is None:
        return None
    before = (n_fft - len(window)) // 2
    if len(window) < n_fft:
        window = functional.pad(window, (before, n_fft - len(window) - before))
    ends = (n_fft // 2, n_fft // 2)
    signal = functional.pad(input.unsqueeze(0), ends, mode=pad_mode).squeeze(0) if center else input
    frames = signal.unfold(-1, n_fft, hop_length or n_fft // 4)
    return torch.fft.rfft(frames * window).transpose(-2, -1)


PARTS: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": attention,
    "linear": linear,
    "stft": stft,
    **ACTIVATIONS,
    **NORMS,
    **LOSSES,
}
