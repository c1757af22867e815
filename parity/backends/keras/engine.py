"""What Keras's own backend adds: tensors, the values of variables, gradients, and runs that are seen."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, cast

import keras

from parity.dtypes import Array, Inputs, Module, Tensor, Variable


class Engine(Protocol):
    """What `parity.backends.tensorflow.engine` and `parity.backends.jax.engine` offer, as modules."""

    NAME: str
    FORMS: str  # what a builder may return
    TRACKABLE: tuple[Any, ...]  # what may hold variables, besides Keras's layers
    VARIABLE: tuple[Any, ...]  # the classes of variables, besides Keras's
    TENSOR: Any  # the class of tensors
    PROGRAM: str
    Number: Any  # of a tensor: what computes, straight by the library's kernels
    Held: Any  # as `Number`, of a variable, which can be assigned
    Running: Any  # of a function of tensors: what runs it, compiled where it can be
    Recorded: Any  # of a function of tensors: one run of it, operation by operation
    checkpoints: Any  # what writes named variables to a checkpoint and reads them; None where there is no such format
    places: Any  # as `nesting.places`, and so the next two
    tensors_only: Any
    spread: Any

    def versions(self) -> dict[str, str]:
        """Package name -> version."""

    def seed(self, number: int) -> None:
        """Start its own random numbers anew."""

    def seeded(self) -> AbstractContextManager[None]:
        """Inside, its own random numbers are those of a seed; behind it, they go on as if nothing had been drawn."""

    def reseeded(self) -> AbstractContextManager[None]:
        """Inside, its own random numbers are others than a user's seed makes them."""

    def empty(self) -> Sequence[Any]:
        """Modules that do nothing, of each class that a user's may be of besides Keras's."""

    def precision(self, dtype: str, promote: bool = False) -> AbstractContextManager[None]:
        """Inside, Keras builds and runs in this dtype; with `promote` a request for float32 is one for float64."""

    def kept(self) -> AbstractContextManager[None]:
        """A context behind which all that `precision` and `eager` change is as it was before."""

    def eager(self) -> AbstractContextManager[None]:
        """Inside, nothing is compiled: layers are called with numbers."""

    def is_eager(self) -> bool:
        """Whether a call now computes at once, and does not trace a graph."""

    def held(self, holder: Any) -> Iterator[tuple[str, Any]]:
        """Variables and modules that one of `TRACKABLE` holds itself, or in lists and dicts, by name."""

    def raw(self, variable: Variable) -> Any:
        """The library's own variable."""

    def value(self, variable: Variable) -> Tensor:
        """The tensor that a variable holds now, whatever it is assigned later."""

    def assign(self, variable: Variable, value: Any) -> None:
        """Set a variable to an array or a tensor of its dtype."""

    def state(self, like: Variable) -> Variable:
        """A new variable of zeros, of the shape and dtype of another of the library's own: a moment of an optimizer."""

    def tensor(self, array: Any, dtype: Any = None) -> Tensor:
        """The tensor of an array."""

    def cast(self, tensor: Any, dtype: Any) -> Tensor:
        """A tensor, or what a variable holds, in a dtype."""

    def array(self, tensor: Any) -> Array:
        """The array of a tensor, or of what a variable holds; of bfloat16 one of float32."""

    def view(self, tensor: Tensor) -> Array:
        """As `array`, without a copy, of a tensor that nothing else holds."""

    def is_tensor(self, leaf: object) -> bool:
        """Whether a leaf is the library's own."""

    def is_packed(self, leaf: object) -> bool:
        """As `hooks.Framework`, and so the next three."""

    def padded(self, leaf: Any) -> tuple[Any, Sequence[int]]:
        """As `hooks.Framework`."""

    def packed(self, tensor: Tensor, like: Tensor) -> Tensor:
        """As `hooks.Framework`."""

    def instead(self, tensor: Tensor, other: Any) -> Tensor:
        """As `hooks.Framework`."""

    def identity(self, tensor: Any) -> Any:
        """A key that is the same for tensors that share their numbers; None for what is no tensor."""

    def operations_seen(self, tell: Callable[[Any, Any], None]) -> AbstractContextManager[None]:
        """Inside, nothing is compiled, and `tell` is given the operands and the results of each operation."""

    def descend(self, loss: Callable[[], Any], variables: Sequence[Variable]) -> tuple[Any, list[Any]]:
        """A scalar and its gradient by each variable, zeros where there is none."""

    def gradients(
        self, run: Callable[[Sequence[Any]], Sequence[Any]], inputs: Sequence[Any], variables: Sequence[Variable]
    ) -> tuple[list[Any], list[Any]]:
        """As `hooks.Framework`."""

    def clipped(self, gradients: list[Any], clip: float) -> list[Any]:
        """Gradients of which the norm, of all together, is at most `clip`; the list is emptied."""

    def repeated(self) -> Mapping[str, Any]:
        """The gradient by two rows that are one row of a table, as Keras's optimizers are given it, if ever."""

    def export(self, module: Module, run: Any, inputs: Inputs, ids: bool, path: Path) -> None:
        """Write a model, which `run` runs, as a program for inputs of this shape; or ParityError."""

    def program(self, path: Path) -> Callable[[Any], Any]:
        """Input -> output of a program that `export` wrote."""


engine = cast(Engine, importlib.import_module(f"parity.backends.{keras.backend.backend()}.engine"))
