"""The two frameworks behind one protocol: the same few verbs, data crossing as NumPy arrays.

A backend is a module with the names of `Backend`. This is the one place that knows the order in which frameworks are
imported (torch before TensorFlow: the other way round has crashed on import) and that each gets one thread, set before
any operation runs: with another process on the machine, torch's second has made an LSTM forward 1400 times slower.
"""

import atexit
import contextlib
import gc
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from parity.backends.attributes import Attributes
from parity.backends.hooks import Watch
from parity.backends.modes import Modes
from parity.canonical.flow import Flow
from parity.canonical.layer import Custom, Layer
from parity.canonical.optimizers import Recipe
from parity.dtypes import Array
from parity.errors import ParityError, reason

# side -> (module, the package that it needs, the extra that brings the package); import order.
BACKENDS = {
    "torch": ("parity.backends.torch", "torch", "torch"),
    "tensorflow": ("parity.backends.tensorflow", "tensorflow", "tensorflow"),
}
SIDES = tuple(BACKENDS)
IDS = np.zeros((1, 1), np.int64)


@dataclass(frozen=True)
class Build:
    """How one side's model is made and asked.

    `make` is its builder. `call(model, inputs, training)` gives the model's output where calling it
    will not do; `loss(output, inputs)` is the loss, a scalar. `sample` is an input of it, and `custom`
    tells of layer classes of its own. `paths`, `kinds` and `nodes` are what its layers and its nodes are called
    beside the other side, in their order; their own names, which may be others in another process, if none are
    given. With `promote` it computes in float64 what it asks float32 for, where it is built in float64.
    """

    make: Callable[[], Any]
    call: Callable[[Any, Any, bool], Any] | None = None
    loss: Callable[[Any, Any], Any] | None = None
    sample: Any = field(default_factory=lambda: IDS)
    custom: Custom = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    promote: bool = True

    @classmethod
    def of(cls, build: Callable[[], Any]) -> "Build":
        """A build as it is; a builder alone as one of a model of ids."""
        return build if isinstance(build, cls) else cls(build)

    def __call__(self) -> Any:
        return self.make()


@dataclass(frozen=True)
class Plan:
    """How rows of ids become batches.

    Rows of fewer than two ids are dropped, the others come in `order`, which has each row's place
    once. A row has at most `limit` ids, two or more; `side` says where a longer one loses the rest,
    "right" or "left". A batch has `size` rows, the last one what is left.
    """

    order: tuple[int, ...]
    limit: int
    side: str
    size: int


class Learner(Protocol):
    """Trains one corner's model by a recipe, from an optimizer that has seen nothing yet."""

    def step(self, batches: Sequence[tuple[Any, Any]]) -> Array:
        """One step by the mean gradient of (ids, targets) micro-batches; their mean loss before it, a scalar."""

    def state(self) -> dict[str, dict[str, Array]]:
        """The optimizer's state after a step: moment (`recipe.MOMENTS`) -> canonical parameter -> array."""

    def save(self, path: Path) -> None:
        """Write the optimizer's state after a step, with the count of its steps, whole or not at all."""

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote for the same model and optimizer, or ParityError. Casts nothing."""


class Corner(Protocol):
    """One corner: a model built in one framework and one precision."""

    dtype: str
    layers: tuple[Layer, ...]
    unread: dict[str, str]  # place -> class of what the model gives that is no tensor: None stands for it
    modes: Modes
    attributes: Attributes

    def rename(self, paths: tuple[str, ...], kinds: tuple[str, ...], nodes: tuple[str, ...]) -> None:
        """What a `Build` does with these."""

    def retrace(self) -> None:
        """Trace graphs anew, as another process would: a trace for several shapes rounds otherwise."""

    def variables(self) -> list[tuple[str, Any]]:
        """Every variable the model would save: (the framework's own name, the variable)."""

    def constants(self) -> dict[str, Array]:
        """What it would save, nothing trains and no layer has for a parameter, by the framework's own name; copies."""

    def read(self) -> dict[str, Array]:
        """The canonical parameters, by "layer.parameter", in the model's dtype (`dtypes.carrier`); copies."""

    def write(self, values: dict[str, Array]) -> None:
        """Set the given canonical parameters. Never rounds: the dtypes must be equal (`dtypes.carrier`)."""

    def spoil(self) -> None:
        """Set every variable that floats to NaN: whatever is not loaded after that shows."""

    def follow(self, other: Any) -> None:
        """Take every canonical parameter of a corner of the same side, in this one's dtype."""

    def logits(self, ids: Array) -> Array:
        """(batch, time) int64 -> (batch, time, vocab), in evaluation mode."""

    def eager(self, ids: Array, training: bool) -> Array:
        """As `logits`, without `tf.function`; in training mode, if asked for."""

    def outputs(self, inputs: Any, eager: bool = False, training: bool = False) -> dict[str, Array]:
        """Place -> array (`nesting.places`) of whatever the model gives for inputs, any nesting of arrays."""

    def loss(self, ids: Any, targets: Any) -> Array:
        """Mean cross entropy in nats over the targets that are not padding; a scalar array (`dtypes.wide`).

        Of a model of other inputs, the build's own loss of output and targets; or their mean squared difference.
        """

    def own_loss(self, inputs: Any, outputs: Mapping[str, Array], backward: bool = False) -> dict[str, Array]:
        """The build's own loss, as if the model gave these `outputs` of the inputs, by place: {"loss": scalar}.

        Its gradient by each output that floats instead, by place, if asked for. An output of another shape
        or dtype than the model's is not exchanged for it.
        """

    def losses(self, ids: Array, targets: Array, smoothing: float) -> Array:
        """The loss of every token, (batch, time); 0 where the target is padding. With labels smoothed, if above 0."""

    def gradients(self, ids: Any, targets: Any) -> dict[str, Array]:
        """The loss's gradient by every trainable canonical parameter."""

    def learner(self, recipe: Recipe) -> Learner:
        """What trains this model, in evaluation mode: no two frameworks draw the same dropout."""

    def streams(self) -> bool:
        """Whether the model can go on from a state: whether it has an `advance` of its own."""

    def advance(self, ids: Array, state: Any) -> tuple[Array, Any]:
        """Logits of the next ids given the state after the earlier ones (None at the start)."""

    def nodes(self) -> dict[str, str]:
        """Path -> type of every layer, in order; the model itself comes first, its path empty."""

    def replay(
        self, ids: Any, links: Sequence[str], watch: Watch, training: bool = False, bare: Collection[str] = ()
    ) -> dict[str, Array]:
        """The outputs of the model, run as `eager` does; `watch` is told of each call of the layers at these paths.

        An activation that Keras has in a `bare` layer counts as the code behind it, as in torch.
        """

    def flow(self, inputs: Any) -> Flow:
        """Which layer's output goes into which, in a run on these in evaluation mode. Before `rename` only."""

    def formats(self) -> tuple[str, ...]:
        """Those of the backend's formats that can hold this model."""

    def refusals(self) -> dict[str, str]:
        """The backend's other formats, each with why it cannot."""

    def save(self, path: Path) -> None:
        """Write the model in the format that the suffix names, whole or not at all."""

    def export(self, ids: Any, path: Path) -> None:
        """Write the model as a program for inputs of this shape, or ParityError."""


class Backend(Protocol):
    """What each of `parity.backends.torch` and `parity.backends.tensorflow` offers."""

    NAME: str
    FORMATS: tuple[str, ...]
    PROGRAM: str

    def prepare(self) -> None:
        """Settle threads; called once, before any operation."""

    def seed(self, number: int) -> None:
        """Start the framework's own random numbers anew."""

    def versions(self) -> dict[str, str]:
        """Package name -> version, for the report."""

    def divergences(self) -> dict[str, tuple[Array, Array]]:
        """What the framework's own do beside its definition: name in the list of them -> (as defined, as found)."""

    def statistics(self) -> dict[str, tuple[Array, Array]]:
        """The framework's own running statistics beside those of the batches: as `divergences`."""

    def Model(self, build: Callable[[], Any], dtype: str, pad: int | None) -> Corner:  # noqa: N802 it is a class there
        """Build a model in one precision; `pad` is the target that the loss leaves out, None if it takes no ids."""

    def load(self, build: Callable[[], Any], dtype: str, pad: int | None, path: Path) -> Corner:
        """A model from a file that `save` wrote, or ParityError. Runs nothing stored in the file."""

    def reload(self, model: Corner, path: Path) -> Corner:
        """A model there is with such a file's values, or the model that is in the file; else as `load`."""

    def program(self, path: Path) -> Callable[[Any], dict[str, Array]]:
        """Input -> outputs of what `export` wrote. It runs whatever the file holds: never for a user's file."""

    def feed(self, rows: Sequence[Sequence[int]], plan: Plan, pad: int) -> list[tuple[Array, Array]]:
        """Rows of ids through the framework's own data path: padded (ids, targets) batches, int64."""


def spread(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Inputs as arguments: a tuple's by place, a dict's by name, an array as the only one."""
    if isinstance(inputs, dict):
        return (), inputs
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def built(side: str, build: Callable[[], Any]) -> Any:
    """What a user's builder returns. Raises ParityError, with what went wrong in it as its cause."""
    try:
        return build()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() among them: it must not end the check as if it had passed
        raise ParityError(f"the {side} builder failed: {reason(error)}") from error


def load() -> dict[str, Backend]:
    """Both backends, ready. Raises ParityError naming the extra when a framework is missing."""
    for _, package, extra in BACKENDS.values():
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise ParityError(
                f'{package} is not installed: run python -m pip install "parity[{extra}]", '
                'or "parity[cpu]" for both frameworks'
            )
    with _quiet_import():
        modules: dict[str, Any] = {side: importlib.import_module(entry[0]) for side, entry in BACKENDS.items()}
        for backend in modules.values():
            backend.prepare()
    # When the process ends, the collector would look once more at all that both frameworks hold: over a second.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    return modules


@contextlib.contextmanager
def _quiet_import() -> Iterator[None]:
    """Hold back what the frameworks' C++ writes to standard error on import, unless it fails.

    The collector is off meanwhile: it takes a fifth of the time and finds nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    collecting = gc.isenabled()
    gc.disable()
    if sys.stderr is None:  # closed by whoever started us
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as silence:
            os.dup2(silence.fileno(), 2)
            try:
                yield
            except Exception:  # raised again; what was held back is printed before, as it may say why
                silence.seek(0)
                os.write(kept, silence.read())
                raise
            finally:
                os.dup2(kept, 2)
    finally:
        os.close(kept)
        if collecting:
            gc.enable()
