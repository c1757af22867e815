"""What each framework offers: a backend, a model in one precision, what trains it. Arrays cross as NumPy's.

A model's verbs stand in protocols by capability, so that a file that can only run has two or three and nothing that
raises. A check says by `NEEDS` which it takes; a backend's entry in `BACKENDS` says by `offers` which its models have.

In all of it ids are (batch, time) int64, logits (batch, time, vocab), parameters canonical, and every array has the
model's own dtype, or float32 for bfloat16, which NumPy lacks.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from parity.backends.attributes import Attributes
from parity.backends.hooks import Settings, Watch
from parity.backends.modes import Modes
from parity.canonical.flow import Flow
from parity.canonical.form import Form
from parity.canonical.layer import Layer
from parity.canonical.optimizers import Recipe
from parity.dtypes import Array, Inputs, Module, Outputs, State


@dataclass(frozen=True)
class Plan:
    """How rows of ids become batches.

    Rows of fewer than two ids are dropped, the others come in `order`, each row's place once. A row keeps at most
    `limit` ids, two or more, and loses the rest on this `side`, "right" or "left". A batch has `size` rows.
    """

    order: tuple[int, ...]
    limit: int
    side: str
    size: int


class Trainer(Protocol):
    """Trains one model by a recipe; its optimizer begins without a state."""

    def step(self, batches: Sequence[tuple[Any, Any]]) -> Array:
        """Take one step by the mean gradient of (ids, targets) micro-batches; their mean loss before it, shape ()."""

    def state(self) -> dict[str, dict[str, Array]]:
        """The optimizer's state after a step: moment (`optimizers.MOMENTS`) -> canonical parameter -> array."""

    def save(self, path: Path) -> None:
        """Write the optimizer's state after a step, with the count of its steps, whole or not at all."""

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote for the same model and optimizer, or ParityError. Casts nothing."""


@dataclass(frozen=True)
class Table:
    """Numbers that a model holds and nothing trains; `assign(array)` replaces them, None where that is not possible."""

    array: Array
    assign: Callable[[Array], object] | None = None


class Runnable(Protocol):
    """A model in one precision that gives outputs for inputs, in evaluation mode: all that a deployed file can."""

    dtype: str
    unread: dict[str, str]  # place -> class of an output that is not compared, as no tensor: None stands in for it

    def logits(self, ids: Array) -> Array:
        """Run ids (batch, time) int64 in evaluation mode: logits (batch, time, vocab)."""

    def eager(self, ids: Array, training: bool) -> Array:
        """As `logits`, but nothing is compiled (`tf.function`, `jax.jit`); in training mode, if asked for."""

    def outputs(self, inputs: Inputs, eager: bool = False, training: bool = False) -> dict[str, Array]:
        """Run inputs, any nesting of arrays: place (`nesting.places`) -> array of whatever the model gives."""


class Weighted(Protocol):
    """A model whose parameters can be read and written."""

    def read(self) -> dict[str, Array]:
        """The canonical parameters, by "layer.parameter", in the model's dtype (`dtypes.transport_dtype`); copies."""

    def parameters(self) -> Mapping[str, Array]:
        """As `read`, but each is read as it is asked for: no two copies exist at once, however large a model is."""

    def write(self, values: Mapping[str, Array]) -> None:
        """Set the given canonical parameters. Never rounds: the dtypes must be equal (`dtypes.transport_dtype`)."""

    def copy_parameters_from(self, other: Any) -> None:
        """Take every canonical parameter of a corner of the same side, in this one's dtype."""


class Trainable(Protocol):
    """A model that can be trained: its parameters are its layers', and it has a loss and a training mode."""

    own: tuple[Layer, ...]  # as the framework has them
    layers: tuple[Layer, ...]  # as the build's form has them
    computed: dict[str, str]  # variable -> what computed it, until its value in evaluation was made a weight
    moving: Collection[str]  # of these, the variables that training mode computes otherwise
    modes: Modes

    def rename(self, form: Form, nodes: tuple[str, ...]) -> None:
        """Have the canonical layers by this form, and the modules called by these paths, as `Build` says."""

    def variables(self) -> list[tuple[str, Any]]:
        """Every variable the model would save: (the framework's own name, the variable)."""

    def constants(self) -> dict[str, Array]:
        """Variables that it would save and that are no parameter, by the framework's own name; copies."""

    def tables(self) -> dict[str, Table]:
        """Floating-point arrays that it holds, saved or not, and that are no parameter, by the framework's own name."""

    def loss(self, ids: Inputs, targets: Inputs) -> Array:
        """Mean cross entropy in nats over the targets that are not padding; a scalar array (`dtypes.wide`).

        Of a model of other inputs, the build's own loss of output and targets; or their mean squared difference.
        """

    def own_loss(self, inputs: Inputs, outputs: Mapping[str, Array], backward: bool = False) -> dict[str, Array]:
        """The build's own loss, as if the model gave these `outputs` of the inputs, by place: {"loss": scalar}.

        Instead its gradient by each output that floats, if asked for. One of another shape or dtype is not exchanged.
        """

    def losses(self, ids: Array, targets: Array, smoothing: float) -> Array:
        """The loss of every token, (batch, time); 0 where the target is padding. With labels smoothed, if above 0."""

    def gradients(self, ids: Inputs, targets: Inputs) -> dict[str, Array]:
        """The gradient of `loss` by every trainable canonical parameter, by its name, of its shape."""

    def trainer(self, recipe: Recipe) -> Trainer:
        """A trainer of this model, which runs in evaluation mode: no two frameworks draw the same dropout."""


class Recordable(Protocol):
    """A model whose run is seen operation by operation."""

    def record(self, inputs: Inputs, loss: bool = False, form: str = "", targets: Inputs | None = None) -> Any:
        """A run in evaluation mode, operation by operation; torch's can be edited (`operations.Editable`).

        Of the form `operations.DRAWING` a graph's is one in training mode; torch's has its dropouts in either.
        With its `loss` behind it, if asked for, against targets, or the inputs themselves. Of the form
        `operations.GRADIENTS` the gradients of that loss are kept, too; of "unmasked" Keras hands no masks from layer
        to layer; of "unfused" torch's functions that do several things at once are what they are made of.
        """

    def corrected(self, settings: Settings) -> AbstractContextManager[None]:
        """Inside, layers have other settings, by path. Raises ParityError for one that a layer cannot have."""


class Traceable(Protocol):
    """A model whose layers can be watched as they are called, and what flows between them."""

    attributes: Attributes

    def named_modules(self) -> dict[str, str]:
        """Path -> type of every layer, in order; the model itself comes first, its path empty."""

    def run_with_hooks(
        self, ids: Inputs, links: Sequence[str], watch: Watch, training: bool = False, bare: Collection[str] = ()
    ) -> dict[str, Array]:
        """Run the model as `eager` does, and tell `watch` of each call of the layers at these paths: its outputs.

        An activation that Keras has in a `bare` layer counts as the code behind it, as in torch.
        """

    def flow(self, inputs: Inputs) -> Flow:
        """Run the model on these in evaluation mode: which layer's output goes into which. Before `rename` only."""


class Streaming(Protocol):
    """A model that may go on from a state."""

    def can_stream(self) -> bool:
        """Whether the model can go on from a state: whether it has an `advance` of its own."""

    def advance(self, ids: Array, state: State) -> tuple[Array, Any]:
        """Logits of the next ids given the state after the earlier ones (None at the start)."""


class Savable(Protocol):
    """A model that can be written to files and read again."""

    def formats(self) -> tuple[str, ...]:
        """The suffixes of the backend's formats that can hold this model."""

    def refusals(self) -> dict[str, str]:
        """The backend's other formats, each with why it cannot."""

    def save(self, path: Path) -> None:
        """Write the model in the format that the suffix names, whole or not at all."""

    def export(self, ids: Inputs, path: Path) -> None:
        """Write the model as a program for inputs of this shape, or ParityError."""

    def fill_nan(self) -> None:
        """Set every floating-point variable to NaN, so that whatever a file does not load afterwards shows."""

    def retrace(self) -> None:
        """Trace graphs anew, first for the next inputs' shapes alone: a trace for several shapes rounds otherwise."""


class BackendModel(Runnable, Weighted, Trainable, Recordable, Traceable, Streaming, Savable, Protocol):
    """One corner: a model built in one framework and one precision, which can do all of this."""


EVERY: tuple[type, ...] = (Runnable, Weighted, Trainable, Recordable, Traceable, Streaming, Savable)


def words(capability: type) -> str:
    """A capability's word in a message: Trainable is "trainable"."""
    return capability.__name__.lower()


class Ported(Protocol):
    """A framework's models that somebody carried over: where they come from, and what they take and give."""

    FOLDERS: tuple[str, ...]

    def of_folder(self, kind: str, path: Path, head: bool) -> Module:
        """The model of a folder of one of the kinds `FOLDERS`."""

    def of_file(self, build: Callable[[], Any] | None, path: Path) -> Module:
        """A model with the values of a file; without a builder the model in it. Or ParityError."""

    def is_model(self, value: Any) -> bool:
        """Whether an object is a model of this framework."""

    def takes(self, model: Module) -> dict[str, Any]:
        """What a model takes: "shape" without the batch, of ids "below", their vocabulary; {} if it does not say."""

    def answers(self, model: Module, inputs: Inputs, training: bool) -> Outputs:
        """Run a model on tensors: its outputs, by name where its library names them."""

    def sampled(self, model: Module, inputs: Inputs) -> Outputs:
        """As `answers`, for arrays and in evaluation mode."""


class Running(Protocol):
    """What every backend has, one whose models can only run too."""

    NAME: str

    def prepare(self) -> str:
        """Settle devices and threads before any operation; return what could not be settled, in words, or ""."""

    def versions(self) -> dict[str, str]:
        """Package name -> version, for the report."""

    def alternating(self) -> AbstractContextManager[None]:
        """Inside, runs in several precisions may begin and end in any order; behind it, settings are as they were."""

    def Model(self, build: Callable[[], Any], dtype: str, pad: int | None) -> Any:  # noqa: N802 named as the class that a backend has in its place
        """Build a model in one precision, or ParityError; `pad` is the id of padding, None if it takes no ids."""


class Backend(Running, Protocol):
    """What each of `parity.backends.torch` and `parity.backends.tensorflow` offers: models with every capability."""

    FORMATS: tuple[str, ...]
    PROGRAM: str
    OFF: str  # what a user does to leave training mode
    EDITABLE: bool  # whether a run that is recorded is `operations.Editable`

    def discard_compiled(self) -> None:
        """Drop what the framework keeps of compiled functions, of gone models too; what runs is compiled anew."""

    def released(self, model: Any) -> AbstractContextManager[None]:
        """Inside, a model's parameters have no memory; behind it they hold anything, until they are written to."""

    def seed(self, number: int) -> None:
        """Start the framework's own random numbers anew."""

    def reseeded(self) -> AbstractContextManager[None]:
        """Inside, what is drawn from a fixed seed, in whatever code, is other numbers than it would be outside."""

    def divergences(self) -> dict[str, tuple[Array, Array]]:
        """Known divergences, measured: name in `checks.known_divergences` -> (array by definition, framework's own)."""

    def statistics(self) -> dict[str, tuple[Array, Array]]:
        """As `divergences`, of running statistics: (those of the batches, the framework's own)."""

    def Model(self, build: Callable[[], Any], dtype: str, pad: int | None) -> BackendModel:  # noqa: N802 named as the class that a backend has in its place
        """Build a model in one precision; `pad` is the target that the loss leaves out, None if it takes no ids."""

    def load(self, build: Callable[[], Any], dtype: str, pad: int | None, path: Path) -> BackendModel:
        """A model from a file that `save` wrote, or ParityError. Runs nothing stored in the file."""

    def reload(self, model: BackendModel, path: Path) -> BackendModel:
        """As `load`, into a model that there is, or as the model that the file holds, whichever the format allows."""

    def program(self, path: Path) -> Callable[[Any], dict[str, Array]]:
        """Input -> outputs of what `export` wrote. It runs whatever the file holds: never for a user's file."""

    def feed(self, rows: Sequence[Sequence[int]], plan: Plan, pad: int) -> list[tuple[Array, Array]]:
        """Rows of ids through the framework's own data path: padded (ids, targets) batches, int64."""
