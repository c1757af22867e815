"""ONNX files: float32 by ONNX Runtime, float64 by the reference implementation of the same graph.

A side is a file's path; behind an @, how far ONNX Runtime may optimise it: "acme.onnx@none", one of `OPTIMISATIONS`.

    files         a file read as data, and what of it is refused
    double        the graph in float64: which constants are raised how, and operators whose own code is not exact then
    convolution   an operator written anew, where the reference implementation's is too slow
    operations    a run, node by node
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from parity.backends.build import Build
from parity.backends.deployed import EDITABLE as EDITABLE
from parity.backends.deployed import PROGRAM as PROGRAM
from parity.backends.deployed import Deployed, problems, source
from parity.backends.deployed import alternating as alternating
from parity.backends.deployed import prepare as prepare
from parity.backends.deployed import reload as reload
from parity.backends.onnx import files
from parity.backends.onnx.double import Double, exact, numbers, with_numbers
from parity.backends.onnx.operations import Recorded
from parity.compare.divergence import divergence
from parity.compare.judge import judge_difference
from parity.dtypes import PRECISIONS, Array
from parity.errors import ParityError

NAME = "onnx"
FORMATS = (".onnx",)
LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
STEPS = 5  # of ids, in which what a recurrence makes of its state is seen
REFERENCE = "reference"  # in the place of a level: the graph's own definition, in NumPy


def versions() -> dict[str, str]:
    """As `Running`."""
    return {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}


class Model(Deployed):
    """The graph of a file in one precision. Its parameters are the initializers that float, by their names."""

    formats_of = FORMATS

    def __init__(self, build: Build, dtype: str, pad: int | None) -> None:
        super().__init__(build, dtype, pad)
        if dtype not in PRECISIONS:
            raise ParityError("an ONNX graph runs in float32, and in float64 by its reference implementation")
        self._path, self.way = source(build, (*LEVELS, REFERENCE), "all")
        self._graph = files.read(self._path)
        with problems(self._path, "has a tensor that cannot be read"):
            self._values = numbers(self._graph)
        self._session: Any = None
        self._reference: Any = None
        self._given: dict[str, Array] = {}  # what it ran on last
        self._seen: list[Mapping[str, Any]] | None = None  # what it made, while somebody looks
        initializers = {tensor.name for tensor in self._graph.graph.initializer}
        self.slots = [files.slot(value) for value in self._graph.graph.input if value.name not in initializers]
        self._names = [value.name for value in self._graph.graph.output]
        if dtype == "float64":
            self._agree()
        elif self.way != REFERENCE:
            self._session = self._opened(self._graph)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """As `Deployed`."""
        self._given = dict(feeds)
        if self.dtype == "float64" or self.way == REFERENCE or self._seen is not None:
            values = self.values()
            arrays = [values[name] for name in self._names]
        else:
            self._session = self._session or self._opened(self._graph)
            with problems(self._path, "ONNX Runtime cannot run it"):
                arrays = [np.asarray(array) for array in self._session.run(self._names, self._given)]
        return [array.astype(self.dtype) if array.dtype.kind == "f" else array for array in arrays]

    def values(self) -> dict[str, Any]:
        """Run the graph again on the last inputs: value's name -> array, of initializers and inputs too."""
        if self.dtype == "float32" and self.way != REFERENCE:
            # ONNX Runtime gives outputs alone, and optimising would remove what is inside.
            session = self._opened(files.exposed(self._graph))
            with problems(self._path, "ONNX Runtime cannot run it"):
                arrays = session.run(None, self._given)
            values = {**self.read(), **self._given}
            values |= zip((of.name for of in session.get_outputs()), arrays, strict=True)
        else:
            if self._reference is None:
                self._reference = (Double if self.dtype == "float64" else ReferenceEvaluator)(self._graph)
            feeds = {**self.read(), **self._given} if self.dtype == "float64" else self._given
            with problems(self._path, "onnx.reference cannot run it"):
                values = self._reference.run(None, feeds, intermediate=True)
        if self._seen is not None:
            self._seen.append(values)
        return values

    def record(self, inputs: Any, loss: bool = False, form: str = "", targets: Any = None) -> Recorded:  # noqa: ARG002 it has one form and no loss
        """As `Recordable`; in float32 as ONNX Runtime computes it unoptimised."""
        return Recorded(self._graph, *self.seen(inputs))

    def seen(self, inputs: Any) -> tuple[list[Mapping[str, Any]], dict[str, Array]]:
        """Run the graph: value's name -> array, one such for each row where its batch is one; and place -> output."""
        runs: list[Mapping[str, Any]] = []
        self._seen = runs
        try:
            return runs, self.outputs(inputs)
        finally:
            self._seen = None

    def read(self) -> dict[str, Array]:
        """As `Weighted`."""
        return {name: exact(array) if self.dtype == "float64" else array for name, array in self._values.items()}

    def parameters(self) -> Mapping[str, Array]:
        """As `Weighted`, without single numbers: these are exponents and bounds, which the graph's author wrote."""
        return {name: array for name, array in self.read().items() if array.size > 1}

    def write(self, values: Mapping[str, Array]) -> None:
        """As `Weighted`."""
        self._values |= {name: np.array(array) for name, array in values.items() if name in self._values}
        if self.dtype == "float32":
            self._graph = with_numbers(self._graph, self._values)
            self._session = self._reference = None

    def copy_parameters_from(self, other: Any) -> None:
        """As `Weighted`."""
        self.write({name: exact(array) if self.dtype == "float64" else array for name, array in other.read().items()})

    def fill_nan(self) -> None:
        """As `Savable`."""
        self.write({name: np.full_like(array, np.nan) for name, array in self._values.items()})

    def save(self, path: Path) -> None:
        """As `Savable`."""
        files.write(self._graph, path)

    def export(self, ids: Any, path: Path) -> None:  # noqa: ARG002 as every model's
        """As `Savable`."""
        raise ParityError(f"{path}: an ONNX file is a program")

    def _opened(self, graph: Any) -> Any:
        """A session of ONNX Runtime for a graph, on one thread; the own one optimised as the side says."""
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = LEVELS[self.way if graph is self._graph else "none"]
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        with problems(self._path, "ONNX Runtime cannot load it"):
            data = graph.SerializeToString()
            return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def _agree(self) -> None:
        """Raise ParityError where the reference implementation's values are not ONNX Runtime's, unoptimised.

        It ignores some attributes of some kinds, without a word: its float64 would then be no reference. Each value is
        judged by the reference's own float32 rounding error.
        """
        sample = self.build.sample if self.pad is None else np.repeat(self.build.sample, STEPS, 1)
        ways: list[Any] = [f"{self._path}@none", f"{self._path}@{REFERENCE}"]
        models = [self, *(Model(replace(self.build, make=way), "float32", self.pad) for way in ways)]
        with problems(self._path, "onnx.reference cannot run it"):
            exactly, runtime, rounded = (model.seen(sample)[0][0] for model in models)
        for node in self._graph.graph.node:
            for name in (name for name in node.output if getattr(exactly.get(name), "dtype", None) == np.float64):
                noise, apart = (
                    divergence(rounded[name], exactly[name]).max_abs_diff,
                    divergence(runtime[name], exactly[name]),
                )
                if judge_difference(apart, (noise, noise), whole=False)[0] == "different":
                    raise ParityError(f"onnx.reference does not compute what ONNX Runtime does in {files.label(node)}")
