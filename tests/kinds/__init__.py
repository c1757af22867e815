"""Every layer kind alone between an embedding and a head, written out for both frameworks."""

from functools import partial
from typing import Any

import numpy as np

from parity.checks import forward, gradients, reload
from parity.corners import Corners
from parity.pair import Pair
from parity.run import run_one
from tests.kinds.convolutions import CONVOLUTIONS
from tests.kinds.others import NORMS, OTHERS
from tests.kinds.recurrent import RECURRENT

CASES = {**RECURRENT, **CONVOLUTIONS, **NORMS, **OTHERS}
VOCAB, WIDTH = 1000, 24
EXAMPLES = 6


def torch_model(name: str) -> Any:
    from torch import nn

    case = CASES[name]

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(VOCAB, WIDTH)
            self.made = case.torch(nn)
            for path, layer in self.made.items():
                self.add_module(path, layer)
            self.head = nn.Linear(case.width, VOCAB)

        def forward(self, ids: Any) -> Any:
            return self.head(case.calls[0](*self.made.values(), self.table(ids)))

    return Model()


def keras_model(name: str, broken: bool = False) -> Any:
    import keras

    case = CASES[name]

    class Model(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.table = keras.layers.Embedding(VOCAB, WIDTH, name="table")
            self.made = case.keras(keras.layers)
            self.head = keras.layers.Dense(VOCAB, name="head")

        def call(self, ids: Any) -> Any:
            return self.head(case.calls[1](*self.made, self.table(ids)))

    model = Model()
    if broken:
        model(np.zeros((1, 1), np.int64))
        case.fault(*model.made)
    return model


def pair(name: str, tokenizer: Any, broken: bool = False) -> Pair:
    return Pair(name, partial(torch_model, name), partial(keras_model, name, broken), tokenizer)


def findings(name: str, tokenizer: Any, broken: bool = False) -> list[list[str]]:
    """What the forward and gradients checks find; of a broken pair, the first of them alone.

    And the reload check, of every fourth kind: all of them take the same way through a file.
    """
    corners = Corners(pair(name, tokenizer, broken))
    found = []
    reloaded = (reload,) if sum(map(ord, name)) % 4 == 0 else ()
    for module in (forward,) if broken else (forward, gradients, *reloaded):
        outcome = run_one(module, corners, 0, EXAMPLES, "parity check", shrink=False)
        assert outcome.elements > 0
        found.append([finding.message for finding in outcome.findings])
    return found
