"""What is planted beside a clean pair: its models serve, nothing is left in them, and no trial hangs on another."""

import pickle

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import CHECKS, forward
from parity.checks.runner import run_check
from parity.errors import ParityError
from parity.selftest import trial as trials
from parity.selftest.faults import FAMILIES, FAULTS
from parity.selftest.faults.fault import BenignTwin, Fault
from parity.selftest.faults.inject_layers import during
from parity.selftest.twins import TWINS

IDS, WEIGHTS = np.array([[5, 6, 7, 0, 9]]), Weights(7, 1.0)


def test_beside_a_clean_pair_the_side_that_is_not_altered_is_its(references):
    fault = next(fault for fault in FAULTS if fault.name == "embedding times 2")
    clean = references(fault.pair)
    altered = fault.inject(clean.pair, clean)
    altered.load(WEIGHTS)
    alone = fault.inject(clean.pair)
    alone.load(WEIGHTS)

    for (side, dtype), model in altered.models.items():
        assert (model.module is clean.models[side, dtype].module) == (side == "tensorflow")
        np.testing.assert_array_equal(model.logits(IDS), alone.models[side, dtype].logits(IDS))


def test_a_side_that_is_judged_by_another_loss_is_built_anew_and_the_other_is_the_clean_pairs(references):
    fault = next(fault for fault in FAULTS if fault.name == "own loss summed")
    clean = references(fault.pair)
    altered = fault.inject(clean.pair, clean)
    altered.load(WEIGHTS)
    inputs = clean.pair.specimens[0]
    torch, other = (array.item() for array in altered.loss(inputs, inputs).rows["float64"])

    assert torch == pytest.approx(len(inputs["label"]) * other)
    assert fault.built == fault.sides == ("torch",)
    for (side, dtype), model in altered.models.items():
        assert (model.module is clean.models[side, dtype].module) == (side == "tensorflow")


def test_a_pair_without_a_tokenizer_has_its_own_checks(references, monkeypatch):
    monkeypatch.setattr(trials, "CHECKS", CHECKS[1:5])
    tried = trials._before(references("sentence").pair)

    assert (tried.entry["check"], tried.entry["told"], list(tried.reads)) == ("", "", ["weights", "forward"])
    assert "model.outputs" in tried.reads["forward"]


def test_a_clean_pair_has_its_weights_again_behind_what_is_planted_beside_it(references):
    fault = next(fault for fault in FAULTS if fault.name == "embedding times 2")
    clean = references(fault.pair)
    clean.load(WEIGHTS)
    before = {corner: model.logits(IDS) for corner, model in clean.models.items()}
    fault.inject(clean.pair, clean).load(Weights(8, 1.0))
    clean.ensure(WEIGHTS)

    for corner, model in clean.models.items():
        np.testing.assert_array_equal(model.logits(IDS), before[corner])


def test_what_a_clean_side_gives_is_asked_once_for_all_that_stand_beside_it(references, monkeypatch):
    clean, mask, asked = references("lstm"), np.ones(IDS.shape, bool), []
    model = type(clean.models["tensorflow", "float32"])
    logits = model.logits
    monkeypatch.setattr(model, "logits", lambda self, ids: asked.append(self.dtype) or logits(self, ids))
    known = {}
    nothing = BenignTwin("nothing", "lstm", torch=lambda _: None)
    first, second = (nothing.inject(clean.pair, clean, known) for _ in range(2))

    def given(corners, weights):
        asked.clear()
        corners.ensure(weights)
        found = [corners.logits(IDS, mask).rows[dtype][1] for dtype in ("float32", "float64")]
        return found, len(asked)

    (before, asked_first), (again, asked_again), (other, asked_other) = (
        given(*of) for of in ((first, WEIGHTS), (second, WEIGHTS), (second, Weights(8, 1.0)))
    )
    assert (asked_first, asked_again, asked_other) == (2, 0, 2)
    for array, same, apart, dtype in zip(before, again, other, ("float32", "float64"), strict=True):
        np.testing.assert_array_equal(array, same)
        assert not np.array_equal(array, apart)
        clean.load(WEIGHTS)
        np.testing.assert_array_equal(array[None], clean.models["tensorflow", dtype].logits(IDS))


@pytest.mark.parametrize("verb", ["logits", "_call_graph"])
def test_a_clean_side_of_which_something_is_replaced_is_asked_itself(verb, references):
    clean, mask = references("lstm"), np.ones(IDS.shape, bool)
    known = {}
    nothing = BenignTwin("nothing", "lstm", torch=lambda _: None)
    plain, replaced = (nothing.inject(clean.pair, clean, known) for _ in range(2))
    corner = replaced.models["tensorflow", "float32"]
    run = getattr(corner, verb)
    setattr(corner, verb, lambda ids: run(ids) + 1)
    found = []
    for corners in plain, replaced:
        corners.load(WEIGHTS)
        found.append(corners.logits(IDS, mask).rows["float32"][1])

    np.testing.assert_array_equal(found[0] + 1, found[1])


def test_a_clean_side_whose_layers_are_called_otherwise_there_is_asked_itself(references):
    from torch import nn

    clean = references("lstm")
    known = {}

    def enclose(model):
        inner = model.head
        model.head = nn.Sequential(inner)

    for planted, name in (
        (BenignTwin("plain", "lstm", lambda _: None), "head"),
        (BenignTwin("in", "lstm", enclose), "head.0"),
    ):
        corners = planted.inject(clean.pair, clean, known)
        corners.load(WEIGHTS)
        gradient = corners.gradients(IDS, IDS)[f"{name}.bias"].rows["float64"][1]
        assert gradient.shape == (1000,)
        assert gradient.any()


@pytest.mark.parametrize(
    "name", ["summed", "logits taken for probabilities", "torch's state lost", "moments not saved"]
)
def test_a_verb_is_replaced_beside_a_clean_pair_and_not_in_it(name, references):
    fault = next(fault for fault in FAULTS if fault.name == name)
    clean = references(fault.pair)
    kept = {corner: dict(vars(model)) for corner, model in clean.models.items()}, dict(clean.backends)
    altered = fault.inject(clean.pair, clean)
    module = next(module for module in CHECKS if module.__name__.endswith(f".{fault.check}"))

    assert run_check(module, altered, 0, 25, "", shrink=False).findings != []
    assert ({corner: vars(model) for corner, model in clean.models.items()}, clean.backends) == kept
    assert run_check(module, clean, 0, 25, "", shrink=False).findings == []


def test_what_is_planted_crosses_over_by_its_name():
    assert all(pickle.loads(pickle.dumps(planted)) is planted for planted in (*FAULTS, *TWINS))
    with pytest.raises(ParityError, match=r"^'no such' is no registered fault or benign twin"):
        pickle.loads(pickle.dumps(BenignTwin("no such", "lstm")))


def test_what_a_trial_draws_hangs_on_none_before_it(monkeypatch):
    import tensorflow as tf
    import torch

    monkeypatch.setattr(trials, "CHECKS", ())
    monkeypatch.setattr(trials, "flagged", lambda _: [torch.rand(1).item(), float(tf.random.uniform(()))])
    bench = trials.Worker()
    trial = trials.Trial("lstm", BenignTwin("on both sides", "lstm", lambda _: None, lambda _: None))

    assert bench(trial).entry["people"] == bench(trial).entry["people"]


def test_a_trial_that_alters_no_model_leaves_the_graphs_of_the_clean_pair_compiled(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.random, "set_seed", lambda _: pytest.fail("TensorFlow drops its graphs"))
    monkeypatch.setattr(trials, "CHECKS", ())
    bench = trials.Worker()
    for planted in (FAMILIES["data"][0], BenignTwin("on one side", "lstm", lambda _: None)):
        assert bench(trials.Trial("lstm", planted)).entry["name"] == planted.name


def test_a_trial_that_raises_is_an_entry_and_ends_no_other(monkeypatch):
    def corners(_):
        raise ZeroDivisionError("in the model")

    monkeypatch.setattr(trials, "PairModels", corners)
    bench, told = trials.Worker(), "the trial raises ZeroDivisionError: in the model"
    fault, clean = (bench(trials.Trial("lstm", *of)).entry for of in ((FAULTS[0],), (None, trials.AFTER)))

    assert (fault["name"], fault["found"]["check"], fault["told"]) == (FAULTS[0].name, "", told)
    assert (clean["name"], clean["check"], clean["told"]) == (trials.AFTER, "error", told)


def another_tanh(x):
    """The same by another name."""
    import tensorflow as tf

    return tf.nn.tanh(x)


@pytest.mark.parametrize(("module", "told"), [("keras.ops", ""), ("tensorflow", "tanh of tensorflow in the model")])
def test_what_is_planted_and_never_called_is_told(module, told, references, monkeypatch):
    """The convolutional twin calls `keras.ops.tanh`: of what stands in the place of TensorFlow's nothing comes."""
    monkeypatch.setattr(trials, "CHECKS", (forward,))
    monkeypatch.setattr(trials, "_by_people", lambda _: [])
    alter, words = during("", module, tanh=another_tanh), f"planted, and never reached: {told}" if told else ""
    twin = BenignTwin("a twin", "conv", keras=alter)
    fault = Fault("a fault", "conv", keras=alter, check="forward", where="", cause="activation")
    clean = references("conv")
    entries = [trials._planted(planted, clean, {"forward": {"model.logits"}}, {}) for planted in (twin, fault)]

    assert [(entry.get("check", ""), entry["told"]) for entry in entries] == [
        ("planting" if told else "", words),
        ("", words or "no check fails"),
    ]
