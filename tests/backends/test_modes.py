"""Training mode: what both sides keep and draw is compared; what differs is found, and equal pairs never are."""

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair, api, strategies
from parity.backends import SIDES
from parity.backends.torch import modes
from parity.canonical.weights import Weights
from parity.checks import calls, runner
from parity.checks.known_divergences import KNOWN
from parity.compare import chance
from parity.inputs.arrays import Sample
from parity.pair import draws
from parity.pair.models import PairModels

KEPT = "after two calls in training mode"
ROWS = np.random.default_rng(0).standard_normal((3, 11)).astype(np.float32)
EXAMPLE = Sample(Weights(1, 1.0), ROWS)


class Normed(nn.Module):
    """Drops a tenth behind the norm, unless `place` says otherwise."""

    place = "behind"

    def __init__(self):
        super().__init__()
        self.hidden, self.norm = nn.Linear(11, 13), nn.BatchNorm1d(13)
        self.drop, self.head = nn.Dropout(0.1), nn.Linear(13, 4)

    def forward(self, x):
        if self.place == "before":
            return self.head(self.norm(self.hidden(self.drop(x))).relu())
        h = self.norm(self.hidden(x)).relu()
        if self.place == "rows":
            return self.head(h * self.drop(torch.ones_like(h[:, :1])))
        if self.place == "together":
            return self.head(h * self.drop(torch.ones_like(h[:1])))
        if self.place == "functional":
            return self.head(nn.functional.dropout(h, 0.1, self.training))
        if self.place == "noise":
            return self.head(h + 0.1 * torch.randn_like(h) * self.training)
        return self.head(self.drop(h))


def keras_normed():
    import keras

    kl = keras.layers
    return keras.Sequential(
        [
            keras.Input((11,)),
            kl.Dense(13, name="hidden"),
            kl.BatchNormalization(momentum=0.9, epsilon=1e-5, name="norm"),
            kl.ReLU(),
            kl.Dropout(0.1, name="drop"),
            kl.Dense(4, name="head"),
        ]
    )


def keras_dropping_in_the_head(rate=0.1):
    """In the call of the head, by a layer that no model keeps."""
    import keras

    model, drop = keras_normed(), keras.layers.Dropout(rate)
    model.get_layer("drop").rate = 0.0
    head = model.get_layer("head")
    inner = head.call
    head.call = lambda x, training=None: inner(drop(x, training=training))
    return model


@pytest.fixture(scope="module")
def clean():
    return PairModels(Pair("normed", Normed, keras_normed, inputs=strategies.arrays(11)))


@contextmanager
def keras_having(corners, layer, setting, value):
    """All of TensorFlow's models with another setting."""
    with ExitStack() as stack:
        for (side, _), model in corners.models.items():
            if side == SIDES[1]:
                stack.enter_context(model.modes.having({(layer, setting): value}))
        yield


def verify(corners):
    verdicts = calls.verify(corners, EXAMPLE)
    return {verdict.subject: verdict for verdict in verdicts}


def first_failing(corners):
    return next((subject for subject, verdict in verify(corners).items() if verdict.fails), "")


def text(corners):
    """Where and why, as a report says it."""
    outcome = runner.run_check(calls, corners, 0, 1, "parity check", shrink=False)
    api.explain(corners, [outcome])
    return outcome.findings[0].text()


def test_an_equal_pair_holds_and_all_is_compared(clean):
    before = {model: model.read() for model in clean.models.values()}
    found = verify(clean)

    assert [subject for subject, verdict in found.items() if verdict.fails] == []
    assert {f"norm.{name} {KEPT}" for name in ("mean", "variance")} <= set(found)
    assert "output in training mode" in found
    assert "input of head, drawn 4,096 times: zeros" in found
    for model, values in before.items():  # of the weights that were loaded in between only what trains may differ
        assert not np.isnan(values["norm.mean"]).any()
        np.testing.assert_array_equal(model.read()["norm.mean"], clean.models[SIDES[0], "float32"].read()["norm.mean"])


def test_each_run_of_a_check_looks_once_for_rare_draws_and_goes_by_what_it_sees(clean, monkeypatch):
    """By many calls; an example that is verified by itself, always."""
    asked, answers = [], []

    def still_draws(*given):
        asked.append(given[2])
        return bool(answers) and answers.pop()

    monkeypatch.setattr(calls, "still_draws", still_draws)
    for _ in range(2):
        runner.run_check(calls, clean, 0, 10, "")
    verify(clean)
    first, later = [draws.SINGLE] * 2, [0] * 2

    assert asked == [*first, *later, *first, *later, *first]
    answers.append(True)
    asked.clear()
    runner.run_check(calls, clean, 0, 10, "")
    assert asked == [draws.SINGLE]


def test_what_is_drawn_is_the_same_every_time(clean):
    clean.ensure(EXAMPLE.weights)
    torch.rand(1)

    assert draws.compare(clean, ROWS) == draws.compare(clean, ROWS)


def test_the_users_random_numbers_go_on_behind_a_run_with_those_of_a_seed(clean):
    import tensorflow as tf

    def drawn(seeded):
        tf.random.set_seed(7)
        numbers = [tf.random.uniform((3,)).numpy()]
        if seeded:
            with clean.models[SIDES[1], "float32"].modes.seeded():
                numbers.append(tf.random.uniform((3,)).numpy())
        return [*numbers, tf.random.uniform((3,)).numpy()]

    (first, last), (*others, behind) = drawn(seeded=False), drawn(seeded=True)
    np.testing.assert_array_equal(others[0], first)
    np.testing.assert_array_equal(behind, last)
    assert not np.array_equal(others[1], last)


@pytest.mark.parametrize("rate", [0.9, 0.2])
def test_another_rate_is_found_and_proved(rate, clean):
    with keras_having(clean, "drop", "rate", rate):
        assert first_failing(clean) == "input of head, drawn 4,096 times: zeros"
        assert f"cause: drop: dropout: tensorflow drop has rate {rate}; with 0.1 it draws as torch does\n" in text(
            clean
        )


@pytest.mark.parametrize("unknown", [{"rates": {}}, {"rates": {}, "dropped": []}], ids=["by calls", "by what is left"])
def test_a_rate_that_no_layer_of_torch_has_is_proved(unknown, clean, monkeypatch):
    """It stands in a function's call, or nobody knows it: then what is left of Keras's rate is tried."""
    for verb, value in unknown.items():
        monkeypatch.setattr(modes.Modes, verb, lambda *_, value=value: value)
    with keras_having(clean, "drop", "rate", 0.9):
        assert "  fix: rate=0.1 in Dropout drop; with this corrected" in text(clean)


@pytest.mark.parametrize("momentum", [0.1, 0.99])
def test_another_momentum_is_found_and_proved_beside_dropout(momentum, clean):
    with keras_having(clean, "norm", "momentum", momentum):
        assert first_failing(clean) == f"norm.mean {KEPT}"
        told = text(clean)
    assert f"(momentum=0.1 there), tensorflow {momentum}\n" in told
    assert "momentum=0.9 in BatchNormalization norm" in told


class Still(Normed):
    """Normalizes by its running statistics in training mode, too."""

    def __init__(self):
        super().__init__()
        self.norm.eval()
        self.norm.train = lambda mode=True: self.norm


def test_a_norm_that_one_side_does_not_train_is_told_with_what_is_left_where_neither_does():
    corners = PairModels(Pair("normed", Still, keras_normed, inputs=strategies.arrays(11)))
    outcome = runner.run_check(calls, corners, 0, 1, "parity check", shrink=False)
    api.explain(corners, [outcome])
    [cause] = outcome.findings[0].diagnosis.causes

    assert (cause.name, cause.where) == ("training mode", "norm")
    assert "torch does not train it" in cause.told
    assert 0 < cause.after < 1e-9 * cause.before  # measured: there is rounding in it


def test_a_momentum_of_several_norms_is_one_cause():
    import keras

    def in_torch():
        return nn.Sequential(
            nn.BatchNorm1d(3, eps=1e-3), nn.BatchNorm1d(3, eps=1e-3, momentum=0.01), nn.BatchNorm1d(3, eps=1e-3)
        )

    def in_keras():
        return keras.Sequential([keras.Input((3,)), *(keras.layers.BatchNormalization() for _ in range(3))])

    told = text(PairModels(Pair("norms", in_torch, in_keras, inputs=strategies.arrays(3))))
    assert "(momentum=0.1 there), tensorflow 0.99, in 2 layers\n" in told
    assert "  fix: momentum=0.9 in BatchNormalization 0, 2; with this corrected" in told


@pytest.mark.parametrize(
    ("place", "subject"),
    [
        ("before", "input of hidden, drawn 4,096 times: zeros"),
        ("rows", "input of head, drawn 4,096 times: rows of zeros"),
        ("noise", "input of head, drawn 4,096 times: zeros"),
        ("functional", ""),
    ],
)
def test_what_is_drawn_elsewhere_is_found_and_what_is_drawn_otherwise_is_not(place, subject, clean, monkeypatch):
    monkeypatch.setattr(Normed, "place", place)

    assert first_failing(clean) == subject


def test_what_one_side_draws_in_the_call_of_a_layer_may_be_drawn_before_it_on_the_other():
    pair = Pair("normed", Normed, keras_dropping_in_the_head, inputs=strategies.arrays(11))
    another = replace(pair, tensorflow=partial(keras_dropping_in_the_head, 0.4))
    equal, unequal = PairModels(pair), PairModels(another)

    assert first_failing(equal) == ""
    assert draws.compare(equal, ROWS) == draws.compare(equal, ROWS)
    assert first_failing(unequal).startswith("input of head, drawn 4,096 times")


def test_rows_that_are_dropped_together_are_no_draws_of_their_own(clean, monkeypatch):
    clean.ensure(EXAMPLE.weights)
    monkeypatch.setattr(Normed, "place", "together")

    assert draws.compare(clean, ROWS) == []
    verify(clean)
    assert "what both sides draw: the inputs cannot be given many times in one batch" in clean.exercised.missing(())


def test_a_variance_that_is_not_the_batchs_own_is_found(clean, monkeypatch):
    """Without what makes torch's the batch's own."""
    monkeypatch.setattr(modes, "_biased", lambda _: lambda: None)

    assert first_failing(clean) == f"norm.variance {KEPT}"


def test_running_statistics_are_a_known_divergence_of_a_pair_that_has_some(clean, references):
    (shown,) = calls.known(clean)

    assert (shown.side, shown.name) in KNOWN
    assert shown.occurs
    assert calls.known(references("conv")) == []


def test_chance_explains_what_one_distribution_gives_and_not_what_two_do():
    random = np.random.default_rng(0)
    gaps = [chance.apart(*(random.random((2, 4096)) < 0.1), comparisons=9) for _ in range(1000)]
    gap, limit = chance.apart(random.random(4096) < 0.1, random.random(4096) < 0.25, comparisons=9)

    assert max(gap / limit for gap, limit in gaps) < 1 < gap / limit
