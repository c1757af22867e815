"""A Keras model as a corner, whatever Keras runs on.

Line for line beside `parity/backends/torch/model.py`.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import optree
from keras.src.random.seed_generator import global_seed_generator

from parity.backends.build import Build, built
from parity.backends.hooks import Settings, Watch, corrected
from parity.backends.keras import attributes, formats, hooks, layers, modules
from parity.backends.keras.engine import engine
from parity.backends.keras.losses import of_outputs, per_token
from parity.backends.keras.modes import Modes
from parity.backends.keras.optimizers import Trainer, trainer
from parity.backends.operations import DRAWING
from parity.backends.protocol import Table
from parity.canonical.flow import Flow
from parity.canonical.form import Form
from parity.canonical.layer import called, held, trainable
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import one_by_one
from parity.dtypes import Array, Inputs, Outputs, State, Tensor, transport_dtype, wide
from parity.errors import ParityError, users_own
from parity.inputs.arrays import ADAPT, like

FORMATS = tuple(formats.FORMATS)
OFF = "training=False in Keras"
EDITABLE = False


def seed(number: int) -> None:
    engine.seed(number)
    global_seed_generator().state.assign([number, 0])  # Keras has numbers of its own


class Model:
    """One corner of Keras's."""

    def __init__(self, build: Callable[[], Any], dtype: str, pad: int | None) -> None:
        self.dtype, self.pad, self._build = dtype, pad, Build.of(build)
        self._precisely = partial(engine.precision, dtype, self._build.promote)
        with self._precisely(), modules.names_anew():
            self.module = built(self._build.side or engine.NAME, build)
            modules.accept(self.module)
            self.module = modules.apart(self.module) if self._build.own else self.module
            sample = self._build.sample
            message = f"the {self._build.side or engine.NAME} model cannot be called on {like(sample)}"
            with users_own(message, ADAPT):
                self._forward(self._tensors(sample), False)  # variables exist after the first call
            entropy = keras.losses.SparseCategoricalCrossentropy
            self._criterion = entropy(from_logits=True, ignore_class=pad, dtype=wide(dtype))
        self.computed, self.moving = modules.evaluate(self.module, self._build)
        self._trace()
        self._nodes = list(hooks.named_modules(self.module))
        self.rename(self._build.form, self._build.nodes)

    def _trace(self, alone: bool = False) -> None:
        # Partial functions: TensorFlow knows others by their code, and would take those of several models for one.
        ids, variables = int(self.pad is not None), partial(modules.all_of, self.module)
        self._call_graph = engine.Running(partial(self._forward, training=False), variables, ids, alone)
        lost = partial(self._loss, run=self._call_graph)  # whose trace serves here again: tracing is what takes time
        self._loss_graph = engine.Running(lost, variables, 2 * ids, alone)
        self._gradient_graph = engine.Running(partial(self._gradients), variables, 2 * ids, alone)

    def retrace(self) -> None:
        if self.pad is None:  # otherwise one trace serves ids of every shape
            self._trace(alone=True)

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
        return {name: np.array(engine.array(variable)) for name, variable in self.variables() if id(variable) in loose}

    def tables(self) -> dict[str, Table]:
        own, tables = set(map(id, held(self.own))), modules.tables(self.module)
        return {name: Table(np.array(of), assign) for name, of, assign in tables if id(of) not in own}

    def read(self) -> dict[str, Array]:
        return dict(self.parameters())

    def parameters(self) -> Mapping[str, Array]:
        return one_by_one(self.layers, engine.array)

    def write(self, values: Mapping[str, Array]) -> None:
        for layer in self.layers:
            for part in layer.parts:
                name = f"{layer.path}.{part.parameter}"
                if name in values:
                    arrays = part.transform.unpack(values[name])
                    for variable, array in zip(part.variables, arrays, strict=True):
                        engine.assign(variable, array)

    def fill_nan(self) -> None:
        for variable in (variable for _, variable in self.variables() if modules.floats(variable)):
            engine.assign(
                variable, engine.cast(engine.tensor(np.full(variable.shape, np.nan)), engine.raw(variable).dtype)
            )

    def copy_parameters_from(self, other: Any) -> None:
        for ours, theirs in zip(held(self.layers), held(other.layers), strict=True):
            engine.assign(ours, engine.cast(theirs, engine.raw(ours).dtype))

    def logits(self, ids: Array) -> Array:
        with self._precisely():
            return engine.view(self._call_graph(engine.tensor(ids)))

    def eager(self, ids: Array, training: bool) -> Array:
        with self._precisely():
            return engine.view(self._forward(engine.tensor(ids), training))

    def outputs(self, inputs: Inputs, eager: bool = False, training: bool = False) -> dict[str, Array]:
        with self._precisely():
            tensors = self._tensors(inputs)
            output = self._forward(tensors, training) if eager or training else self._call_graph(tensors)
            return {place: engine.view(tensor) for place, tensor in engine.places(output).items()}

    def loss(self, ids: Inputs, targets: Inputs) -> Array:
        with self._precisely():
            return engine.view(self._loss_graph(self._tensors(ids), self._tensors(targets)))

    def own_loss(self, inputs: Inputs, outputs: Mapping[str, Array], backward: bool = False) -> dict[str, Array]:
        with self._precisely():
            tensors, others = self._tensors((inputs, dict(outputs)))
            results = of_outputs(self._build.loss, self._call_graph(tensors), others, tensors, backward)
        return {name: engine.view(tensor) for name, tensor in results.items()}

    def losses(self, ids: Array, targets: Array, smoothing: float) -> Array:
        with self._precisely():
            logits = engine.cast(self._call_graph(engine.tensor(ids)), wide(self.dtype))
            return engine.view(per_token(logits, engine.tensor(targets), self.pad, smoothing))

    def gradients(self, ids: Inputs, targets: Inputs) -> dict[str, Array]:
        return self._named(self._descend(ids, targets)[1])

    def trainer(self, recipe: Recipe) -> Trainer:
        names = called(self.layers)
        trained = [variable for variable in modules.trained(self.module) if id(variable) in names]
        sources = {names[id(variable)]: variable for variable in trained}
        return trainer(self._build, self.dtype, recipe, sources, self._descend, self._named)

    def can_stream(self) -> bool:
        return hasattr(self.module, "advance")

    def advance(self, ids: Array, state: State) -> tuple[Array, Any]:
        with self._precisely():
            logits, state = self.module.advance(engine.tensor(ids), state)
        return engine.view(logits), state

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
        with self._precisely(), hooks.flowing(self.module, flow):
            flow.begin(engine.places(tensors), hooks.identity)
            flow.end(engine.places(self._forward(tensors, False)))
        return flow

    def record(self, inputs: Inputs, loss: bool = False, form: str = "", targets: Inputs | None = None) -> Any:
        tensors = self._tensors(inputs)
        layers = [(child, self._names[path]) for path, child in hooks.walk(self.module)]
        run = partial(self._forward, training=form == DRAWING)
        run = partial(_against, self._loss, self._tensors(targets)) if loss else run
        return engine.Recorded(run, tensors, self._precisely, partial(modules.scoped, layers), form)

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
        with self._precisely():
            tensors = self._tensors(ids)
            formats.export(self.module, self._call_graph, tensors, self.pad is not None, path)

    def _tensors(self, inputs: Inputs) -> Inputs:  # floating-point ones in the model's dtype
        return optree.tree_map(partial(_tensor, self.dtype), inputs)

    def _forward(self, inputs: Inputs, training: bool) -> Outputs:
        call = self._build.call
        result = call(self.module, inputs, training) if call else modules.run(self.module, inputs, training)
        output, self.unread = engine.tensors_only(result, hooks.is_tensor, self._build.unread)
        return output

    def _loss(self, ids: Inputs, targets: Inputs, run: Callable[[Any], Any] | None = None) -> Tensor:
        output = run(ids) if run else self._forward(ids, False)
        if self._build.loss:
            return self._build.loss(output, targets)
        if self.pad is None:
            leaves = [leaf for leaf in engine.places(output).values() if modules.floating(leaf.dtype)]
            pairs = zip(leaves, targets, strict=True)
            return sum(keras.ops.mean(keras.ops.square(actual - wanted)) for actual, wanted in pairs)
        return self._criterion(targets, output)  # logits (batch, time, vocab)

    def _gradients(self, ids: Inputs, targets: Inputs) -> Any:
        return engine.descend(partial(self._loss, ids, targets), modules.trained(self.module))

    def _descend(self, ids: Inputs, targets: Inputs) -> tuple[Any, list[Any]]:
        """The loss, and its gradient by every trainable variable."""
        with self._precisely():
            loss, gradients = self._gradient_graph(self._tensors(ids), self._tensors(targets))
        return loss, gradients

    def _named(self, tensors: Sequence[Any]) -> dict[str, Array]:
        """One tensor a trainable variable, as canonical arrays."""
        arrays = {id(v): engine.view(tensor) for v, tensor in zip(modules.trained(self.module), tensors, strict=True)}
        return {
            name: part.transform.gradient(*(arrays.get(id(v)) for v in part.variables))
            for name, part in trainable(self.layers, modules.trained(self.module)).items()
        }


def load(build: Callable[[], Any], dtype: str, pad: int | None, path: Path) -> Model:
    return reload(Model(build, dtype, pad), path)


def reload(model: Model, path: Path) -> Model:
    with model._precisely():
        module = formats.load(model.module, path)
    if module is model.module:
        return model
    same = len(hooks.named_modules(module)) == len(model._nodes)  # else it is of other layers
    nodes = model._build.nodes if same else ()
    return Model(replace(model._build, make=lambda: module, nodes=nodes), model.dtype, model.pad)


def program(path: Path) -> Callable[[Any], dict[str, Array]]:
    run = formats.program(path)

    def outputs(inputs: Inputs) -> dict[str, Array]:
        return {place: engine.view(tensor) for place, tensor in engine.places(run(inputs)).items()}

    return outputs


def _against(function: Callable[[Any, Any], Any], targets: Inputs | None, inputs: Inputs) -> Any:
    """A function of inputs and targets, as one of inputs alone, which stand for targets where there are none."""
    return function(inputs, inputs if targets is None else targets)


def _tensor(dtype: str, array: Array) -> Tensor:
    tensor = engine.tensor(array)
    return engine.cast(tensor, dtype) if modules.floating(tensor.dtype) else tensor
