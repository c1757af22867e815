"""The plain attributes of a Keras model.

Line for line beside `parity/backends/torch/attributes.py`.
"""

import inspect
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras

from parity.backends.attributes import Attributes
from parity.backends.keras import modules
from parity.backends.keras.engine import engine
from parity.backends.keras.hooks import walk as walk
from parity.dtypes import Module

LIBRARIES = ("keras", "tf_keras", engine.NAME)


def of(module: Module, names: Mapping[str, str]) -> Attributes:
    return Attributes(sys.modules[__name__], module, names)


def bare() -> Collection[str]:
    with modules.names_anew():
        layers = [kind() for name in ("Model", "layers.Layer") for kind in modules.keras_kinds(name)]
    return {name for layer in (*layers, *engine.empty()) for name in vars(layer)}


def remedy(holders: Sequence[Any], name: str, value: str, suffix: str) -> str:
    if suffix != ".keras":
        return f"build the model with {name} {value} every time: such a file holds variables alone"
    # The outermost layer that its constructor makes: those of a Functional or Sequential model are made one by one.
    kind = next((type(of) for of in holders if not modules.is_listed(of)), type(holders[-1]))
    takes = name in inspect.signature(kind.__init__).parameters
    what = name if takes else f"what its constructor makes {name} of"
    if issubclass(kind, keras.Model) and kind.get_config is keras.Model.get_config:
        version = ".".join(keras.__version__.split(".")[:2])
        saved = f"Keras {version} saves the defaults of a Model's constructor"
        return f"give {kind.__name__} a get_config that hands {what} on: {saved}"
    return f"hand {what} on in {kind.__name__}'s get_config"
