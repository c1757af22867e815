"""What JAX adds to Keras, as `parity.backends.keras.engine` has it.

Line for line beside `parity/backends/tensorflow/engine.py`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from parity.backends.jax import scopes
from parity.backends.jax.arithmetic import Held as Held
from parity.backends.jax.arithmetic import Number as Number
from parity.backends.jax.arithmetic import clipped as clipped
from parity.backends.jax.operations import Recorded as Recorded
from parity.backends.jax.precision import kept as kept
from parity.backends.jax.precision import precision as precision
from parity.backends.jax.program import PROGRAM as PROGRAM
from parity.backends.jax.program import export as export
from parity.backends.jax.program import program as program
from parity.backends.jax.running import Running as Running
from parity.backends.jax.seeing import seen
from parity.backends.keras.policy import holding
from parity.backends.nesting import places as places
from parity.backends.nesting import spread as spread
from parity.backends.nesting import tensors_only as tensors_only
from parity.dtypes import Array, Tensor, Variable

NAME = "jax"
FORMS = "a Keras model, or a callable with variables"
TRACKABLE: tuple[Any, ...] = ()
VARIABLE: tuple[Any, ...] = ()
TENSOR = jax.Array
checkpoints = None


def versions() -> dict[str, str]:
    return {"jax": jax.__version__, "keras": keras.__version__}


def seed(number: int) -> None:
    """Do nothing: JAX's random numbers come from keys that are passed on, and Keras keeps its own states."""


def seeded() -> contextlib.AbstractContextManager[None]:
    """Change nothing, as `seed`."""
    return contextlib.nullcontext()


def reseeded() -> contextlib.AbstractContextManager[None]:
    """Change nothing, as `seed`."""
    return contextlib.nullcontext()


def empty() -> Sequence[Any]:
    return ()


def eager() -> contextlib.AbstractContextManager[None]:
    return scopes.eager()


def is_eager() -> bool:
    """Always: what is compiled here is in evaluation mode, and keeps nothing that it draws."""
    return True


def held(holder: Any) -> Iterator[tuple[str, Any]]:
    raise TypeError(f"{holder}: nothing but Keras's layers holds variables")


def raw(variable: Variable) -> keras.Variable:
    """Keras's own: JAX has none."""
    return variable


def value(variable: Variable) -> jax.Array:
    return variable.value


def assign(variable: Variable, value: Any) -> None:
    variable.assign(np.array(value) if isinstance(value, np.ndarray) else value)  # JAX may go on reading its memory


def state(like: Variable) -> keras.Variable:
    return keras.Variable(jnp.zeros(like.shape, like.dtype), dtype=like.dtype, trainable=False)


def tensor(array: Array, dtype: Any = None) -> jax.Array:
    return jnp.array(array, dtype)


def cast(tensor: Any, dtype: Any) -> jax.Array:
    return jnp.asarray(_value(tensor), dtype)


def array(tensor: Any) -> Array:
    return np.array(view(_value(tensor)))


def view(tensor: jax.Array) -> Array:
    return np.asarray(tensor.astype(jnp.float32) if tensor.dtype == jnp.bfloat16 else tensor)


def is_tensor(leaf: object) -> bool:
    return isinstance(leaf, jax.Array | keras.Variable)


def is_packed(_: object) -> bool:
    return False  # Keras has no rows of unequal lengths here


def padded(leaf: Any) -> tuple[Any, Sequence[int]]:
    raise TypeError(f"{leaf}: JAX has no rows of unequal lengths")


def packed(_: Tensor, like: Tensor) -> Tensor:
    raise TypeError(f"{like}: JAX has no rows of unequal lengths")


def instead(tensor: jax.Array, other: Any) -> jax.Array:
    if not jnp.issubdtype(other.dtype, jnp.floating):
        return other

    # The value is the other's, the derivative this one's: a straight-through estimator.
    exchanged = jax.custom_vjp(lambda _: other)
    exchanged.defvjp(lambda _: (other, None), lambda _, gradient: (gradient,))
    return exchanged(tensor)


def identity(tensor: Tensor) -> Any:
    return id(_value(tensor)) if is_tensor(tensor) else None


@contextlib.contextmanager
def operations_seen(tell: Callable[[Any, Any], None]) -> Iterator[None]:
    with eager(), seen(lambda _, operands, results, __: tell(operands, results)):
        yield


def descend(loss: Callable[[], Any], variables: Sequence[Variable]) -> tuple[Any, list[Any]]:
    def lost(values: Sequence[Any]) -> Any:
        with holding(variables, values):
            return loss()

    scalar, slopes = jax.value_and_grad(lost)([variable.value for variable in variables])
    return scalar, slopes


def gradients(
    run: Callable[[Sequence[Any]], Sequence[Any]], inputs: Sequence[Any], variables: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    tensors = [jnp.asarray(tensor) for tensor in inputs]
    floating = [place for place, tensor in enumerate(tensors) if jnp.issubdtype(tensor.dtype, jnp.floating)]
    trained = [variable for variable in variables if variable.trainable]

    def total(floats: Sequence[Any], values: Sequence[Any]) -> Any:
        others = dict(zip(floating, floats, strict=True))
        with holding(trained, values):
            return sum(jnp.sum(each) for each in run([others.get(at, tensor) for at, tensor in enumerate(tensors)]))

    sources = [tensors[place] for place in floating], [variable.value for variable in trained]
    by_inputs, by_values = jax.grad(total, (0, 1))(*sources)
    known, own = dict(zip(floating, by_inputs, strict=True)), dict(zip(map(id, trained), by_values, strict=True))
    return [known.get(place) for place in range(len(tensors))], [own.get(id(variable)) for variable in variables]


def repeated() -> dict[str, Any]:
    return {}


def _value(tensor: Any) -> Any:
    return tensor.value if isinstance(tensor, keras.Variable) else tensor
