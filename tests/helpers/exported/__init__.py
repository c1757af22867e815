"""A backend that can only run: a program that torch.export wrote, a .pt2 file, which is data and is loaded as such.

It is this folder, and one line where it is registered.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optree
import torch

from parity.backends.build import Build
from parity.backends.nesting import places, spread
from parity.dtypes import Array
from parity.errors import ParityError

NAME = "exported"


def prepare() -> str:
    """torch has been prepared before it."""
    return ""


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


@contextlib.contextmanager
def alternating() -> Iterator[None]:
    yield


class Model:
    """The program, in the precision that it was saved in."""

    def __init__(self, build: Build, dtype: str, pad: int | None) -> None:
        if dtype != "float32":
            raise ParityError("a saved program computes in the precision that it was saved in")
        self.dtype, self.pad, self.unread = dtype, pad, dict[str, str]()
        path = Path(build.make)
        try:
            self._run = torch.export.load(path).module()
        except Exception as error:  # whatever torch raises of a file that is none of its own
            raise ParityError(f"{path}: is no program of torch.export") from error

    def logits(self, ids: Array) -> Array:
        return self.outputs(ids)[""]

    def eager(self, ids: Array, training: bool) -> Array:  # noqa: ARG002 it has one mode
        return self.logits(ids)

    def outputs(self, inputs: Any, eager: bool = False, training: bool = False) -> dict[str, Array]:  # noqa: ARG002 it has one
        args, named = spread(optree.tree_map(torch.from_numpy, inputs), self._run.forward)
        with torch.no_grad():
            return {place: np.array(tensor) for place, tensor in places(self._run(*args, **named)).items()}
