"""How a reference pair's models are built: one class of a name in each of a folder's two files."""

import importlib
from functools import partial
from typing import Any

from parity import backends
from parity.dtypes import Module


def twins(folder: str, name: str, *arguments: Any) -> dict[str, Any]:
    """Side -> a builder of the class `name` in the folder's torch.py and tensorflow.py, called with `arguments`.

    The second side is that of the backend that Keras runs on in this process. Builders can be pickled.
    """
    files = {"torch": "torch", backends.keras_side(): "tensorflow"}
    return {side: partial(_build, f"{folder}.{file}", name, *arguments) for side, file in files.items()}


def _build(module: str, name: str, *arguments: Any) -> Module:
    return getattr(importlib.import_module(module), name)(*arguments)
