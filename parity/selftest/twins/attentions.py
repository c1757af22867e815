"""Other ways to compute the same attention: fused, by einsum, scaled or masked otherwise, heads in another order.

All but one in torch, for the reason that `alternatives` gives.
"""

import math
from collections.abc import Callable
from typing import Any

from parity.dtypes import Module, State, Tensor
from parity.selftest.faults.attention import ATTENTION
from parity.selftest.faults.fault import Alter
from parity.selftest.faults.inject_layers import around, given, holding, then

# query, key and value (batch, heads, time, head width) and a mask (time, seen) -> (batch, heads, time, head width)
Core = Callable[[Any, Any, Any, Any], Any]


def attending(core: Core, projected: Callable[..., Any] | None = None) -> Alter:
    """torch's attention in the first block by `core`; `projected(attention, x)` gives query, key and value instead."""

    def altered(run: Any, x: Tensor, visible: Tensor, past: State) -> Any:
        import torch

        attention = run.__self__
        parts = projected(attention, x) if projected else (attention.query(x), attention.key(x), attention.value(x))
        query, key, value = (attention.split(part) for part in parts)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        return attention.out(core(query, key, value, visible).transpose(1, 2).flatten(2)), (key, value)

    return around(ATTENTION, altered)


def fused(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    """torch's own kernel, which sums in another order and takes True for what is seen."""
    from torch.nn.functional import scaled_dot_product_attention

    return scaled_dot_product_attention(query, key, value, attn_mask=visible)


def additive(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    """A mask of zeros and minus infinities that is added to the scores."""
    import torch

    mask = torch.zeros(visible.shape, dtype=query.dtype).masked_fill(~visible, -math.inf)
    return (query @ key.mT / query.shape[-1] ** 0.5 + mask).softmax(-1) @ value


def scaled_query(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    """The scale comes before the product, as in Keras's layer, and not behind it."""
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    return scores.masked_fill(~visible, -math.inf).softmax(-1) @ value


def by_powers(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    """The softmax's division comes behind the product with the values."""
    scores = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(~visible, -math.inf)
    powers = (scores - scores.amax(-1, True)).exp()
    return powers @ value / powers.sum(-1, True)


def by_einsum(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    """Both products by their axes' letters, with no transposition."""
    import torch

    scores = torch.einsum("bhid,bhjd->bhij", query, key) / query.shape[-1] ** 0.5
    return torch.einsum("bhij,bhjd->bhid", scores.masked_fill(~visible, -math.inf).softmax(-1), value)


def at_once(attention: Module, x: Tensor) -> Tensor:
    """Query, key and value by one product."""
    import torch

    parts = attention.query, attention.key, attention.value
    kernel, bias = (torch.cat([getattr(part, name) for part in parts]) for name in ("weight", "bias"))
    return (x @ kernel.mT + bias).chunk(3, -1)


def units_permuted(x: Tensor) -> Tensor:
    """The units of each head in reverse."""
    return x.unflatten(-1, (3, 20)).flip(-1).flatten(-2)


def heads_permuted(model: Module) -> None:
    """The heads in reverse, and their parts of the projection behind them."""
    change = then(lambda x: x.unflatten(-1, (3, 20)).flip(-2).flatten(-2))
    back = given(lambda x: x.unflatten(-1, (3, 20)).flip(-2).flatten(-2))
    holding(ATTENTION, query=change, key=change, value=change, out=back)(model)


def by_triangle(visible: Tensor) -> Tensor:
    """The causal mask (time, seen) by torch's triu; a stream has seen more than it is given."""
    import torch

    time, seen = visible.shape
    return ~torch.ones(time, seen, dtype=torch.bool).triu(1 + seen - time)


def keras_by_band(visible: Tensor) -> Tensor:
    """The same mask by comparing places, in Keras."""
    from keras import ops

    time, seen = ops.shape(visible)
    return ops.arange(seen) - ops.arange(time)[:, None] <= seen - time


def by_formula(run: Any, x: Tensor, visible: Tensor) -> Any:
    """Attention of one head, whose layer would take the fused kernel."""
    attention = run.__self__
    scores = attention.query(x) @ attention.key(x).mT * attention.scale
    return attention.out(scores.masked_fill(~visible[:, None], -math.inf).softmax(-1) @ attention.value(x))
