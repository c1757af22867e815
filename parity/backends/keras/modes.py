"""What a Keras model draws and keeps in training mode.

Line for line beside `parity/backends/torch/modes.py`.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest.mock import patch

import keras
from keras.src.random.seed_generator import SeedGenerator, draw_seed, global_seed_generator

from parity.backends.hooks import set_instance_attribute
from parity.backends.keras import hooks, modules
from parity.backends.keras.engine import engine
from parity.backends.modes import Setting
from parity.compare.exact import equal
from parity.dtypes import Array, Module, Tensor, Variable

# layer type -> what it draws by -> the attribute that holds it
RATES: dict[type, dict[str, str]] = {
    keras.layers.Dropout: {"rate": "rate"},
    keras.layers.GaussianDropout: {"rate": "rate"},
    keras.layers.AlphaDropout: {"rate": "rate"},
    keras.layers.GaussianNoise: {"deviation": "stddev"},
    keras.layers.MultiHeadAttention: {"dropout": "_dropout_layer.rate"},
    keras.layers.RNN: {"dropout": "cell.dropout", "recurrent_dropout": "cell.recurrent_dropout"},
}
MOMENTA: dict[type, dict[str, str]] = {keras.layers.BatchNormalization: {"momentum": "momentum"}}


class Modes:
    """A model's settings that only training mode heeds, by the names that its layers go by."""

    def __init__(self, module: Module, names: Mapping[str, str]) -> None:
        self._module, self._names = module, names

    def rates(self) -> dict[Setting, float]:
        return {setting: float(getattr(*holder)) for setting, holder in self._held(RATES).items() if getattr(*holder)}

    def dropped(self, run: Callable[[], Any]) -> list[float]:  # noqa: ARG002 Keras's dropout offers no hook
        return []

    def momenta(self) -> dict[Setting, float]:
        return {setting: float(getattr(*holder)) for setting, holder in self._held(MOMENTA).items()}

    @contextlib.contextmanager
    def having(self, settings: Mapping[Setting, float]) -> Iterator[None]:
        holders = self._held({**RATES, **MOMENTA})
        with contextlib.ExitStack() as stack:
            for setting, value in settings.items():
                stack.callback(set_instance_attribute(*holders[setting], value))
            yield

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        with self.having(dict.fromkeys(self.rates(), 0.0)):
            yield

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for _, layer in hooks.walk(self._module):
                if issubclass(modules.kin(layer), keras.layers.BatchNormalization):
                    # Keras runs one that is not trainable in inference mode. Past the setter, which freezes variables.
                    stack.callback(set_instance_attribute(layer, "_trainable", False))
            yield

    @contextlib.contextmanager
    def observed(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for variable in modules.kept(self._module):
                stack.callback(engine.assign, variable, engine.value(variable))
            for variable in modules.trained(self._module):  # which a call may change, as of a spectral norm
                stack.callback(_put_back, variable, engine.value(variable))
            yield

    @contextlib.contextmanager
    def seeded(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for number, state in enumerate(self._states()):
                stack.callback(engine.assign, state, engine.value(state))
                engine.assign(state, engine.tensor([number, 0], engine.raw(state).dtype))
            stack.callback(setattr, SeedGenerator, "next", SeedGenerator.next)
            SeedGenerator.next = _numbered(SeedGenerator.next)
            stack.enter_context(engine.seeded())
            yield

    def state(self) -> bytes:
        return b"".join(engine.array(state).tobytes() for state in self._states())

    def _states(self) -> list[Any]:
        return [global_seed_generator().state, *modules.seeds(self._module)]

    def _held(self, table: Mapping[type, Mapping[str, str]]) -> dict[Setting, tuple[Any, str]]:
        """Each layer's settings: the object and the attribute that hold them. An attention drops by a layer."""
        holders: dict[Setting, tuple[Any, str]] = {}
        for path, layer in hooks.walk(self._module):
            settings = next((of for kind, of in table.items() if issubclass(modules.kin(layer), kind)), {})
            for setting, at in settings.items():
                *steps, last = at.split(".")
                holder = getattr(layer, steps[0], None) if steps else layer
                if hasattr(holder, last) and (holder, last) not in holders.values():
                    holders[self._names.get(path, path), setting] = holder, last
        return holders


def _put_back(variable: Variable, value: Tensor) -> None:
    """Give a variable this value again, where it has another: to assign costs memory that to compare does not."""
    if not equal(engine.view(engine.value(variable)), engine.view(value)):
        engine.assign(variable, value)


def _numbered(following: Callable[..., Any]) -> Callable[..., Any]:
    """A `SeedGenerator.next` that counts calls, so that layers that the model does not hold draw the same, too.

    In a graph the generator's own state is read, as before.
    """
    numbers = itertools.count()

    def numbered(generator: keras.random.SeedGenerator, ordered: bool = True) -> Any:
        if not engine.is_eager():
            return following(generator, ordered)
        return engine.tensor([next(numbers), 0], generator.state.dtype)

    return numbered


@contextlib.contextmanager
def reseeded() -> Iterator[None]:
    # All that Keras draws, an initializer with a seed of its own too, goes by a seed that is drawn here.
    with engine.reseeded(), patch.object(keras.src.backend.random, "draw_seed", lambda seed: draw_seed(seed) + 1):
        yield


def statistics() -> dict[str, tuple[Array, Array]]:
    """As `Backend`: Keras's running statistics are those of the batches, so there is no divergence."""
    return {}
