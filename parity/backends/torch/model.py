"""A torch model as a corner.

What each verb promises stands in `backends.protocol`, once for all frameworks; what a verb needs, in a file of its own.

Line for line beside `parity/backends/keras/model.py`.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optree
import torch
from torch import nn

from parity.backends.build import Build, built
from parity.backends.hooks import Settings, Watch, corrected
from parity.backends.nesting import places, tensors_only
from parity.backends.protocol import Table
from parity.backends.torch import attributes, formats, hooks, layers, modules
from parity.backends.torch.losses import of_outputs, per_token
from parity.backends.torch.modes import Modes
from parity.backends.torch.operations import Recorded
from parity.backends.torch.optimizers import Trainer, trainer
from parity.backends.torch.precision import precision
from parity.backends.torch.promotion import Promoting, widen
from parity.backends.torch.running import Running
from parity.canonical.flow import Flow
from parity.canonical.form import Form
from parity.canonical.layer import called, held, trainable
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import one_by_one
from parity.dtypes import Array, Inputs, Outputs, State, transport_dtype, wide
from parity.errors import ParityError

NAME = "torch"
FORMATS = tuple(formats.FORMATS)
OFF = "model.eval() in torch"
EDITABLE = True


def seed(number: int) -> None:
    torch.manual_seed(number)


class Model:
    """One corner of torch's: a module built in one dtype, and every verb of `backends.protocol.BackendModel`."""

    def __init__(self, build: Callable[[], Any], dtype: str, pad: int | None) -> None:
        self.dtype, self.pad, self._build = dtype, pad, Build.of(build)
        self._promoted = Promoting(self._build.promote and dtype == "float64")
        with precision(dtype), modules.names_anew(), self._promoted("build"):
            self.module = built(self._build.side or NAME, build)
        modules.accept(self.module)
        self.module = modules.apart(self.module) if self._build.own else self.module
        if self._promoted.on:
            widen(self.module)
        self.module.eval()
        self.computed, self.moving = modules.evaluate(self.module, self._build)
        self._nodes = list(hooks.named_modules(self.module))
        self._running, self.unread = Running(self._call), dict[str, str]()
        self.rename(self._build.form, self._build.nodes)

    def retrace(self) -> None:
        """It traces nothing."""

    def rename(self, form: Form, nodes: tuple[str, ...]) -> None:
        self.own = layers.parameters(self.module, self._build, form.opened)
        self.layers = form.of(self.own, transport_dtype(self.dtype))
        self._names = dict(zip(self._nodes, nodes or self._nodes, strict=True))
        self.modes = Modes(self.module, self._names)
        self.attributes = attributes.of(self.module, self._names)

    def variables(self) -> list[tuple[str, Any]]:
        return modules.variables(self.module)

    def constants(self) -> dict[str, Array]:
        loose = set(map(id, modules.constants(self.module))) - set(map(id, held(self.own)))
        return {name: np.array(_array(variable)) for name, variable in self.variables() if id(variable) in loose}

    def tables(self) -> dict[str, Table]:
        own, tables = set(map(id, held(self.own))), modules.tables(self.module)
        return {name: Table(np.array(_array(of)), assign) for name, of, assign in tables if id(of) not in own}

    def read(self) -> dict[str, Array]:
        return dict(self.parameters())

    def parameters(self) -> Mapping[str, Array]:
        return one_by_one(self.layers, lambda variable: _array(variable.detach().clone()))

    def write(self, values: Mapping[str, Array]) -> None:
        for layer in self.layers:
            for part in layer.parts:
                name = f"{layer.path}.{part.parameter}"
                if name in values:
                    arrays = part.transform.unpack(values[name])
                    for variable, array in zip(part.variables, arrays, strict=True):
                        variable.detach().copy_(torch.from_numpy(np.asarray(array)))

    def fill_nan(self) -> None:
        for _, variable in self.variables():
            if modules.floats(variable):
                variable.detach().fill_(np.nan)

    def copy_parameters_from(self, other: Any) -> None:
        for ours, theirs in zip(held(self.layers), held(other.layers), strict=True):
            ours.detach().copy_(theirs.detach())

    def logits(self, ids: Array) -> Array:
        with precision(self.dtype), torch.no_grad():
            return _array(self._forward(self._tensors(ids), False))

    def eager(self, ids: Array, training: bool) -> Array:
        self.module.train(training)
        try:
            return self.logits(ids)
        finally:
            self.module.eval()

    def outputs(self, inputs: Inputs, eager: bool = False, training: bool = False) -> dict[str, Array]:  # noqa: ARG002 eager= is for twins with a graph
        self.module.train(training)
        try:
            with precision(self.dtype), torch.no_grad():
                return {
                    place: _array(tensor)
                    for place, tensor in places(self._forward(self._tensors(inputs), training)).items()
                }
        finally:
            self.module.eval()

    def loss(self, ids: Inputs, targets: Inputs) -> Array:
        with precision(self.dtype), torch.no_grad():
            return _array(self._loss(self._tensors(ids), self._tensors(targets)))

    def own_loss(self, inputs: Inputs, outputs: Mapping[str, Array], backward: bool = False) -> dict[str, Array]:
        tensors, others = self._tensors((inputs, dict(outputs)))
        with precision(self.dtype):
            with torch.no_grad():
                output = self._forward(tensors, False)
            with self._promoted("loss"):
                results = of_outputs(self._build.loss, output, others, tensors, backward)
        return {name: _array(tensor) for name, tensor in results.items()}

    def losses(self, ids: Array, targets: Array, smoothing: float) -> Array:
        with precision(self.dtype), torch.no_grad():
            logits = self._forward(self._tensors(ids), False).to(getattr(torch, wide(self.dtype)))
            return _array(per_token(logits, torch.from_numpy(targets), self.pad, smoothing))

    def gradients(self, ids: Inputs, targets: Inputs) -> dict[str, Array]:
        return self._named(self._descend(ids, targets)[1])

    def trainer(self, recipe: Recipe) -> Trainer:
        names = called(self.layers)
        sources = {names[id(variable)]: variable for variable in self._sources()}
        return trainer(self._build, self.dtype, recipe, sources, self._descend, self._named)

    def can_stream(self) -> bool:
        return hasattr(self.module, "advance")

    def advance(self, ids: Array, state: State) -> tuple[Array, Any]:
        with precision(self.dtype), torch.no_grad():
            logits, state = self.module.advance(torch.from_numpy(ids), state)
        return _array(logits), state

    def named_modules(self) -> dict[str, str]:
        return {self._names[path]: kind for path, kind in hooks.named_modules(self.module).items()}

    def run_with_hooks(
        self, ids: Inputs, links: Sequence[str], watch: Watch, training: bool = False, bare: Collection[str] = ()
    ) -> dict[str, Array]:
        named = {path: name for path, name in self._names.items() if name in links}
        with hooks.watched(self.module, named, self.layers, watch, bare, self._precisely):
            return self.outputs(ids, eager=True, training=training)

    def flow(self, inputs: Inputs) -> Flow:
        flow, tensors = Flow(self.layers, hooks.named_modules(self.module)), self._tensors(inputs)
        with precision(self.dtype), torch.no_grad(), hooks.flowing(self.module, flow):
            flow.begin(places(tensors), hooks.identity)
            flow.end(places(self._forward(tensors, False)))
        return flow

    def record(self, inputs: Inputs, loss: bool = False, form: str = "", targets: Inputs | None = None) -> Recorded:
        tensors = self._tensors(inputs)
        layers = {id(child): self._names[path] for path, child in hooks.walk(self.module)}
        named = {**dict(self.module.named_buffers()), **dict(self.variables())}
        named |= {f"input{place}": tensor for place, tensor in places(tensors).items()}
        wanted = tensors if targets is None else self._tensors(targets)
        run = partial(self._loss, tensors, wanted) if loss else partial(self._forward, tensors, False)
        return Recorded(run, self._precisely, layers, named, form, trained=partial(self._named, filled=True))

    def corrected(self, settings: Settings) -> contextlib.AbstractContextManager[None]:
        return corrected(hooks, [(self._names[path], child) for path, child in hooks.walk(self.module)], settings)

    def formats(self) -> tuple[str, ...]:
        return formats.of(self.module)

    def refusals(self) -> dict[str, str]:
        return formats.refusals(self.module)

    def save(self, path: Path) -> None:
        formats.save(self.module, path)

    def export(self, ids: Inputs, path: Path) -> None:
        if self._build.call or not isinstance(ids, np.ndarray):
            raise ParityError(f"{path}: only a model that is called on one array has a program")
        with precision(self.dtype):
            formats.export(self.module, self._tensors(ids), path)

    @contextlib.contextmanager
    def _precisely(self) -> Iterator[None]:
        with precision(self.dtype), self._promoted():
            yield

    def _tensors(self, inputs: Inputs) -> Inputs:  # floating-point ones in the model's dtype
        return optree.tree_map(lambda array: _tensor(array, self.dtype), inputs)

    def _forward(self, inputs: Inputs, training: bool) -> Outputs:
        with self._promoted(f"forward, training {training}"):
            return self._running(inputs, training)

    def _call(self, inputs: Inputs, training: bool) -> Outputs:
        call = self._build.call
        result = call(self.module, inputs, training) if call else modules.run(self.module, inputs, training)
        output, self.unread = tensors_only(result, hooks.is_tensor, self._build.unread)
        return output

    def _loss(self, ids: Inputs, targets: Inputs) -> torch.Tensor:
        output = self._forward(ids, False)
        if self._build.loss:
            with self._promoted("loss"):
                return self._build.loss(output, targets)
        if self.pad is None:
            pairs = zip([leaf for leaf in places(output).values() if leaf.is_floating_point()], targets, strict=True)
            return sum(nn.functional.mse_loss(actual, wanted) for actual, wanted in pairs)
        logits = output.to(getattr(torch, wide(self.dtype)))  # (batch, time, vocab)
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=self.pad)

    def _sources(self) -> list[Any]:
        return [variable for variable in held(self.layers) if variable.requires_grad]

    def _descend(self, ids: Inputs, targets: Inputs) -> tuple[Any, Sequence[Any]]:
        """The loss, and its gradient by every trainable variable."""
        with precision(self.dtype):
            loss, sources = self._loss(self._tensors(ids), self._tensors(targets)), self._sources()
            if sources and not loss.requires_grad:
                side = self._build.side or NAME
                raise ParityError(
                    f"the loss of {side} has no gradient: call= or the model detaches it, or needs create_graph=True "
                    "where it takes a derivative itself"
                )
            return loss.detach(), torch.autograd.grad(loss, sources, materialize_grads=True)

    def _named(self, tensors: Any, filled: bool = False) -> dict[str, Array]:
        """One tensor a trainable variable, as canonical arrays; where `filled`, by its id, and zeros for the others."""
        each = [tensors.get(id(v), torch.zeros_like(v)) for v in self._sources()] if filled else tensors
        arrays = {id(v): _array(tensor) for v, tensor in zip(self._sources(), each, strict=True)}
        return {
            name: part.transform.gradient(*(arrays.get(id(v)) for v in part.variables))
            for name, part in trainable(self.layers, modules.trained(self.module)).items()
        }


def load(build: Callable[[], Any], dtype: str, pad: int | None, path: Path) -> Model:
    return reload(Model(build, dtype, pad), path)


def reload(model: Model, path: Path) -> Model:
    formats.load(model.module, path)
    return model


def program(path: Path) -> Callable[[Any], dict[str, Array]]:
    run = formats.program(path)

    def outputs(inputs: Inputs) -> dict[str, Array]:
        with precision("float32"), torch.no_grad():  # only models in float32 are exported
            return {place: _array(tensor) for place, tensor in places(run(inputs)).items()}

    return outputs


def _tensor(array: Array, dtype: str) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    return tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor


def _array(tensor: torch.Tensor) -> Array:
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    result: Array = tensor.detach().numpy()  # a view; of a variable's memory there is none, or `released` kept it
    return result
