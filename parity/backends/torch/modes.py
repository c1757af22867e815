"""What a torch model draws and keeps in training mode.

Line for line beside `parity/backends/keras/modes.py`.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest.mock import Mock, patch

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from parity.backends.hooks import set_instance_attribute
from parity.backends.modes import Setting
from parity.backends.torch import hooks, modules
from parity.dtypes import Array

# layer type -> what it draws by -> the attribute that holds it
RATES: dict[type, dict[str, str]] = {
    _DropoutNd: {"rate": "p"},
    nn.RNNBase: {"dropout": "dropout"},
    nn.MultiheadAttention: {"dropout": "dropout"},
}
DROPOUTS = {f"{kind}dropout{end}" for kind in ("", "alpha_", "feature_", "feature_alpha_") for end in ("", "_")}
DROPOUTS |= {"dropout1d", "dropout2d", "dropout3d"}


class Modes:
    """A model's settings that only training mode heeds, by the names that its layers go by."""

    def __init__(self, module: nn.Module, names: Mapping[str, str]) -> None:
        self._module, self._names = module, names

    def rates(self) -> dict[Setting, float]:
        return {setting: float(getattr(*holder)) for setting, holder in self._held(RATES).items() if getattr(*holder)}

    def dropped(self, run: Callable[[], Any]) -> list[float]:
        recorded = _Still()
        with recorded:
            run()
        return recorded.rates

    def momenta(self) -> dict[Setting, float]:
        momenta = {}
        for (path, setting), (layer, _) in self._held({_BatchNorm: {"momentum": "momentum"}}).items():
            if layer.momentum is not None:
                momenta[path, setting] = round(1 - layer.momentum, 12)  # as Keras counts it
        return momenta

    @contextlib.contextmanager
    def having(self, settings: Mapping[Setting, float]) -> Iterator[None]:
        holders = self._held({**RATES, _BatchNorm: {"momentum": "momentum"}})
        with contextlib.ExitStack() as stack:
            for setting, value in settings.items():
                layer, at = holders[setting]
                stack.callback(set_instance_attribute(layer, at, 1 - value if setting[1] == "momentum" else value))
            yield

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        with self.having(dict.fromkeys(self.rates(), 0.0)), _Still():
            yield

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for layer in self._module.modules():
                if isinstance(layer, _BatchNorm):
                    # `module.train(True)` reaches every layer: this one has to stay as it is.
                    layer.eval()
                    stack.callback(set_instance_attribute(layer, "train", _staying(layer)))
            yield

    @contextlib.contextmanager
    def observed(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for buffer in modules.kept(self._module):
                stack.callback(buffer.copy_, buffer.clone())
            for layer in self._module.modules():
                if isinstance(layer, _BatchNorm) and layer.running_var is not None:
                    layer.num_batches_tracked.zero_()
                    stack.callback(_biased(layer))
            yield

    @contextlib.contextmanager
    def seeded(self) -> Iterator[None]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield

    def state(self) -> bytes:
        return bytes(torch.get_rng_state().numpy().tobytes())

    def _held(self, table: Mapping[type, Mapping[str, str]]) -> dict[Setting, tuple[Any, str]]:
        """Each layer's settings: the object and the attribute that hold them."""
        return {
            (self._names.get(path, path), setting): (layer, at)
            for path, layer in hooks.walk(self._module)
            for kind, settings in table.items()
            if isinstance(layer, kind)
            for setting, at in settings.items()
        }


@contextlib.contextmanager
def reseeded() -> Iterator[None]:
    own = torch.default_generator
    # `torch.manual_seed` asks its module for the generator, however it was imported itself.
    stand = Mock(wraps=own, manual_seed=lambda number: own.manual_seed(number ^ 1))
    with patch.object(torch.random, "default_generator", stand):
        yield


def statistics() -> dict[str, tuple[Array, Array]]:
    """As `Backend`: torch's running variance takes in the unbiased variance of a batch, which is no definition's."""
    values = torch.arange(6, dtype=torch.float64).reshape(3, 2) ** 2
    layer = nn.BatchNorm1d(2, momentum=1.0, dtype=torch.float64)
    layer(values)
    return {"running variance": (values.var(0, correction=0).numpy(), layer.running_var.numpy())}


class _Still(TorchFunctionMode):  # type: ignore[misc]
    """Inside, functions that drop hand on what they are given, and their rates are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name in DROPOUTS:
            self.rates.append(float(args[1] if len(args) > 1 else kwargs.get("p", 0.5)))
            return args[0] if args else kwargs["input"]
        if name == "scaled_dot_product_attention":  # (query, key, value, attn_mask, dropout_p, ...)
            args, kwargs = (*args[:4], *([0.0] if len(args) > 4 else []), *args[5:]), dict(kwargs)
            kwargs |= {"dropout_p": 0.0} if "dropout_p" in kwargs else {}
        return function(*args, **kwargs)


def _staying(layer: nn.Module) -> Callable[..., Any]:
    """A `train` method that leaves the layer's mode as it is."""
    return lambda mode=True: layer


def _biased(layer: nn.Module) -> Callable[[], None]:
    """Let a layer's running variance take in the biased variance of each batch, as Keras's does; return what undoes it.

    torch takes in the unbiased one, n / (n - 1) times as large for n numbers of a channel:
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
    """
    before: list[Any] = []

    def remember(_: object, inputs: Any) -> None:  # noqa: ARG001 torch calls it so
        before[:] = [layer.running_var.clone()]

    def correct(_: object, inputs: Any, output: Any) -> None:  # noqa: ARG001 torch calls it so
        if layer.training:
            count = inputs[0].numel() / inputs[0].shape[1]
            share = 1 / layer.num_batches_tracked if layer.momentum is None else layer.momentum
            old = before[0] * (1 - share)
            layer.running_var.copy_(old + (layer.running_var - old) * ((count - 1) / count))

    handles = layer.register_forward_pre_hook(remember), layer.register_forward_hook(correct)

    def undo() -> None:
        for handle in handles:
            handle.remove()

    return undo
