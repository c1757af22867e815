"""LiteRT files, .tflite: float32 by the interpreter; they have no float64, and so three corners.

A side is a file's path; behind an @, which kernels run it: "acme.tflite@builtin", one of `KERNELS`. `files` reads a
file as data and says what is refused; `operations` is a run, operator by operator.
"""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from parity.backends.build import Build
from parity.backends.deployed import EDITABLE as EDITABLE
from parity.backends.deployed import PROGRAM as PROGRAM
from parity.backends.deployed import Deployed, Slot, problems, source
from parity.backends.deployed import alternating as alternating
from parity.backends.deployed import prepare as prepare
from parity.backends.deployed import reload as reload
from parity.backends.litert import files
from parity.backends.litert.operations import Recorded
from parity.dtypes import Array
from parity.errors import ParityError
from parity.files import replacing

NAME = "litert"
FORMATS = (".tflite",)
KERNELS = {
    "delegated": OpResolverType.BUILTIN,  # XNNPACK's, where it has some
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}


def versions() -> dict[str, str]:
    """As `Running`."""
    return {"ai-edge-litert": metadata.version("ai-edge-litert")}


class Model(Deployed):
    """A file's first subgraph in float32. Raises ParityError for another dtype, and for a file that cannot be run."""

    formats_of = FORMATS

    def __init__(self, build: Build, dtype: str, pad: int | None) -> None:
        super().__init__(build, dtype, pad)
        if dtype != "float32":
            raise ParityError("a LiteRT file holds float32, and its kernels know no other")
        self._path, self.way = source(build, KERNELS, "delegated")
        self._file = files.read(self._path)
        self._runs = self._opened(KERNELS[self.way])
        inputs, outputs = files.signature(self._runs)
        details = {of["index"]: of for of in self._runs.get_input_details()}
        self._inputs, self._outputs = {name: details[at] for name, at in inputs.items()}, outputs
        self.slots = [_slot(name, of) for name, of in self._inputs.items()]
        self._seen: list[dict[int, Array]] | None = None  # what it made, while somebody looks

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """As `Deployed`."""
        with problems(self._path, "LiteRT cannot run it"):
            # A delegate runs several operators as one, and leaves nothing of what is in between.
            runs = self._runs if self._seen is None else self._opened(KERNELS["builtin"], everything=True)
            for name, of in self._inputs.items():
                runs.resize_tensor_input(of["index"], feeds[name].shape)
            runs.allocate_tensors()
            for name, of in self._inputs.items():
                runs.set_tensor(of["index"], feeds[name])
            runs.invoke()
            if self._seen is not None:
                self._seen.append(files.tensors(runs))
            return [np.array(runs.get_tensor(at)) for at in self._outputs.values()]

    def named(self, arrays: list[Array]) -> Any:
        """As `Deployed`: names that the author gave are places."""
        if all(name.startswith("output_") for name in self._outputs) or len(arrays) == 1:
            return super().named(arrays)
        return dict(zip(self._outputs, arrays, strict=True))

    def record(self, inputs: Any, loss: bool = False, form: str = "", targets: Any = None) -> Recorded:  # noqa: ARG002 it has one form and no loss
        """As `Recordable`, by the kernels that are built in."""
        self._seen = []
        try:
            outputs = self.outputs(inputs)
            return Recorded(self._file, {of["index"]: name for name, of in self._inputs.items()}, self._seen, outputs)
        finally:
            self._seen = None

    def read(self) -> dict[str, Array]:
        """The constants that float, as float32, by the names of their tensors; they cannot be written."""
        return files.numbers(self._file)

    def fill_nan(self) -> None:
        """As `Savable`: it is read anew, whatever is in it."""

    def save(self, path: Path) -> None:
        """As `Savable`."""
        with replacing(path) as temporary:
            temporary.write_bytes(self._file.data)

    def export(self, ids: Any, path: Path) -> None:  # noqa: ARG002 as every model's
        """As `Savable`."""
        raise ParityError(f"{path}: a LiteRT file is a program")

    def _opened(self, kernels: Any, everything: bool = False) -> Any:
        with problems(self._path, "LiteRT cannot load it"):
            return Interpreter(
                model_content=self._file.data,
                num_threads=1,
                experimental_op_resolver_type=kernels,
                experimental_preserve_all_tensors=everything,
            )


def _slot(name: str, of: Mapping[str, Any]) -> Slot:
    return Slot(name, np.dtype(of["dtype"]), tuple(int(size) if size >= 0 else None for size in of["shape_signature"]))
