"""What a LiteRT file does, operator by operator: the tensors that are left behind a run."""

from collections.abc import Mapping, Sequence

import numpy as np

from parity.backends.deployed import outcome
from parity.backends.litert.files import File, attributes
from parity.backends.operations import Operation, Trace
from parity.dtypes import Array


class Recorded:
    """A run of a file. An operation's `layer` is the name of what it makes; it has no line of code.

    `inputs` is tensor -> name, `runs` the tensors, one run a row where the batch is one; `outputs` what is given.
    """

    def __init__(
        self, file: File, inputs: Mapping[int, str], runs: Sequence[Mapping[int, Array]], outputs: Mapping[str, Array]
    ) -> None:
        self.trace, places, graph = Trace(), dict[int, int](), file.graph
        computed = {int(at) for operator in graph.operators for at in operator.outputs}
        for at in (at for at in runs[0] if at < len(graph.tensors) and at not in computed):
            leaf = f"input {inputs[at]}" if at in inputs else f"constant {file.name(at)}"
            places[at] = self._keep(at, runs if at in inputs else runs[:1], leaf)
        for operator in graph.operators:
            takes = tuple((str(n), places[at]) for n, at in enumerate(operator.inputs) if at in places)
            own = [int(at) for at in operator.outputs if at in runs[0]]
            places |= {at: self._keep(at, runs) for at in own}
            makes, settings = tuple(places[at] for at in own), self.trace.constants(takes, "biu") | attributes(operator)
            name = file.name(int(operator.outputs[0]))
            self.trace.operations.append(Operation(file.kind(operator), takes, makes, settings, name, None))
        ends = [places[int(at)] for at in graph.outputs if int(at) in places]
        self.trace.outputs = {place: outcome(self.trace, array, ends) for place, array in outputs.items()}

    def _keep(self, at: int, runs: Sequence[Mapping[int, Array]], leaf: str = "") -> int:
        arrays = [unbounded(run[at]) for run in runs]
        return self.trace.add(arrays[0] if len(arrays) == 1 else np.stack(arrays), leaf)


def unbounded(array: Array) -> Array:
    """The array with infinities where it has float32's largest number, which the converter writes for them."""
    if array.dtype != np.float32 or not (bounds := np.abs(array) == np.finfo(np.float32).max).any():
        return array
    return np.where(bounds, np.copysign(np.float32(np.inf), array), array)
