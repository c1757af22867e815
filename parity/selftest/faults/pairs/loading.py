"""A checkpoint that is loaded into a model of either framework: values by canonical name, and what becomes of them."""

import importlib
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from parity.canonical.weights import Weights, draw
from parity.dtypes import Array, Module, Variable

Values = dict[str, Array]
Change = Callable[[Values], Values]


def parts(side: str, model: Module) -> list[tuple[str, str, Any]]:
    """Each canonical parameter of a model: its name, its layer's kind, and the part that holds it."""
    layers = importlib.import_module(f"parity.backends.{side}").layers.layers(model, {})
    return [(f"{layer.path}.{part.parameter}", layer.kind, part) for layer in layers for part in layer.parts]


def checkpoint(side: str, model: Module) -> Any:
    """Load the values of a checkpoint into a model, and give it back: of each name the same, whatever the framework.

    A parameter's seed is a checksum of its name, so that the values need no file and no order.
    """

    def value(name: str, kind: str, shape: tuple[int, ...]) -> Array:
        return draw({name: (kind, shape)}, Weights(zlib.crc32(name.encode()) % 2**16, 1.0))[name]

    arrays = values(side, model)
    write(side, model, {name: value(name, kind, arrays[name].shape) for name, kind, _ in parts(side, model)})
    return model


def values(side: str, model: Module) -> Values:
    """What a model holds, by canonical name; copies."""
    return {name: np.array(part.transform.pack(*map(_array, part.variables))) for name, _, part in parts(side, model)}


def write(side: str, model: Module, arrays_given: Values) -> None:
    """Set the parameters that are named, by canonical name; the others stay. Arrays take the variables' dtype."""
    for name, _, part in parts(side, model):
        arrays = part.transform.unpack(arrays_given[name]) if name in arrays_given else ()
        for variable, array in zip(part.variables, arrays, strict=False):
            _assign(variable, np.asarray(array, _array(variable).dtype))


def loading(side: str, change: Change) -> Callable[[Any], None]:
    """What a wrong converter makes of a model: its values passed through `change`, which may leave some out."""
    return partial(_loaded, side, change)


def _loaded(side: str, change: Change, model: Module) -> None:
    write(side, model, change(values(side, model)))


def _array(variable: Variable) -> Array:
    array: Array = (variable.detach() if hasattr(variable, "detach") else variable).numpy()
    return array


def _assign(variable: Variable, array: Array) -> None:
    if hasattr(variable, "detach"):
        import torch

        variable.detach().copy_(torch.from_numpy(array.copy()))
    else:
        variable.assign(array)
