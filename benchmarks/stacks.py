"""Random stacks of the layer kinds that parity knows, as pairs, and faults to plant in them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from parity.fixtures import fixture
from parity.pair import Corners, Pair
from parity.tokenizer import Tokenizer

SHAPES = (
    ("embedding",),
    ("embedding", "dense"),
    ("embedding", "lstm"),
    ("embedding", "dense", "dense"),
    ("embedding", "lstm", "dense"),
    ("embedding", "lstm", "lstm", "dense"),
)


@dataclass(frozen=True)
class Stack:
    """Layer kinds in order, each with its output size; the first size is the vocabulary."""

    kinds: tuple[str, ...]
    sizes: tuple[int, ...]

    def names(self) -> list[str]:
        return [f"{kind}{place}" for place, kind in enumerate(self.kinds)]


def draw(random: np.random.Generator) -> Stack:
    """A stack of distinct sizes; the last one is what the loss is taken over."""
    kinds = SHAPES[random.integers(len(SHAPES))]
    sizes = random.choice(np.arange(5, 200), size=len(kinds) + 1, replace=False)
    # The loss's targets are ids: the output is the vocabulary's size.
    return Stack(kinds, (int(sizes[0]), *(int(size) for size in sizes[1:-1]), int(sizes[0])))


def torch_stack(stack: Stack) -> Any:
    from torch import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, kind, given, made in zip(
                stack.names(), stack.kinds, stack.sizes[:-1], stack.sizes[1:], strict=True
            ):
                kinds = {"embedding": nn.Embedding, "dense": nn.Linear, "lstm": partial(nn.LSTM, batch_first=True)}
                setattr(self, name, kinds[kind](given, made))

        def forward(self, x: Any) -> Any:
            for name in stack.names():
                x = getattr(self, name)(x)
                x = x[0] if isinstance(x, tuple) else x
            return x

    return Model()


def keras_stack(stack: Stack, fault: Callable[[Any], None] | None = None) -> Any:
    import keras

    layers = {
        "embedding": lambda given, made, name: keras.layers.Embedding(given, made, name=name),
        "dense": lambda _, made, name: keras.layers.Dense(made, name=name),
        "lstm": lambda _, made, name: keras.layers.LSTM(made, return_sequences=True, name=name),
    }
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int64"),
            *(
                layers[kind](given, made, name)
                for name, kind, given, made in zip(
                    stack.names(), stack.kinds, stack.sizes[:-1], stack.sizes[1:], strict=True
                )
            ),
        ]
    )
    if fault is not None:
        fault(model)
    return model


def corners(stack: Stack, fault: Callable[[Any], None] | None = None) -> Corners:
    tokenizer = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
    tokenizer.vocab = stack.sizes[0]  # only ids are drawn, no texts
    return Corners(Pair("stack", partial(torch_stack, stack), partial(keras_stack, stack, fault), tokenizer))


def _after(name: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A fault that changes the output of the first layer of a kind."""

    def plant(model: Any) -> None:
        layer = next(layer for layer in model.layers if layer.name.startswith(name))
        call = layer.call
        layer.call = lambda *args, **kwargs: change(call(*args, **kwargs))

    return plant


def _written(name: str, variable: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A fault that changes what is written to a variable of the first layer of a kind."""

    def plant(model: Any) -> None:
        layer = next(layer for layer in model.layers if layer.name.startswith(name))
        target = getattr(getattr(layer, "cell", layer), variable)
        assign = target.assign
        target.assign = lambda value: assign(change(np.array(value)))

    return plant


def _through(dtype: str) -> Callable[[Any], Any]:
    def change(x: Any) -> Any:
        import tensorflow as tf

        return tf.cast(tf.cast(x, dtype), x.dtype)

    return change


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


FAULTS: dict[str, Callable[[Any], None]] = {
    "one kernel weight off by 1e-6": _written("dense", "kernel", _nudge),
    "one bias off by 1e-6": _written("dense", "bias", _nudge),
    "one recurrent weight off by 1e-6": _written("lstm", "recurrent_kernel", _nudge),
    "bias dropped": _written("dense", "bias", np.zeros_like),
    "gates i and f swapped": _written("lstm", "kernel", _swapped),
    "gates swapped in the bias only": _written("lstm", "bias", _swapped),
    "hard sigmoid": _hard_sigmoid,
    "weights through bfloat16": _written(
        "dense", "kernel", lambda value: (value.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
    ),
    "activations through float32": _after("lstm", _through("float32")),
    "logits times 1 + 1e-9": _after("dense", lambda x: x * (1 + 1e-9)),
    "epsilon of 1e-10 added": _after("dense", lambda x: x + 1e-10),
}
