"""The pairs that faults are planted in: the reference pairs, and six without a tokenizer for what those do not have.

"image" is a small convolutional network with batch normalization, pooling, a residual block and dropout; "sentence"
takes ids with padding: attention and a mean over what is no padding, and a norm in float32 on purpose. Each has a
`call=` and a loss of its own. "carried" has a layer of every kind, and a checkpoint that both builders load. "picture",
"series" and "reader" have one step that is a line of code: of `parity.selftest.faults.pairs.code`, by its name.

`torch.py` and `tensorflow.py` have the models, `functions` their `call=` and losses, `loading` the checkpoint. `terms`
has more steps as `code` has them, and `otherwise` torch's of `code` by other operations.
"""

import importlib
from functools import partial
from typing import Any

import numpy as np

from parity import reference
from parity.backends import SIDES, keras_side
from parity.dtypes import Inputs, Module
from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.selftest.faults.pairs.functions import (
    cross_entropy,
    huber,
    keras_call,
    keras_cross_entropy,
    smooth_l1,
    torch_call,
)
from parity.selftest.faults.pairs.loading import checkpoint
from parity.strategies import arrays, ids, together

IMAGE, SENTENCE = ("image", "place"), ("ids",)  # what the models are called on


def _build(side: str, name: str) -> Module:
    """A model of this name, from the file that has a side's models."""
    return getattr(importlib.import_module(f"{__name__}.{side}"), name)()


def _loaded(side: str) -> Module:
    """The model "Carried" with the checkpoint in it."""
    model = _build(side, "Carried")
    if side == "tensorflow":
        model(np.zeros((1, 2), np.int64))  # variables exist after the first call
    return checkpoint(side, model)


def _own(name: str, arguments: tuple[str, ...], **functions: Any) -> Pair:
    """A pair of the models that both files call by a name, which take the inputs that `arguments` names."""
    torch, tensorflow = (partial(_build, side, name.capitalize()) for side in SIDES)
    calls = {"torch": partial(torch_call, arguments), "tensorflow": partial(keras_call, arguments)}
    return Pair(name, torch, tensorflow, call=calls, **functions)


def _plain(name: str, inputs: Inputs) -> Pair:
    """A pair of the models that both files call by a name."""
    torch, tensorflow = (partial(_build, side, name.capitalize()) for side in SIDES)
    return Pair(name, torch, tensorflow, inputs=inputs)


OWN = {
    "image": _own(
        "image",
        IMAGE,
        # padding="same" of a strided convolution is another padding along 8, and not along 9
        inputs=together(image=arrays(9, 8, 3), place=arrays(3), target=arrays(3)),
        loss={"torch": smooth_l1, "tensorflow": huber},
    ),
    "sentence": _own(
        "sentence",
        SENTENCE,
        inputs=together(ids=ids(9, 23, pad=0), label=arrays(below=4)),
        loss={"torch": cross_entropy, "tensorflow": keras_cross_entropy},
    ),
    "carried": Pair("carried", partial(_loaded, "torch"), partial(_loaded, "tensorflow"), inputs=arrays(5, below=23)),
    "picture": _plain("picture", arrays(10, 9, 3)),
    "series": _plain("series", arrays(7, 5)),
    "reader": _plain("reader", ids(9, 23, pad=0)),
}


def pair(name: str, tokenizer: Tokenizer) -> Pair:
    """A pair by name; a reference pair over the tokenizer."""
    return OWN[name] if name in OWN else reference.pair(name, tokenizer)


def sides_of(name: str) -> tuple[str, ...]:
    """The sides of a pair: those without a tokenizer are in TensorFlow's terms, whatever Keras runs on."""
    return OWN[name].sides if name in OWN else ("torch", keras_side())
