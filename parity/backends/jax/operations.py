"""What a Keras model on JAX does, operation by operation, as it runs.

Its counterpart is `parity/backends/torch/operations.py`.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jaxlib
import keras
import numpy as np

from parity.backends.jax.backward import Pulling
from parity.backends.jax.scopes import eager
from parity.backends.jax.seeing import seen
from parity.backends.nesting import places
from parity.backends.operations import GRADIENTS, Operation, Trace, frames, users
from parity.dtypes import Inputs

FRAMEWORK = tuple(str(Path(package.__file__).parent) for package in (jax, jaxlib, keras))
OPERANDS = ("x", "y")  # what JAX calls those of an operation, as a rule


class Recorded:
    """A run of a function of tensors, operation by operation.

    `scoped` is `keras.modules.scoped` of the layers; of the form "unmasked" they are given no masks, of `GRADIENTS`
    there are gradients.
    """

    def __init__(
        self,
        run: Callable[[Any], Any],
        inputs: Inputs,
        precisely: Callable[[], AbstractContextManager[None]],
        scoped: Callable[..., AbstractContextManager[None]],
        form: str = "",
    ) -> None:
        self.trace = Trace()
        self._layers = [""]  # the layers that are being called, the innermost last
        self._places: dict[int, int] = {}  # of an array, by its identity
        self._kept: list[Any] = []  # an array that is gone would hand its identity on
        for name, tensor in places(inputs).items():
            self._keep(tensor, f"input {name}".strip())
        unmasked = form == "unmasked"
        with precisely(), eager():
            with scoped(self._entered, self.trace.masks, unmasked), seen(self._tell):
                outputs = places(run(inputs))
            for place, tensor in outputs.items():
                if isinstance(tensor, jax.Array):
                    at = self.trace.outputs[place] = self._place(tensor)
                    self.trace.values[at] = Trace.value(_array(tensor), self.trace.values[at].leaf, whole=True)
            if form == GRADIENTS:
                Pulling(self.trace, self._places).into(run, inputs)

    @contextlib.contextmanager
    def _entered(self, path: str) -> Iterator[None]:
        """Inside, operations are those of this layer, as far as they are of no layer in it."""
        self._layers.append(path)
        try:
            yield
        finally:
            self._layers.pop()

    def _tell(self, name: str, operands: Sequence[Any], results: Sequence[Any], params: Mapping[str, Any]) -> None:
        if all(id(result) in self._places for result in results):
            return  # it gives what it was given
        takes = [(_called(n), self._place(one)) for n, one in enumerate(operands) if _is_number(one)]
        makes = tuple(self._keep(result) for result in results if _is_number(result))
        lines = ((frame.f_code.co_filename, frame.f_lineno) for frame in frames())
        line = users(islice(lines, 1, None), FRAMEWORK)  # the first is this one
        whole = len(takes) == len(operands)
        settings = {**self.trace.constants(takes), **_settings(params)}
        self.trace.operations.append(Operation(name, tuple(takes), makes, settings, self._layers[-1], line, whole))

    def _place(self, tensor: Any) -> int:
        """The place of a value; of one that no operation has made, of a variable or a constant."""
        if id(tensor) in self._places:
            return self._places[id(tensor)]
        array = _array(tensor)
        variable = isinstance(tensor, jax.Array) and array.dtype.kind == "f" and array.ndim > 0
        return self._keep(tensor, f"{'variable' if variable else 'constant'} {len(self._kept)}")

    def _keep(self, tensor: Any, leaf: str = "") -> int:
        self._kept.append(tensor)
        self._places[id(tensor)] = self.trace.add(_array(tensor), leaf)
        return self._places[id(tensor)]


def _called(number: int) -> str:
    return OPERANDS[number] if number < len(OPERANDS) else str(number)


def _is_number(tensor: Any) -> bool:
    """Whether an operand is an array or a number; a random key, of an extended dtype, is none."""
    dtype = getattr(tensor, "dtype", None)
    return (dtype is None and isinstance(tensor, bool | int | float)) or (
        dtype is not None and not jax.dtypes.issubdtype(dtype, jax.dtypes.extended)
    )


def _settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """What an operation is set to, as far as it is plain."""
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in sorted(params.items())}
    return {
        name: value
        for name, value in plain.items()
        if value not in (None, [])
        and all(isinstance(of, bool | int | float | str) for of in (value if isinstance(value, list) else [value]))
    }


def _array(tensor: Any) -> Any:
    array = np.asarray(tensor)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
