"""A loss of the user's own that takes logits for probabilities has that cause, with smoothed labels, too."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair, strategies
from parity.backends.torch import unfused
from parity.canonical.weights import Weights
from parity.checks.results import Finding, Outcome
from parity.diagnose.explain import diagnose
from parity.inputs.arrays import Sample
from parity.pair.models import PairModels

X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
GIVEN = Sample(Weights(3, 1.0), X)


def head():
    import keras

    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head")])


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(x)


def cross_entropy(smoothing, output, x):
    return nn.functional.cross_entropy(output, x[:, :3].argmax(1), label_smoothing=smoothing)


def categorical(smoothing, output, x):
    import keras

    labels = keras.ops.one_hot(keras.ops.argmax(x[:, :3], 1), 3, dtype=output.dtype)
    return keras.ops.mean(keras.losses.categorical_crossentropy(labels, output, False, smoothing))


def test_logits_taken_for_probabilities_are_named():
    losses = {"torch": partial(cross_entropy, 0.1), "tensorflow": partial(categorical, 0.1)}
    corners = PairModels(Pair("classes", Head, head, inputs=strategies.arrays(4), loss=losses))
    [cause] = diagnose(corners, Outcome("loss", "", findings=[Finding("loss", "", "", "", GIVEN)])).causes

    assert (cause.name, cause.where) == ("from_logits", "loss")
    assert "tensorflow takes them for probabilities" in cause.told
    assert cause.fix.startswith("from_logits=True")
    assert cause.after < 1e-5 < cause.before  # Keras takes these losses in float32


@pytest.mark.parametrize("ignored", [-100, 1])
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (4,)])
def test_a_smoothed_cross_entropy_is_what_its_parts_make(shape, ignored):
    random = np.random.default_rng(0)
    z = torch.tensor(random.standard_normal(shape))
    target = torch.tensor(random.integers(0, 4, shape[:1] + shape[2:] if len(shape) > 1 else ()))
    options = {"label_smoothing": 0.2, "ignore_index": ignored}
    parts = unfused.cross_entropy(z, target, **options)

    assert torch.allclose(parts, nn.functional.cross_entropy(z, target, **options), rtol=1e-14, equal_nan=True)
    assert unfused.cross_entropy(z, target, torch.ones(4).double(), **options) is None
