"""What a builder of Keras's side may return.

A Keras model, of Keras 3 or, on TensorFlow, of the legacy tf_keras; there a tf.Module, too, or what
`tf.saved_model.load` gives; or a callable whose `variables` are its variables.

Its counterpart is `parity/backends/torch/modules.py`.
"""

import contextlib
import functools
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from parity.backends.build import Build
from parity.backends.hooks import set_class_attribute, set_instance_attribute
from parity.backends.keras.engine import engine
from parity.backends.keras.lengths import hold_lengths
from parity.dtypes import Inputs, Module, Outputs, Variable
from parity.errors import ParityError, named

COUNTS = "object_name_uids"  # where Keras counts the layers that have no name of their own
HEAP = 1 << 9  # CPython's Py_TPFLAGS_HEAPTYPE, of a class that was written in Python: only such can be patched


def accept(module: Module) -> None:
    """Raise ParityError unless the builder's result is of one of the engine's `FORMS`."""
    known = isinstance(module, (*keras_kinds("layers.Layer"), *engine.TRACKABLE))
    if not known and (isinstance(module, type) or not callable(module) or not hasattr(module, "variables")):
        raise ParityError(f"the {engine.NAME} builder returned {named(module)}; it must return {engine.FORMS}")


@contextlib.contextmanager
def names_anew() -> Iterator[None]:
    """Inside, a layer without a name gets the same one whatever was built before, as files need it."""
    counts = global_state.get_global_attribute(COUNTS)
    global_state.set_global_attribute(COUNTS, defaultdict(int))
    if "tf_keras" in sys.modules:  # counts by itself
        sys.modules["tf_keras"].backend.reset_uids()
    try:
        yield
    finally:
        global_state.set_global_attribute(COUNTS, counts if counts is not None else defaultdict(int))


def variables(module: Module) -> list[tuple[str, Any]]:
    """Every variable that the module, or a layer of it, would save: (its own name, the variable)."""
    if isinstance(module, keras_kinds("layers.Layer")):
        return [(name_of(variable), variable) for variable in module.weights]
    if isinstance(module, engine.TRACKABLE):
        by_id: dict[int, tuple[str, Any]] = {}
        for name, variable in _tracked(module, "", set()):
            by_id.setdefault(id(variable), (name, variable))
        return list(by_id.values())
    return [(name_of(variable), variable) for variable in module.variables]


def floats(variable: Variable) -> bool:
    """Whether a variable holds floating numbers."""
    return floating(engine.raw(variable).dtype)


def floating(dtype: Any) -> bool:
    """Whether a dtype, of whatever library, is one of floating numbers."""
    return "float" in str(getattr(dtype, "name", dtype))


def trained(module: Module) -> list[Any]:
    """The variables that training changes."""
    if isinstance(module, keras_kinds("layers.Layer")):
        return list(module.trainable_weights)
    return [variable for _, variable in variables(module) if variable.trainable]


def constants(module: Module) -> list[Any]:
    """The variables that were made to be no weights, not trainable; a frozen weight of a layer is none of them."""
    if isinstance(module, keras_kinds("layers.Layer")):
        own = "_non_trainable_variables", "_non_trainable_weights"  # of Keras 3, and of the legacy one
        layers = module._flatten_layers(include_self=True, recursive=True)
        return [variable for of in layers for name in own for variable in getattr(of, name, ())]
    return [variable for _, variable in variables(module) if not variable.trainable]


def tables(module: Module) -> list[tuple[str, Any, Any]]:
    """Floating-point arrays that are no parameter: (name, array, function that assigns another, None if none can)."""
    entries = [(name_of(of), of, functools.partial(engine.assign, of)) for of in constants(module) if floats(of)]
    layer = isinstance(module, keras_kinds("layers.Layer"))
    owners = module._flatten_layers(include_self=True, recursive=True) if layer else [module]
    arrays = np.ndarray, engine.TENSOR
    plain = [(name, of) for owner in owners for name, of in vars(owner).items() if isinstance(of, arrays)]
    return entries + [(name, of, None) for name, of in plain if floating(of.dtype)]


def all_of(module: Module) -> list[Any]:
    """All variables that a run reads, the states of random generators among them."""
    return [*module.variables]


def kept(module: Module) -> list[Any]:
    """The variables that a run may change, running statistics above all."""
    if isinstance(module, keras_kinds("layers.Layer")):
        return list(module.non_trainable_weights)  # not what a layer draws from: it has to go on
    return [variable for _, variable in variables(module)]


def seeds(module: Module) -> list[Any]:
    """The states of the random generators of Keras's layers."""
    if not isinstance(module, keras.layers.Layer):
        return []
    weights = set(map(id, module.weights))
    return [variable for variable in module.variables if id(variable) not in weights and "seed" in variable.path]


def children(module: Module) -> list[tuple[str, Any]]:
    """The layers that a module holds itself: (the name that it has there, the layer).

    A layer that its user did not name, "dense_1", is called by the attribute that holds it, as in torch: "head",
    "blocks.0".
    """
    if isinstance(module, keras_kinds("layers.Layer")):
        model = isinstance(module, keras_kinds("Model"))
        inside = module.layers if model else module._flatten_layers(include_self=False, recursive=False)
        names = {} if is_listed(module) or not _by_user(module) else dict([*_attributes(vars(module), "")][::-1])
        return [(names.get(id(child), child.name) if _counted(child) else child.name, child) for child in inside]
    if isinstance(module, engine.TRACKABLE):
        return [(name, child) for name, child in engine.held(module) if not isinstance(child, engine.VARIABLE)]
    return []


def _by_user(module: Module) -> bool:
    """Whether a class is none of Keras's, whose attributes are its own affair."""
    return type(module).__module__.partition(".")[0] not in ("keras", "tf_keras")


def _counted(layer: keras.Layer) -> bool:
    """Whether Keras has named a layer, by its class and a number."""
    return re.sub(r"_\d+$", "", layer.name).replace("_", "") == type(layer).__name__.lower()


def _attributes(attributes: Mapping[str, Any], path: str) -> Iterator[tuple[int, str]]:
    """The id of each layer in public attributes, or in lists and dicts of them -> the dotted name that leads to it."""
    for name, value in attributes.items():
        if isinstance(value, keras_kinds("layers.Layer")) and not name.startswith("_"):
            yield id(value), f"{path}{name}"
        elif isinstance(value, list | tuple | dict) and not name.startswith("_"):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            yield from _attributes({str(key): item for key, item in items}, f"{path}{name}.")


def apart(module: Module) -> Module:
    """The module, or a copy of it: Keras makes one by its configuration, in whatever dtype that names."""
    return module


def evaluate(module: Module, build: Build) -> tuple[dict[str, str], set[str]]:
    """Make a weight of each that is computed from others, as it is in evaluation mode; its name -> what computed it.

    And the names of those that are others in training mode. Keras keeps every weight that it computes; the layers at
    the build's paths `normed` get a weight norm.
    """
    for path in build.normed:
        hold_lengths(functools.reduce(lambda of, name: dict(children(of))[name], path.split("."), module), path)
    return {}, set()


def run(module: Module, inputs: Inputs, training: bool) -> Outputs:
    """The output, in evaluation or training mode."""
    if is_listed(module):  # one structure of inputs
        return module(inputs[0] if isinstance(inputs, tuple) and len(inputs) == 1 else inputs, training=training)
    layer = isinstance(module, keras_kinds("layers.Layer"))
    args, kwargs = engine.spread(inputs, module.call if layer else module, ("training", "mask"))
    if layer or "training" in _arguments(module):
        kwargs = {**kwargs, "training": training}
    return module(*args, **kwargs)


def is_listed(module: Module) -> bool:
    """Whether a Keras model has its layers for its configuration, and no code of its own."""
    return bool({"Sequential", "Functional"} & {of.__name__ for of in type(module).__mro__})


def watched(layer: keras.Layer, watcher: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[[], None]:
    """Put `watcher(call)` in the place of a layer's own call; return what undoes it.

    What has no such call, because a loaded program or a function is all there is to it, is left alone.
    """
    if isinstance(layer, keras_kinds("layers.Layer")):
        return set_instance_attribute(layer, "call", watcher(layer.call))
    kind = type(layer)
    if not kind.__flags__ & HEAP or "__call__" not in dir(kind):
        return lambda: None
    # Python looks it up in the class, which others are of.
    before, call = kind.__call__, watcher(functools.partial(kind.__call__, layer))

    def of(self: Any, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs) if self is layer else before(self, *args, **kwargs)

    return set_class_attribute(kind, "__call__", of)


@contextlib.contextmanager
def scoped(
    layers: Sequence[tuple[Any, str]],
    entered: Callable[[str], contextlib.AbstractContextManager[None]],
    masks: dict[str, bool],
    unmasked: bool,
) -> Iterator[None]:
    """While inside, each call of a layer is inside `entered(path)`.

    `masks` gets the path of each layer that is given a mask, and whether an embedding or a layer Masking is the first
    to have one; `unmasked` withholds them.
    """

    def scope(path: str, layer: keras.Layer, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)  # whose signature says how it takes inputs
        def inside(*args: Any, **kwargs: Any) -> Any:
            if kwargs.get("mask") is not None:
                masks.setdefault(path, False)
                if unmasked:
                    kwargs = {**kwargs, "mask": None}
            elif getattr(layer, "mask_zero", False) or isinstance(layer, keras_kinds("layers.Masking")):
                masks[path] = True
            with entered(path):
                return call(*args, **kwargs)

        return inside

    with contextlib.ExitStack() as stack:
        for layer, path in layers:
            stack.callback(watched(layer, functools.partial(scope, path, layer)))
        yield


def kin(layer: keras.Layer) -> type:
    """The Keras 3 class of a layer: its own, or the namesake of a legacy one's."""
    kinds = type(layer).__mro__ if isinstance(layer, keras_kinds("layers.Layer")[1:]) else ()
    return next((getattr(keras.layers, of.__name__) for of in kinds if hasattr(keras.layers, of.__name__)), type(layer))


def name_of(variable: Variable) -> str:
    """A variable's name: its path in Keras 3, its name without ":0" in TensorFlow and the legacy Keras."""
    return str(variable.path if isinstance(variable, keras.Variable) else variable.name.removesuffix(":0"))


def keras_kinds(name: str) -> tuple[Any, ...]:
    """The class of this dotted name in Keras 3, and that of the legacy tf_keras where somebody has imported it."""
    return tuple(attrgetter(name)(sys.modules[of]) for of in ("keras", "tf_keras") if of in sys.modules)


def _arguments(module: Module) -> Any:
    """The names of a module's arguments, as far as Python knows: of a loaded function it does not."""
    try:
        return inspect.signature(module).parameters
    except (TypeError, ValueError):
        return {}


def _tracked(module: Module, at: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Name and variable of all below a module that is none of Keras's, each module once, by the attributes' names."""
    for name, child in engine.held(module):
        if isinstance(child, engine.VARIABLE):
            yield f"{at}{name}", child
        elif id(child) not in seen:
            seen.add(id(child))
            keras_layer = isinstance(child, keras_kinds("layers.Layer"))
            yield from variables(child) if keras_layer else _tracked(child, f"{at}{name}.", seen)
