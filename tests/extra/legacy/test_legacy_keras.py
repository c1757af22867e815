"""Legacy Keras models against torch, a third party's BERT among them: `tox -e legacy`.

In an environment of its own, because tf_keras and the models bring the full tensorflow package.
"""

import functools
from dataclasses import replace

import pytest

from parity import Pair, backends, strategies
from parity.checks import forward, gradients, reload, resume, training, weights
from parity.checks.runner import run_check
from parity.compare.judge import Verdict
from parity.diagnose import explain, locate, specimens
from parity.diagnose.stages import serialization
from parity.pair.models import PairModels

backends.load()  # the order of the imports

import tf_keras  # noqa: E402 behind parity, which settles the order
from torch import nn  # noqa: E402 as above

from tests.extra.legacy.bert import pair as bert  # noqa: E402 as above

VOCAB, WIDTH, UNITS, TIME = 50, 5, 7, 4


class TorchNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.norm = nn.Embedding(VOCAB, WIDTH), nn.LayerNorm(WIDTH)
        self.rnn, self.head = nn.LSTM(WIDTH, UNITS, batch_first=True), nn.Linear(UNITS, VOCAB)
        self.rnn.bias_hh_l0.requires_grad_(False)  # Keras has one bias

    def forward(self, ids):
        return self.head(self.rnn(self.norm(self.table(ids)))[0])  # (batch, time, VOCAB)


def keras_net(epsilon=1e-5):
    layers = tf_keras.layers
    return tf_keras.Sequential(
        [
            tf_keras.Input((None,), dtype="int64"),
            layers.Embedding(VOCAB, WIDTH),
            layers.LayerNormalization(epsilon=epsilon),
            layers.LSTM(UNITS, return_sequences=True),
            layers.Dense(VOCAB),
        ]
    )


IDS = strategies.arrays(TIME, below=VOCAB)
PAIRS = {"net": Pair("net", TorchNet, keras_net, inputs=IDS), "bert": bert}


@pytest.fixture(scope="module", params=PAIRS)
def corners(request):
    return PairModels(PAIRS[request.param])


@pytest.mark.parametrize(
    "module", [weights, forward, gradients, training, reload, resume], ids=lambda of: of.__name__.rpartition(".")[2]
)
def test_a_legacy_model_is_checked_as_any_other(module, corners):
    outcome = run_check(module, corners, 0, 3, "parity check")

    assert [finding.message for finding in outcome.findings] == []
    assert outcome.elements > 0
    assert not corners.reason  # it runs in float64


def test_another_epsilon_is_located_and_named():
    corners = PairModels(replace(PAIRS["net"], tensorflow=functools.partial(keras_net, 1e-3)))
    weights, inputs = specimens.specimen(corners, 0, None)
    corners.load(weights)
    found, diagnosis = explain.located(corners, inputs)

    assert [piece.path for piece in found.introduces] == ["norm"]
    assert diagnosis.causes[0].text.startswith("norm: epsilon: torch epsilon 1e-05, tensorflow epsilon 0.001")
    assert locate.locate(PairModels(PAIRS["net"]), inputs).introduces == []


def test_a_model_that_is_built_otherwise_the_next_time():
    corners = PairModels(PAIRS["net"])
    corners.builds["tensorflow"] = replace(corners.builds["tensorflow"], make=functools.partial(keras_net, 1e-3))
    failed = Verdict("output of the reloaded file", "different", 1, 1.0, 0.0, "")
    (cause,), _ = serialization.explain(corners, None, failed)

    assert cause.told == "tensorflow: norm.epsilon is 1e-05 in the model and 0.001 in what is read from .ckpt"
    assert cause.fix == "build the model with epsilon 1e-05 every time: such a file holds variables alone"
