"""LiteRT files, read as data: what is quantised, or needs code of somebody's, is refused before anything runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from parity.backends.deployed import problems
from parity.dtypes import Array
from parity.errors import ParityError
from parity.files import read_bytes

MARK, AT = b"TFL3", slice(4, 8)  # the file identifier of the FlatBuffers schema, and where it stands
KINDS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
FLOATING = ("float16", "float32")  # types of constants, as NumPy and the schema call them
# Attributes whose numbers stand for words.
WORDS = {"fusedActivationFunction": schema.ActivationFunctionType, "padding": schema.Padding}


@dataclass(frozen=True)
class File:
    """A file's bytes, and its first subgraph."""

    data: bytes
    model: Any

    @property
    def graph(self) -> Any:
        """The first subgraph, which is what is run."""
        return self.model.subgraphs[0]

    def kind(self, operator: Any) -> str:
        """An operator's kind, as "CONV_2D"."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        # Old files have a kind in the deprecated byte alone; there kinds of 127 and more have 127.
        return str(KINDS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "unknown"))

    def name(self, tensor: int) -> str:
        """A tensor's own name, the first of those that were fused."""
        name: str = (self.graph.tensors[tensor].name or b"").decode(errors="replace").partition(";")[0]
        return name or f"tensor {tensor}"

    def label(self, operator: Any) -> str:
        """An operator as it is told: what it makes, and its kind."""
        return f"{self.name(operator.outputs[0])} ({self.kind(operator)})"


def read(path: Path) -> File:
    """A file that can be run. Raises ParityError, one line, for any other."""
    data = read_bytes(path)
    if data[AT] != MARK:
        raise ParityError(f"{path}: is no LiteRT file")
    with problems(path, "is no LiteRT file"):
        file = File(data, schema.ModelT.InitFromPackedBuf(data, 0))
        for code in file.model.operatorCodes:
            if code.customCode is not None:
                name = code.customCode.decode(errors="replace")
                raise ParityError(f"{path}: {name} is a custom operator: it needs code that parity does not load")
        for operator in file.graph.operators:
            for tensor in (*_own(operator.inputs), *_own(operator.outputs)):
                quantisation = file.graph.tensors[tensor].quantization
                if quantisation is not None and quantisation.scale is not None and len(quantisation.scale):
                    raise ParityError(
                        f"{path}: {file.name(tensor)} of {file.label(operator)} is quantised: its error is that of its "
                        "scale, not float32's, and parity judges none such"
                    )
    return file


def numbers(file: File) -> dict[str, Array]:
    """The constants of a file that float, as float32: tensor's name -> array of its shape."""
    types, buffers = {getattr(schema.TensorType, name.upper()): name for name in FLOATING}, file.model.buffers
    constants = [of for of in file.graph.tensors if of.type in types and buffers[of.buffer].data is not None]
    return {
        (of.name or b"").decode(errors="replace"): np.frombuffer(bytes(buffers[of.buffer].data), types[of.type])
        .reshape([] if of.shape is None else of.shape)
        .astype(np.float32)
        for of in constants
    }


def signature(runs: Any) -> tuple[dict[str, int], dict[str, int]]:
    """The interpreter's inputs and outputs in order, each name -> tensor, by the file's own signature if it has one."""
    own: Mapping[str, Any] = next(iter(runs._get_full_signature_list().values()), {})
    entries = []
    for details, names in (
        (runs.get_input_details(), own.get("inputs")),
        (runs.get_output_details(), own.get("outputs")),
    ):
        known = {at: name for name, at in (names or {}).items()}
        every = [(known.get(of["index"], of["name"]), of["index"]) for of in details]
        entries.append(dict(sorted(every) if names and all("_" in name for name in names) else every))
    return entries[0], entries[1]


def tensors(runs: Any) -> dict[int, Array]:
    """Every tensor that an interpreter holds, behind a run."""
    arrays = {}
    for of in runs.get_tensor_details():
        try:
            arrays[of["index"]] = np.array(runs.get_tensor(of["index"]))
        except ValueError:  # one that nothing was put in
            continue
    return arrays


def attributes(operator: Any) -> dict[str, Any]:
    """An operator's settings that are numbers."""
    options = {} if operator.builtinOptions is None else vars(operator.builtinOptions)
    return {name: _word(name, value) for name, value in options.items() if isinstance(value, bool | int | float)}


def _word(name: str, value: Any) -> Any:
    words: Mapping[str, Any] = vars(WORDS[name]) if name in WORDS else {}
    return next((word for word, number in words.items() if number == value and not word.startswith("_")), value)


def _own(places: Any) -> Iterator[int]:
    """The tensors of an operator that are there; -1 stands for one that is left out."""
    yield from (int(place) for place in ([] if places is None else places) if place >= 0)
