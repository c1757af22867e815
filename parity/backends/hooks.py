"""The calls of a model's layers, seen and replaced as they happen; what a framework adds is in its own file.

A difference is placed by running two models beside each other and giving each layer of the second what its counterpart
was given (`diagnose.locate`). For that a layer's own call is replaced, on the instance, by a `Watched`, which tells a
`Watch` of the arrays before and behind it and goes on with those that the watch returns.

Arrays are canonical whatever the framework's own axes are: a convolution's are (batch, time, channels) and a recurrent
state's (batch, units). A layer is known by its path; the model itself has the path "".
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import optree

from parity.backends.attributes import set_class_attribute as set_class_attribute
from parity.backends.attributes import set_instance_attribute as set_instance_attribute
from parity.canonical.layer import Layer
from parity.dtypes import Array, Module, Tensor
from parity.errors import users_own

Settings = Mapping[str, Mapping[str, Any]]  # a layer's path -> other settings of it


class Watch(Protocol):
    """Told of each call, before and after it; may put other arrays in the place of its inputs and outputs."""

    def before_call(self, path: str, inputs: list[Array]) -> list[Array] | None:
        """Before a call. The arrays to go on with, one for each input; None leaves them alone."""

    def after_call(self, call: "Call") -> list[Array] | None:
        """After a call, as `before_call`, for its outputs."""


class Framework(Protocol):
    """What `backends/torch/hooks.py` and `backends/keras/hooks.py` offer, as modules."""

    def alternating(self) -> AbstractContextManager[None]:
        """Inside, another run may go on, in a thread and a precision of its own; behind it this one's is as it was."""

    def is_tensor(self, leaf: Any) -> bool:
        """Whether a leaf of a layer's arguments is a tensor."""

    def is_packed(self, leaf: Any) -> bool:
        """Whether a leaf has rows of unequal lengths, (batch, time, ...)."""

    def padded(self, leaf: Any) -> tuple[Any, Sequence[int]]:
        """The tensor of such a leaf, with zeros behind the shorter rows, and the length of each row."""

    def packed(self, tensor: Tensor, like: Tensor) -> Tensor:
        """The other way: the rows of a tensor, as long as those of `like`."""

    def instead(self, tensor: Tensor, other: Any) -> Tensor:
        """`other`, whose derivative is that of `tensor`: a model may take derivatives of what is in it."""

    def to_canonical(self, kind: str, place: int, tensor: Tensor) -> Array:
        """The array of a layer's tensor, with canonical axes."""

    def from_canonical(self, kind: str, place: int, array: Array, like: Tensor) -> Tensor:
        """The tensor of an array, in the layer's own axes and the dtype of `like`."""

    def split_mask_arguments(
        self, kind: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        """A call's arguments, and apart from them by name those that hide something: they are no inputs of the layer.

        An attention's query, key and value come in this order.
        """

    def settings(self, layer: Module) -> dict[str, Any]:
        """The layer's hyper-parameters by canonical name."""

    def attention_mask(self, layer: Module, arguments: Mapping[str, Any], hiding: Mapping[str, Any]) -> dict[str, Any]:
        """Read an attention's mask, its setting "seen": bool (batch or 1, heads or 1, time, keys), None if all is seen.

        Empty where that is no mask but numbers that are added.
        """

    def mask_arguments(self, layer: Module, arguments: Mapping[str, Any], seen: Array | None) -> dict[str, Any]:
        """The arguments that let it see that."""

    def overriding(
        self, layer: Module, own: Sequence[Layer], settings: Mapping[str, Any], weights: Mapping[str, Array]
    ) -> AbstractContextManager[None]:
        """Other settings and weights while inside."""

    def gradients(
        self, run: Callable[[Sequence[Any]], Sequence[Any]], arrays: Sequence[Any], variables: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Gradients of the sum of `run`, by floating tensors in `arrays` (None for others) and by variables."""


class Leaves:
    """The tensors in a layer's arguments or outputs, flattened in order, and how to put others in their places."""

    def __init__(self, framework: Framework, kind: str, tree: Any) -> None:
        self._framework, self._kind, self._tree = framework, kind, tree
        self._leaves, self._spec = optree.tree_flatten(tree, is_leaf=framework.is_packed)
        self._packed = {p: leaf for p, leaf in enumerate(self._leaves) if framework.is_packed(leaf)}
        self._places = [p for p, leaf in enumerate(self._leaves) if p in self._packed or framework.is_tensor(leaf)]
        self._lengths: dict[int, Sequence[int]] = {}
        for place, leaf in self._packed.items():
            self._leaves[place], self._lengths[place] = framework.padded(leaf)

    @property
    def tensors(self) -> list[Any]:
        """The framework's own tensors, in order."""
        return [self._leaves[place] for place in self._places]

    @property
    def arrays(self) -> list[Array]:
        """One for each tensor; of rows of unequal lengths, masked behind the shorter ones."""
        arrays = [self._framework.to_canonical(self._kind, i, tensor) for i, tensor in enumerate(self.tensors)]
        lengths = map(self._lengths.get, self._places)
        return [a if of is None else _masked(a, of) for a, of in zip(arrays, lengths, strict=True)]

    def tree(self, tensors: Sequence[Any] | None = None) -> Any:
        """Rebuild the nesting with these tensors in the places of its own; without any, return it as it is."""
        if tensors is None:
            return self._tree
        leaves = list(self._leaves)
        for place, tensor in zip(self._places, tensors, strict=True):
            packed = self._packed.get(place)
            leaves[place] = tensor if packed is None else self._framework.packed(tensor, packed)
        return optree.tree_unflatten(self._spec, leaves)

    def from_canonical(self, arrays: Sequence[Array]) -> list[Any]:
        """These arrays as tensors, each in the axes and the dtype of the tensor whose place it takes."""
        both = enumerate(zip(arrays, self.tensors, strict=True))
        return [self._framework.from_canonical(self._kind, i, array, tensor) for i, (array, tensor) in both]

    def replaced(self, arrays: Sequence[Array] | None) -> Any:
        """Rebuild the nesting with these arrays as tensors; derivatives go past them to what stood there."""
        if arrays is None:
            return self._tree
        both = zip(self.tensors, self.from_canonical(arrays), strict=True)
        return self.tree([self._framework.instead(tensor, other) for tensor, other in both])


@contextlib.contextmanager
def corrected(framework: Framework, layers: Iterable[tuple[str, Module]], settings: Settings) -> Iterator[None]:
    """Inside, these layers, by path, have other settings. Raises ParityError for one that a layer cannot have."""
    with contextlib.ExitStack() as stack:
        for path, layer in layers:
            if path in settings:
                stack.enter_context(framework.overriding(layer, (), settings[path], {}))
        yield


def _masked(array: Array, lengths: Sequence[int]) -> Array:
    """Rows of unequal lengths as one array, masked behind the shorter ones: (batch, time, ...)."""
    behind = np.arange(array.shape[1]) >= np.array(lengths)[:, None]
    masked: Array = np.ma.array(
        array, mask=np.broadcast_to(behind.reshape(*behind.shape, *[1] * (array.ndim - 2)), array.shape)
    )
    return masked


class Watched:
    """A callable in the place of a layer's own call, while it is watched. Inside `silent` no watch is told.

    `inner` is the layer's own call, `layers` the model's canonical layers, of which those at or below `path` are this
    one's. `silence` is shared by all of a model's: one layer that runs again silences those inside it.
    """

    def __init__(
        self,
        framework: Framework,
        path: str,
        layer: Module,
        inner: Callable[..., Any],
        layers: Sequence[Layer],
        watch: Watch,
        silence: list[bool],
        precisely: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.framework, self.path, self.layer, self.inner, self.watch = framework, path, layer, inner, watch
        self.kind = next((of.kind for of in layers if of.path == path), "")
        self.own = [of for of in layers if f"{of.path}.".startswith(f"{path}." if path else "")]
        self._silence, self._precisely = silence, precisely
        self.__wrapped__ = inner  # whose signature this has

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer; the watch sees the arrays before and behind it, and may put others in their place.

        Meanwhile another model may run by turns in another thread and another precision: `alternating` restores this
        one's settings behind each exchange.
        """
        if self._silence:
            return self.inner(*args, **kwargs)
        args, kwargs, mask = self.framework.split_mask_arguments(self.kind, self.inner, args, kwargs)
        arguments = Leaves(self.framework, self.kind, (args, kwargs))
        with self.framework.alternating():
            led = self.watch.before_call(self.path, arguments.arrays)
        args, kwargs = arguments.replaced(led)
        results = Leaves(self.framework, self.kind, self.inner(*args, **kwargs, **mask))
        with self.framework.alternating():
            led = self.watch.after_call(Call(self, (args, kwargs), mask, results))
        return results.replaced(led)

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Inside, the layer can be run again, in its model's precision, and no watch is told."""
        self._silence.append(True)
        try:
            with self._precisely():
                yield
        finally:
            self._silence.pop()


class Call:
    """One call of a layer: what came in, what came out, and how to run it again."""

    def __init__(self, watched: Watched, arguments: Any, mask: Mapping[str, Any], results: Leaves) -> None:
        self.path, self.outputs = watched.path, results.arrays
        self._of, self._mask = watched, mask
        self._given = Leaves(watched.framework, watched.kind, arguments)

    @property
    def inputs(self) -> list[Array]:
        """The floating and integer arrays that came in, in order, with canonical axes."""
        return self._given.arrays

    def settings(self) -> dict[str, Any]:
        """The layer's hyper-parameters by canonical name; "mask" or "seen" tell what this call hid from it."""
        framework, values = self._of.framework, self._of.framework.settings(self._of.layer)
        if self._of.kind == "attention":
            return {**values, **framework.attention_mask(self._of.layer, self._given.tree()[1], self._mask)}
        return {**values, **dict.fromkeys(self._mask, "given")}

    def again(self, settings: Mapping[str, Any], weights: Mapping[str, Array]) -> list[Array]:
        """Its outputs on the same inputs with other settings and weights, which are put back.

        "seen" is what an attention sees. Raises ParityError where the layer cannot have or run with these.
        """
        args, kwargs = self._given.tree()
        mask = self._mask
        if "seen" in settings:
            mask = self._of.framework.mask_arguments(self._of.layer, kwargs, settings["seen"])
        others = {name: value for name, value in settings.items() if name != "seen"}
        with self._of.silent(), self._of.framework.overriding(self._of.layer, self._of.own, others, weights):
            with users_own(f"{self.path} does not run so"):
                results = self._of.inner(*args, **kwargs, **mask)
            return [array.copy() for array in Leaves(self._of.framework, self._of.kind, results).arrays]

    def vjp(self, cotangents: Sequence[Array]) -> dict[str, Array]:
        """Vector-Jacobian product: the gradient of sum(cotangent * output), one cotangent of each output's shape.

        "input N" -> by the layer's N-th input, if it floats, and "layer.parameter" -> by its parameters. Of a whole
        model row by row, because the arrays of all its layers are kept meanwhile.
        """
        tensors = self._given.tensors
        sizes = {len(array) if array.ndim else 0 for array in (*cotangents, *self.inputs)}
        if self.path or len(sizes) > 1 or sizes <= {0, 1}:
            return self._vjp(tensors, cotangents)
        gradients: dict[str, Array] = {}
        # A whole model's activations of one row fit where those of a batch do not.
        for row in range(sizes.pop()):
            one = slice(row, row + 1)
            pulled = self._vjp([tensor[one] for tensor in tensors], [array[one] for array in cotangents])
            for name, array in pulled.items():
                if name not in gradients:
                    gradients[name] = np.array(array)
                elif name.startswith("input "):
                    gradients[name] = np.concatenate([gradients[name], array])
                else:
                    gradients[name] += array
        return gradients

    def _vjp(self, leaves: Sequence[Any], cotangents: Sequence[Array]) -> dict[str, Array]:
        """As `vjp`, for all rows at once; `leaves` are the layer's input tensors."""
        framework, parts = self._of.framework, [(of, part) for of in self._of.own for part in of.parts]
        variables = [variable for _, part in parts for variable in part.variables]

        def run(tensors: Sequence[Any]) -> list[Any]:
            args, kwargs = self._given.tree(tensors)
            results = Leaves(framework, self._of.kind, self._of.inner(*args, **kwargs, **self._mask))
            weighted = zip(results.tensors, results.from_canonical(cotangents), strict=True)
            return [tensor * cotangent for tensor, cotangent in weighted]

        with self._of.silent():
            inputs, gradients = framework.gradients(run, leaves, variables)
        known = {id(variable): gradient for variable, gradient in zip(variables, gradients, strict=True)}
        named = {
            f"input {i}": framework.to_canonical(self._of.kind, i, gradient)
            for i, gradient in enumerate(inputs)
            if gradient is not None
        }
        for of, part in parts:
            gradients = [known[id(variable)] for variable in part.variables]
            arrays = [None if tensor is None else framework.to_canonical("", 0, tensor) for tensor in gradients]
            if any(array is not None for array in arrays):
                named[f"{of.path}.{part.parameter}"] = part.transform.gradient(*arrays)
        return named
