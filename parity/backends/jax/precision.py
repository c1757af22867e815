"""One precision in Keras on JAX.

Line for line beside `parity/backends/tensorflow/precision.py`.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from keras.src import backend
from keras.src.backend.common import dtypes
from keras.src.backend.jax import core, nn

from parity.backends.keras import policy


@contextlib.contextmanager
def precision(dtype: str, promote: bool = False) -> Iterator[None]:
    """Build, trace or run everything inside in this dtype; settings are restored behind it.

    With `promote` what Keras is asked to cast to float32 is cast to float64, in float64: a norm in float32 on purpose.
    Not what JAX itself is asked for: it remembers what it has traced, and would find it again in float32.
    """
    promotion = PROMOTION if promote and dtype == "float64" else ()
    with policy.of(dtype, (*ALWAYS, *PATCHES.get(dtype, ()), *promotion)):
        yield


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Inside, runs in other precisions may begin and end in any order; behind it, the settings are as they were."""
    with policy.kept(PATCHED):
        yield


def _float64_kept(table: dict[str, str]) -> dict[str, str]:
    """Off TensorFlow, Keras takes what is of float64 for what is of float32: a mean, a norm, a tanh.

    https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/common/dtypes.py
    """
    return {**table, "float64": "float64"}


def _attention(attention: Callable[..., Any]) -> Callable[..., Any]:
    """JAX takes the softmax of its attention in float32, whatever it is given.

    https://github.com/jax-ml/jax/blob/jax-v0.10.2/jax/_src/nn/functions.py
    """

    def exact(query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, **options: Any) -> Any:
        if query.dtype != jnp.float64 or options.get("is_causal") or options.get("attn_logits_soft_cap"):
            return attention(query, key, value, bias=bias, mask=mask, **options)
        # Query (batch, time, heads, width), key and value (batch, keys, heads or groups of them, width).
        scale = options.get("scale") or query.shape[-1] ** -0.5
        key, value = (jnp.repeat(of, query.shape[2] // of.shape[2], axis=2) for of in (key, value))
        scores = jnp.einsum("btnh,bsnh->bnts", query, key) * scale
        scores = scores if bias is None else scores + bias
        scores = scores if mask is None else jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
        return jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(scores, -1), value)

    return exact


def _gru(gru: Callable[..., Any]) -> Callable[..., Any]:
    """Where there is no bias, Keras makes zeros of JAX's own dtype, here float64; its scan has to give what it takes.

    https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/jax/rnn.py
    """

    def typed(*arrays: Any, kernel: Any, bias: Any = None, **options: Any) -> Any:
        zeros = jnp.zeros((2, kernel.shape[-1]), kernel.dtype) if bias is None else bias
        return gru(*arrays, kernel=kernel, bias=zeros, **options)

    return typed


def _narrow(dtype: Any) -> bool:
    return dtype is not None and jnp.dtype(dtype) == jnp.float32


def _promoted_conversion(convert: Callable[..., Any]) -> Callable[..., Any]:
    """A cast or a conversion that is asked for float32 gives float64."""

    def promoted(x: Any, dtype: Any = None, *others: Any, **options: Any) -> Any:
        return convert(x, "float64" if _narrow(dtype) else dtype, *others, **options)

    return promoted


# What a library does otherwise where JAX has float64 at all: (where it stands, its name, what makes another).
ALWAYS: tuple[tuple[Any, str, Callable[..., Any]], ...] = ((backend, "gru", _gru),)
# dtype -> what a library does less exactly in it than the dtype can, as `ALWAYS`.
PATCHES: dict[str, tuple[tuple[Any, str, Callable[..., Any]], ...]] = {
    "float64": (
        (dtypes, "BIT64_TO_BIT32_DTYPE", _float64_kept),
        (nn, "dot_product_attention", _attention),
    ),
}
# Where all that Keras casts goes through, as `PATCHES`.
PROMOTION: tuple[tuple[Any, str, Callable[..., Any]], ...] = tuple(
    (owner, name, _promoted_conversion) for owner in (backend, core) for name in ("cast", "convert_to_tensor")
)
# All that a run may patch, where it stands and its name.
PATCHED: tuple[tuple[Any, str], ...] = (
    *((owner, name) for patches in (ALWAYS, *PATCHES.values()) for owner, name, _ in patches),
    *((owner, name) for owner, name, _ in PROMOTION),
)
