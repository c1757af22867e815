"""The plain attributes of a torch model.

Line for line beside `parity/backends/keras/attributes.py`.
"""

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import nn

from parity.backends.attributes import Attributes
from parity.backends.torch.hooks import walk as walk

LIBRARIES = ("torch",)


def of(module: nn.Module, names: Mapping[str, str]) -> Attributes:
    return Attributes(sys.modules[__name__], module, names)


def bare() -> Collection[str]:
    return set(vars(nn.Module()))


def remedy(holders: Sequence[Any], name: str, value: str, suffix: str) -> str:  # noqa: ARG001 no module makes others anew
    return f"build the model with {name} {value} every time, or make it a buffer: a state_dict holds tensors alone"
