"""A layer kind between an embedding and a head: what a case holds, the ways through it, the faults in it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.stacks import rewritten

COLUMNS, CHANNELS = 4, 6  # an image is (batch, time, 4, 6)


@dataclass(frozen=True)
class Case:
    """`torch` and `keras` make the layers from their framework; `calls` are the twins' ways from (batch, time, 24)
    to (batch, time, width); `fault` alters the Keras layers."""

    torch: Callable[[Any], dict[str, Any]]
    keras: Callable[[Any], list[Any]]
    calls: tuple[Callable[..., Any], Callable[..., Any]]
    width: int
    fault: Callable[..., None]


# Ways


def first(layer: Any, x: Any) -> Any:
    return layer(x)[0]


def plain(layer: Any, x: Any) -> Any:
    return layer(x)


def one_by_one(*given: Any) -> Any:
    *layers, x = given
    for layer in layers:
        x = layer(x)
    return x


def channels_first(layer: Any, x: Any) -> Any:
    return layer(x.mT).mT  # (batch, channels, time) inside


def cut(layer: Any, x: Any) -> Any:
    return layer(x.mT).mT[:, : x.shape[1]]


def cut_keras(layer: Any, x: Any) -> Any:
    from keras import ops

    return layer(x)[:, : ops.shape(x)[1]]


def image(*given: Any, before: int = 0) -> Any:
    """`before` rows of zeros come first, so that the layer may take as many away; what it adds is cut off."""
    from torch.nn import functional

    *layers, x = given
    time = x.shape[1]
    x = x.unflatten(-1, (COLUMNS, CHANNELS)).permute(0, 3, 1, 2)  # (batch, channels, time, columns)
    x = one_by_one(*layers, functional.pad(x, (0, 0, before, 0)))
    return x.permute(0, 2, 3, 1).flatten(-2)[:, :time]


def image_keras(*given: Any, before: int = 0) -> Any:
    from keras import ops

    *layers, x = given
    batch, time = ops.shape(x)[0], ops.shape(x)[1]
    x = ops.reshape(x, (batch, time, COLUMNS, CHANNELS))
    x = one_by_one(*layers, ops.pad(x, ((0, 0), (before, 0), (0, 0), (0, 0))))
    return ops.reshape(x, (batch, -1, x.shape[2] * x.shape[3]))[:, :time]


def attended_keras(attention: Any, x: Any) -> Any:
    return attention(x, x, x)


def attended(layer: Any, x: Any) -> Any:
    return layer(x, x, x, need_weights=False)[0]


def crossed(attention: Any, key: Any, value: Any, x: Any) -> Any:
    # With its weights: without them torch fuses, and loses the float32 gradient of saturated scores.
    return attention(x, key(x), value(x))[0]


def crossed_keras(attention: Any, key: Any, value: Any, x: Any) -> Any:
    return attention(x, value(x), key(x))


SEQUENCE, FOLDED = (channels_first, plain), (image, image_keras)
PADDED = (partial(image, before=2), partial(image_keras, before=2))


# Faults


def written(at: str, change: Callable[[Any], Any], place: int = 0) -> Callable[..., None]:
    """A fault that changes what is written to a variable of one of the layers."""

    def plant(*layers: Any) -> None:
        target = layers[place]
        for step in at.split("."):
            target = getattr(target, step)
        rewritten(target, change)

    return plant


def turned(array: Any) -> Any:
    return array.T


def flipped(array: Any) -> Any:
    return array[::-1]


def rolled(array: Any) -> Any:
    return np.roll(array, 1, -1)


def multiplier_first(array: Any) -> Any:
    return array.swapaxes(-1, -2).reshape(array.shape)


def gates(count: int) -> Callable[[Any], Any]:
    def swap(array: Any) -> Any:
        first, second, *rest = np.split(array, count, -1)
        return np.concatenate([second, first, *rest], -1)

    return swap


def setting(name: str, value: Any) -> Callable[..., None]:
    return lambda layer, *_: setattr(layer, name, value)


def never_backwards(layer: Any) -> None:
    layer.backward_layer.go_backwards = False
