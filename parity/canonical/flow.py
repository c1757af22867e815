"""Flow: which layers' outputs go into which layers, as one run of a model shows it.

Every tensor carries the names of the layers that it comes from; an operation marks its results with what its operands
are marked with. That is how a port is linked whose layers have other names: by what is given to whom.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import optree

from parity.canonical.custom import CUSTOM
from parity.canonical.layer import Layer

INPUT, OUTPUT = "-> model", "model ->"  # no layer is called so
WAYS = ("forward", "backward")  # the two steps of a path that are directions of a recurrent layer, given the same input


class Flow:
    """Layer -> the layers, and inputs of the model, that go into it: `before`, in the order of first calls.

    The model's inputs and outputs stand among the layers, and in `ends`, by their places. `units` are the modules that
    hold layers with parameters: path -> (kind, layers in stages); each stage is given what the one before it makes, as
    the second layer of a stacked LSTM.

    A backend makes one a run: `begin`, then the model's run with `around` at each unit's call and `operation` at each
    operation between, then `end`. `nodes` are the paths of all modules; without layers, a flow is empty data.
    """

    def __init__(self, layers: Iterable[Layer] = (), nodes: Iterable[str] = ()) -> None:
        self.before: dict[str, set[str]] = {}
        self.ends: set[str] = set()
        self.units: dict[str, tuple[str, list[list[str]]]] = {}
        self._marks: dict[Hashable, frozenset[str]] = {}
        self._loose: dict[str, Sequence[Any]] = {}  # layer -> variables, of one that no module's call is
        self._own: dict[Hashable, frozenset[str]] = {}  # what is made of such variables alone
        # Every marked tensor is held until the run ends: the memory of one that is freed goes to another, and with it
        # the identity.
        self._kept: list[Any] = []
        for layer in layers:
            unit = _unit(layer, nodes)
            if unit is None:
                self._loose[layer.path] = [variable for part in layer.parts for variable in part.variables]
            if layer.parts and unit is not None:
                _, stages = self.units.setdefault(unit, (layer.kind, []))
                if stages and _stage(stages[-1][0]) == _stage(layer.path):
                    stages[-1].append(layer.path)
                else:
                    stages.append([layer.path])

    def after(self) -> dict[str, set[str]]:
        """The same graph with its arrows turned round: name -> the names of what its output goes into."""
        after: dict[str, set[str]] = {name: set() for name in self.before}
        for name, sources in self.before.items():
            for source in sources:
                after[source].add(name)
        return after

    def begin(self, inputs: Mapping[str, Any], identity: Callable[[Any], Hashable]) -> None:
        """Start a run: mark the tensors that the model is given, place -> tensor.

        `identity` gives the same key for tensors that share their numbers, as views do, and None for what is no tensor.
        """
        self._identity = identity
        for name, variables in self._loose.items():
            self._own.update((identity(variable), frozenset([name])) for variable in variables)
        for place, tensor in inputs.items():
            self.before[f"{INPUT}{place}"] = set()
            self._mark([tensor], frozenset([f"{INPUT}{place}"]))

    def end(self, outputs: Mapping[str, Any]) -> None:
        """End a run: note what the model's outputs, place -> tensor, come from, and let all tensors go."""
        for place, tensor in outputs.items():
            self.before[f"{OUTPUT}{place}"] = set(self._sources([tensor]))
        self.ends = {name for name in self.before if name.startswith((INPUT, OUTPUT))}
        self._marks.clear()
        self._own.clear()
        self._kept.clear()

    def operation(self, operands: Any, results: Any) -> None:
        """Mark an operation's results with what its operands, in any nesting, come from.

        One that takes a variable of no module's beside what comes from layers is that variable's layer.
        """
        inputs, outputs = optree.tree_leaves(operands), optree.tree_leaves(results)
        own = self._told(self._own, inputs)
        sources = self._sources(inputs) - own
        for name in own:
            self.before.setdefault(name, set()).update(sources)
        self._mark(outputs, own or sources)
        # Nothing of the input has come in yet, as where a kernel is normed before it is used: the layer is further on.
        if own and not sources:
            self._own.update((self._identity(tensor), own) for tensor in outputs)

    def around(self, path: str, call: Callable[..., Any], parted: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
        """Wrap a unit's call, so that it marks its results and notes what its layers were given.

        `parted` is the framework's `split_mask_arguments`: a mask is no input that links layers.
        """
        kind, stages = self.units[path]

        def run(*args: Any, **kwargs: Any) -> Any:
            shown: Any = parted(kind, call, args, dict(kwargs))[:2]
            sources: Iterable[str] = self._sources(optree.tree_leaves(shown))
            for stage in stages:
                for layer in stage:
                    self.before.setdefault(layer, set()).update(sources)
                sources = stage
            result = call(*args, **kwargs)
            self._mark(optree.tree_leaves(result), frozenset(sources))
            return result

        return run

    def _sources(self, tensors: Sequence[Any]) -> frozenset[str]:
        return self._told(self._marks, tensors)

    def _told(self, marks: Mapping[Hashable, frozenset[str]], tensors: Sequence[Any]) -> frozenset[str]:
        """All names that these tensors are marked with."""
        names = (name for tensor in tensors if (name := self._identity(tensor)) is not None)
        return frozenset().union(*(marks.get(name, ()) for name in names))

    def _mark(self, tensors: Sequence[Any], sources: frozenset[str]) -> None:
        self._kept += tensors
        for tensor in tensors:
            if (name := self._identity(tensor)) is not None:
                self._marks[name] = sources


def _unit(layer: Layer, nodes: Iterable[str]) -> str | None:
    """The module that is a layer, or has it inside as one of several: the innermost of the paths in `nodes`.

    None of a layer of the user's own that no module is: of a model that is told whole, or of a lone variable.
    """
    holding = [path for path in nodes if not path or f"{layer.path}.".startswith(f"{path}.")]
    unit = max(holding, key=len, default=None)
    return None if layer.kind == CUSTOM and unit != layer.path else unit


def _stage(path: str) -> list[str]:
    """A path without its direction: the two directions of one recurrent layer are one stage."""
    return [step for step in path.split(".") if step not in WAYS]
