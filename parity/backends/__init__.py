"""The two frameworks behind one protocol: the same few verbs, data crossing as NumPy arrays.

A backend is a module with the names of `Backend`. This is the one place that knows the order in
which frameworks are imported (torch before TensorFlow: the other way round has crashed on import)
and that each gets one thread (with another process on the machine, torch's second thread has made
an LSTM forward 1400 times slower), set before any operation runs.
"""

import contextlib
import gc
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from parity.backends.tracing import Watch
from parity.errors import ParityError
from parity.layers import Array, Custom, Layer
from parity.recipe import Recipe

# side -> (module, the package that it needs, the extra that brings the package); import order.
BACKENDS = {
    "torch": ("parity.backends.torch", "torch", "torch"),
    "tensorflow": ("parity.backends.tensorflow", "tensorflow", "tensorflow"),
}
SIDES = tuple(BACKENDS)
PRECISIONS = ("float64", "float32")


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

    def step(self, batches: Sequence[tuple[Array, Array]]) -> Array:
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

    def variables(self) -> list[tuple[str, Any]]:
        """Every variable the model would save: (the framework's own name, the variable)."""

    def read(self) -> dict[str, Array]:
        """The canonical parameters, by "layer.parameter", in the model's dtype (`layers.carrier`); copies."""

    def write(self, values: dict[str, Array]) -> None:
        """Set the given canonical parameters. Never rounds: the dtypes must be equal (`layers.carrier`)."""

    def follow(self, other: Any) -> None:
        """Take every canonical parameter of a corner of the same side, in this one's dtype."""

    def logits(self, ids: Array) -> Array:
        """(batch, time) int64 -> (batch, time, vocab), in evaluation mode."""

    def eager(self, ids: Array, training: bool) -> Array:
        """As `logits`, without `tf.function`; in training mode, if asked for."""

    def loss(self, ids: Array, targets: Array) -> Array:
        """Mean cross entropy in nats over the targets that are not padding; a scalar array (`layers.wide`)."""

    def losses(self, ids: Array, targets: Array, smoothing: float) -> Array:
        """The loss of every token, (batch, time); 0 where the target is padding. With labels smoothed, if above 0."""

    def gradients(self, ids: Array, targets: Array) -> dict[str, Array]:
        """The loss's gradient by every trainable canonical parameter."""

    def learner(self, recipe: Recipe) -> Learner:
        """What trains this model, in evaluation mode: no two frameworks draw the same dropout."""

    def streams(self) -> bool:
        """Whether the model can go on from a state: whether it has an `advance` of its own."""

    def advance(self, ids: Array, state: Any) -> tuple[Array, Any]:
        """Logits of the next ids given the state after the earlier ones (None at the start)."""

    def nodes(self) -> dict[str, str]:
        """Path -> type of every layer, in order; the model itself comes first, its path empty."""

    def replay(self, ids: Array, links: Sequence[str], watch: Watch, training: bool = False) -> None:
        """Run the model as `eager` does; `watch` is told of each call of the layers at these paths."""

    def save(self, path: Path) -> None:
        """Write the model in the format that the suffix names, whole or not at all."""

    def export(self, ids: Array, path: Path) -> None:
        """Write the model as a program that takes ids of this shape, or ParityError."""


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
        """The framework's own optimizers beside the recipe: name in `parity.divergences` -> (as defined, as found)."""

    def Model(self, build: Callable[[], Any], dtype: str, pad: int) -> Corner:  # noqa: N802 it is a class there
        """Build a model in one precision; `pad` is the target that the loss leaves out."""

    def load(self, build: Callable[[], Any], dtype: str, pad: int, path: Path) -> Corner:
        """A model from a file that `save` wrote, or ParityError. Runs nothing stored in the file."""

    def program(self, path: Path) -> Callable[[Array], Array]:
        """ids -> logits of what `export` wrote. It runs whatever the file holds: never for a user's file."""

    def feed(self, rows: Sequence[Sequence[int]], plan: Plan, pad: int) -> list[tuple[Array, Array]]:
        """Rows of ids through the framework's own data path: padded (ids, targets) batches, int64."""


@dataclass(frozen=True)
class Taught:
    """A builder that brings along what is told of its model's own layers, to a fresh process too."""

    build: Callable[[], Any]
    custom: Custom

    def __call__(self) -> Any:
        return self.build()


def built(side: str, build: Callable[[], Any]) -> Any:
    """What a user's builder returns. Raises ParityError, with what went wrong in it as its cause."""
    try:
        return build()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() among them: it must not end the check as if it had passed
        raise ParityError(f"the {side} builder failed: {type(error).__name__}: {error}") from error


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
            except Exception:  # raised again: what was held back may say why
                silence.seek(0)
                os.write(kept, silence.read())
                raise
            finally:
                os.dup2(kept, 2)
    finally:
        os.close(kept)
        if collecting:
            gc.enable()
