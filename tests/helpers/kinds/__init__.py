"""Every layer kind alone between an embedding and a head, written out for both frameworks."""

from functools import partial
from types import ModuleType
from typing import Any

from parity.checks.runner import run_check
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from tests.helpers.kinds.convolutions import CONVOLUTIONS
from tests.helpers.kinds.others import NORMS, OTHERS
from tests.helpers.kinds.recurrent import RECURRENT

CASES = {**RECURRENT, **CONVOLUTIONS, **NORMS, **OTHERS}
VOCAB, WIDTH = 1000, 24
EXAMPLES = 2


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


def keras_model(name: str) -> Any:
    import keras

    case = CASES[name]

    class Model(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.table = keras.layers.Embedding(VOCAB, WIDTH, name="table")
            self.made = case.keras(keras.layers)
            self.head = keras.layers.Dense(VOCAB, name="head")

        def build(self, shape: Any) -> None:
            self.call(keras.ops.zeros([1 for _ in shape], "int64"))

        def call(self, ids: Any) -> Any:
            return self.head(case.calls[1](*self.made, self.table(ids)))

    return Model()


def pair(name: str, tokenizer: Any, keras: str = "tensorflow") -> Pair:
    sides: dict[str, Any] = {"torch": partial(torch_model, name), keras: partial(keras_model, name)}
    return Pair(name, **sides, tokenizer=tokenizer)


def findings(module: ModuleType, corners: PairModels) -> list[str]:
    outcome = run_check(module, corners, 0, EXAMPLES, "parity check", shrink=False)
    assert outcome.elements > 0
    return [finding.message for finding in outcome.findings]


def break_keras(name: str, corners: PairModels) -> None:
    """Plant the kind's fault in the Keras models, which run without a graph from there on: a new one takes longer."""
    for (side, _), model in corners.models.items():
        if side != "torch":
            CASES[name].fault(*model.module.made)
            model._call_graph = partial(model._forward, training=False)
    corners.forget()
