"""Random pairs of what parity knows, drawn stacks and reference twins, and faults to plant in them."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from parity import reference
from parity.backends import SIDES
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.reference.stack import pair as twins
from parity.reference.stack.config import Stack, Step
from parity.reference.stack.strategies import WIDTHS, stacks
from parity.reference.twins import twins as builders
from parity.selftest.faults.fault import BorrowedModels

THIN = 10


def drawn(number: int, count: int) -> list[tuple[int, Stack]]:
    """As many stacks as asked for, each with a vocabulary of its own size, from a seed.

    Hypothesis likes to try again what it has just drawn: of `THIN` in a row one is taken.
    """
    found: list[tuple[int, Stack]] = []

    @hypothesis.seed(number)
    @settings(
        max_examples=count * THIN, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.integers(*WIDTHS), stacks().filter(lambda stack: stack.steps))
    def draw(vocab: int, stack: Stack) -> None:
        found.append((vocab, stack))

    draw()
    return found[::THIN]


def stack_pair(stack: Stack, vocab: int) -> Pair:
    return twins(stack, _tokenizer(vocab))


def twin_pair(name: str, random: np.random.Generator) -> Pair:
    """A reference pair with other dimensions."""
    sizes = iter(random.choice(np.arange(5, 160), size=6, replace=False).tolist())
    given: dict[str, int] = {"vocab": next(sizes), "width": next(sizes)}
    if name == "transformer":
        given |= {"inner": next(sizes), "blocks": int(random.integers(1, 4)), "heads": int(random.integers(1, 5))}
        given["head_width"] = int(random.integers(3, 30))
    elif name == "conv":
        given |= {"inner": next(sizes), "outer": next(sizes), "kernel": int(random.integers(2, 6))}
    else:
        given["units"] = next(sizes)
    return _twin(name, **given)


def _twin(name: str, **given: int) -> Pair:
    module = getattr(reference, name)
    config = module.Config(**given)
    return _pair(name, *builders(module.__name__, "LanguageModel", config).values(), config.vocab)


def _pair(name: str, torch: Callable[[], Any], tensorflow: Callable[[], Any], vocab: int) -> Pair:
    return Pair(name, torch, tensorflow, _tokenizer(vocab))


def _tokenizer(vocab: int) -> Tokenizer:
    tokenizer = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
    tokenizer.vocab = vocab  # only ids are drawn, no texts
    return tokenizer


STACK = Stack(17, (Step("lstm", 23),))


@dataclass(frozen=True)
class Fault:
    """A bug to plant in one side of a pair: a stack, or the reference twin of a name."""

    alter: Callable[[Any], None]
    where: str = "stack"
    side: str = "tensorflow"
    vocab: int = 131

    def corners(self) -> PairModels:
        beside = clean(self.where, self.vocab)
        build = beside.pair.builds[self.side]

        def altered() -> Any:
            model = build()
            self.alter(model)
            return model

        return BorrowedModels(replace(beside.pair, **{self.side: altered}), beside, {*SIDES} - {self.side})


@cache
def clean(where: str, vocab: int = Fault.vocab) -> PairModels:
    """The pair of a fault without it."""
    return PairModels(stack_pair(STACK, vocab) if where == "stack" else _twin(where, vocab=vocab))


def _after(name: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A fault that changes the output of the first layer of a kind."""

    def plant(model: Any) -> None:
        layer = next(layer for layer in model.layers if layer.name.startswith(name))
        call = layer.call
        layer.call = lambda *args, **kwargs: change(call(*args, **kwargs))

    return plant


def rewritten(variable: Any, change: Callable[[Any], Any]) -> None:
    """Every array that is written to a Keras variable goes through `change` first."""
    raw = variable.value if hasattr(variable.value, "assign") else variable  # JAX has arrays alone
    assign = raw.assign
    # A tensor comes from the float32 model, which has the fault already.
    raw.assign = lambda value, **named: assign(
        change(np.array(value)) if isinstance(value, np.ndarray) else value, **named
    )


def _written(name: str, variable: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A fault that changes what is written to a variable of the first layer of a kind."""

    def plant(model: Any) -> None:
        layer = next(layer for layer in model.layers if layer.name.startswith(name))
        rewritten(getattr(getattr(layer, "cell", layer), variable), change)

    return plant


def _bfloat16(value: Any) -> Any:
    return (value.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)


def _late(x: Any) -> Any:
    import tensorflow as tf

    return tf.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]


def _there_and_back(x: Any) -> Any:
    import tensorflow as tf

    # The random number is the constant itself: the graph would fold a constant away.
    return x + tf.cast(1e4, x.dtype) - tf.random.uniform((), *2 * (tf.cast(1e4, x.dtype),), x.dtype)


def _nudge(value: Any) -> Any:
    value.reshape(-1)[value.size // 2] += 1e-6
    return value


def _swapped(value: Any) -> Any:
    first, second, *rest = np.split(value, 4, axis=-1)
    return np.concatenate([second, first, *rest], axis=-1)


def _hard_sigmoid(model: Any) -> None:
    import keras

    layer = next(layer for layer in model.layers if layer.name.startswith("lstm"))
    layer.cell.recurrent_activation = keras.activations.hard_sigmoid


def _log_of_softmax(model: Any) -> None:
    import tensorflow as tf

    def detour(z: Any) -> Any:
        powers = tf.exp(z - tf.reduce_max(z, -1, keepdims=True))
        return tf.math.log(powers / tf.reduce_sum(powers, -1, keepdims=True)) + tf.reduce_logsumexp(
            z, -1, keepdims=True
        )

    _after("head", detour)(model)


def _running(part: str, module: str, **changed: Any) -> Callable[[Any], None]:
    """A fault that is there while a part of every block runs: names of a module with other values."""

    def plant(model: Any) -> None:
        target = importlib.import_module(module)
        for block in model.blocks:
            owner = getattr(block, part) if part else block
            owner.forward = partial(_patched, owner.forward, target, changed)

    return plant


def _patched(forward: Callable[..., Any], module: Any, changed: dict[str, Any], *args: Any) -> Any:
    with mock.patch.multiple(module, **changed):
        return forward(*args)


def _mask(value: float) -> Callable[[Any], None]:
    """Masked scores are `value` where they should be minus infinity."""
    return _running("attention", "parity.reference.transformer.torch", math=SimpleNamespace(inf=-value))


def _tanh_gelu(model: Any) -> None:
    from torch.nn import functional

    _running("", "torch.nn.functional", gelu=partial(functional.gelu, approximate="tanh"))(model)


def _epsilon(value: float) -> Callable[[Any], None]:
    def plant(model: Any) -> None:
        model.norm.epsilon = value

    return plant


FAULTS = {
    "one kernel weight off by 1e-6": Fault(_written("head", "kernel", _nudge)),
    "one bias off by 1e-6": Fault(_written("head", "bias", _nudge)),
    "one recurrent weight off by 1e-6": Fault(_written("lstm", "recurrent_kernel", _nudge)),
    "bias dropped": Fault(_written("head", "bias", np.zeros_like)),
    "gates i and f swapped": Fault(_written("lstm", "kernel", _swapped)),
    "gates swapped in the bias only": Fault(_written("lstm", "bias", _swapped)),
    "hard sigmoid": Fault(_hard_sigmoid),
    "weights through bfloat16": Fault(_written("head", "kernel", _bfloat16)),
    "logits times 1 + 1e-9": Fault(_after("head", lambda x: x * (1 + 1e-9))),
    "epsilon of 1e-10 added": Fault(_after("head", lambda x: x + 1e-10)),
    "LayerNorm epsilon 1e-6 for 1e-5": Fault(_epsilon(1e-6), "transformer"),
    "LayerNorm epsilon 1e-3 for 1e-5": Fault(_epsilon(1e-3), "transformer"),
    "GELU by tanh": Fault(_tanh_gelu, "transformer", "torch"),
    "mask of -10": Fault(_mask(-10.0), "transformer", "torch"),
    "mask of -20": Fault(_mask(-20.0), "transformer", "torch"),
    "mask of -30": Fault(_mask(-30.0), "transformer", "torch"),
    "convolution sees one token less": Fault(_after("convs.0", _late), "conv"),
    "GRU update gate's bias off by 1e-6": Fault(_written("gru", "bias", _nudge), "gru"),
}
# These mean the same in float64, and lose float32.
UNSTABLE = {
    "log(softmax)": Fault(_log_of_softmax, "lstm", vocab=1000),
    "constant of 1e4 added and taken away": Fault(_after("head", _there_and_back), "lstm"),
}
