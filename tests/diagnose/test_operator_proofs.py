"""What is proved of several places at once, of masks that are none, and where rounding is amplified."""

import tensorflow as tf
import torch

from parity.diagnose import Diagnosis, explain
from parity.diagnose.operators import search
from parity.inputs.arrays import Sample
from tests.helpers.between import found, given, pair


def coupled(x):
    for _ in range(3):
        scale, shift = torch.cat([x.sin(), x.cos()], 1).chunk(2, dim=1)
        x = x * torch.exp(0.1 * torch.tanh(scale)) + 0.1 * shift
    return x


def coupled_there(exchanged):
    def run(x):
        for _ in range(3):
            parts = tf.split(tf.concat([tf.sin(x), tf.cos(x)], 3), 2, 3)
            scale, shift = parts[::-1] if exchanged else parts
            x = x * tf.exp(0.1 * tf.tanh(scale)) + 0.1 * shift
        return x

    return run


def test_halves_in_each_others_place_are_one_cause_wherever_the_line_runs(monkeypatch):
    monkeypatch.setattr(search, "FAULTS", 2)  # edits one behind another: too few for each place by itself
    _, [cause] = found(pair(coupled, coupled_there(True)))

    assert cause.name == "order"
    assert "results 0 and 1 of chunk(" in cause.told
    assert cause.told.endswith("so in 3 places")
    assert found(pair(coupled, coupled_there(False))) == ([], [])


def identity_added(share):
    def run(x):
        eye = tf.eye(x.shape[1], dtype=x.dtype)
        return tf.linalg.inv(tf.einsum("bijc,bkjc->bik", x, x) + share * eye)[..., None] * tf.ones(6, x.dtype)

    return run


def test_a_part_of_an_identity_is_a_factor_and_no_mask():
    def whole(x):
        eye = torch.eye(x.shape[2], dtype=x.dtype)
        return torch.linalg.inv(torch.einsum("bcij,bckj->bik", x, x) + eye)[:, None].expand(-1, 6, -1, -1)

    _, [cause] = found(pair(whole, identity_added(0.25)))

    assert cause.name == "scale"


def cancelling(x):
    return (x.exp() + x.sin()) - x.exp()


def cancelling_there(x):
    return (tf.exp(x) + tf.cos(x)) - tf.square(tf.exp(x / 2))


def test_weights_that_amplify_rounding_keep_no_cause_from_being_proved():
    """At a scale of 8 what is left of the exponentials is mostly rounding, in float64 too."""
    _, [cause] = found(pair(cancelling, cancelling_there), (1.0, 8.0, 1.0))

    assert "with cos in its place it makes what tensorflow does" in cause.told


def test_each_example_is_recorded_once_for_all_that_is_asked_of_it(monkeypatch):
    """The first operations, the causes, and exchanged results behind them."""
    corners, asked = pair(lambda x: x.erfinv().nan_to_num(), lambda x: tf.nn.relu(x) * 0.5), []
    at = Sample(*given(corners, 1.0)[0])
    for model in {type(model) for model in corners.models.values()}:
        record = model.record

        def counted(model, inputs, loss=False, form="", record=record):
            asked.append((type(model).__module__, model.dtype, corners.loaded, inputs.tobytes(), form))
            return record(model, inputs, loss, form)

        monkeypatch.setattr(model, "record", counted)
    monkeypatch.setattr(search, "WORK", 1)
    monkeypatch.setattr(explain.checks.forward, "beyond", lambda _: ())
    diagnosis = explain.by_operation(corners, Diagnosis(), at)

    assert diagnosis.operations
    assert len(asked) == len(set(asked))
