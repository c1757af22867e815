"""Why a loss differs: every cause proved on the side that has it, none on a clean pair or of an unknown fault."""

from typing import Any

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import loss as check
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.diagnose import CAUSES
from parity.diagnose.stages import loss
from parity.dtypes import EPS
from parity.strategies import Case

GIVEN = check.Example(Case(Weights(3, 30.0), ((5, 6, 7, 0, 800), (9, 10, 11))), left_out=2, size=1, smoothing=0.1)


def verdict_of(corners, given=GIVEN):
    return next(verdict for verdict in check.verify(corners, given) if verdict.fails)


def torch_loss(criterion):
    """torch's mean loss by `criterion(ids, targets, logits)`."""

    def plant(patch, corners):
        for (side, _), model in corners.models.items():
            if side == "torch":
                patch.setattr(model, "_loss", lambda ids, targets, m=model: criterion(ids, targets, m.module(ids)))

    return plant


def cross_entropy(**options):
    def criterion(_, targets, logits):
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits.mT, targets, **{"ignore_index": 0, **options})

    return torch_loss(criterion)


def chances(kept):
    """-log of the softmax, which passes through `kept`."""

    def criterion(_, targets, logits):
        from torch.nn.functional import nll_loss

        return nll_loss(kept(logits.softmax(-1)).log().mT, targets, ignore_index=0)

    return torch_loss(criterion)


def keras_loss(reduce, **options):
    """Keras's mean loss by `reduce(tf, losses, counted, seen)`."""

    def plant(patch, corners):
        import keras
        import tensorflow as tf

        def made(model):
            def criterion(ids, targets):
                given = {"from_logits": True, **options}
                losses = keras.losses.sparse_categorical_crossentropy(targets, model.module(ids), **given)
                counted, seen = (tf.cast(of != 0, losses.dtype) for of in (targets, ids))
                return reduce(tf, losses, counted, seen)

            return tf.function(criterion, input_signature=model._loss_graph.input_signature)

        for (side, _), model in corners.models.items():
            if side == "tensorflow":
                patch.setattr(model, "_loss_graph", made(model))

    return plant


def mean(tf, losses, counted, _):
    return tf.reduce_sum(losses * counted) / tf.reduce_sum(counted)


def by_rows(tf, losses, counted, _):
    return tf.reduce_sum(losses * counted) / tf.cast(tf.shape(losses)[0], losses.dtype)


def up_to_the_last(tf, losses, counted, _):
    return mean(tf, losses, tf.cast(tf.cumsum(counted, 1, reverse=True) > 0, losses.dtype), _)


def rows_means(_, targets, logits):
    from torch.nn.functional import cross_entropy

    rows = [cross_entropy(z, t, ignore_index=0) for z, t in zip(logits, targets, strict=True) if (t != 0).any()]
    return sum(rows) / len(rows)


def shifted(_, targets, logits):
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits[:, :-1].mT, targets[:, 1:], ignore_index=0)


def logits_as_log_probabilities(_, targets, logits):
    from torch.nn.functional import nll_loss

    return nll_loss(logits.mT, targets, ignore_index=0)


def inputs_for_targets(ids, _, logits):
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits.mT, ids, ignore_index=0)


def weighing(_, targets, logits):
    import torch

    weight = torch.where(torch.arange(1000) < 500, 0.5, 1.0).to(logits.dtype)
    return torch.nn.functional.cross_entropy(logits.mT, targets, weight, ignore_index=0)


def of_the_batch_before(patch, corners):
    for dtype in corners.dtypes:
        model = corners.models["torch", dtype]

        def found(ids, targets, own=model.loss, before=[1]):  # noqa: B006 what it remembers from call to call
            count = np.count_nonzero(targets)
            mean = own(ids, targets) * (count / before[0])
            before[0] = count
            return np.array(mean, own(ids, targets).dtype)

        patch.setattr(model, "loss", found)


def tokens(change):
    """TensorFlow's losses of single tokens pass through `change(losses, logits, targets, smoothing)`."""

    def plant(patch, corners):
        for (side, _), model in corners.models.items():
            if side == "tensorflow":

                def found(ids, targets, smoothing, model=model, own=model.losses):
                    given: Any = own(ids, targets, smoothing)
                    changed = change(given, model.logits(ids).astype(np.float64), targets, smoothing)
                    return changed.astype(given.dtype)

                patch.setattr(model, "losses", found)

    return plant


def spread(over):
    """Smoothing goes to `over(logits, target)`, the mean of some classes' logits."""

    def change(losses, logits, targets, smoothing):
        target = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
        return losses + (targets != 0) * smoothing * (logits.mean(-1) - over(logits, target))

    return tokens(change)


FAULTS = {
    "summed": ("reduction", "torch sums", cross_entropy(reduction="sum")),
    "by rows": (
        "reduction",
        "the number of rows",
        keras_loss(by_rows),
    ),
    "by batch and time": ("reduction", "all positions", keras_loss(lambda tf, x, c, _: tf.reduce_mean(x * c))),
    "rows' means": ("reduction", "the rows' means", torch_loss(rows_means)),
    "count of the batch before": ("reduction", "the batch before", of_the_batch_before),
    "padding in the mean": ("padding counted", "all positions", keras_loss(lambda tf, x, *_: tf.reduce_mean(x))),
    "padding in torch's": ("padding counted", "torch averages", cross_entropy(ignore_index=-100)),
    "mask of lengths": ("padding counted", "up to its last target", keras_loss(up_to_the_last)),
    "a loss of padding": ("padding counted", "gives padding a loss", tokens(lambda x, z, t, s: x + (t == 0))),
    "mask of the inputs": (
        "mask of the inputs",
        "tensorflow leaves out the places where the input is padding",
        keras_loss(lambda tf, x, _, seen: mean(tf, x, seen, _)),
    ),
    "logits for probabilities": ("from_logits", "logits for probabilities", keras_loss(mean, from_logits=False)),
    "softmax twice": ("from_logits", "a softmax twice", torch_loss(lambda i, t, z: torch_loss_of(t, z.softmax(-1)))),
    "log-probabilities": ("from_logits", "for log-probabilities", torch_loss(logits_as_log_probabilities)),
    "1e-8": ("clipped probabilities", "plus 1e-08", chances(lambda p: p + 1e-8)),
    "an unusual constant": ("clipped probabilities", "plus 3.3e-09", chances(lambda p: p + 3.3e-9)),
    "clamped": ("clipped probabilities", "of 1e-12 at least", chances(lambda p: p.clamp(min=1e-12))),
    "base 2": ("scale", "in bits", torch_loss(lambda i, t, z: torch_loss_of(t, z) / np.log(2))),
    "a millionth more": ("scale", "by 1.000001", torch_loss(lambda i, t, z: torch_loss_of(t, z) * (1 + 1e-6))),
    "classes weighted": ("class weights", "weighs the class", torch_loss(weighing)),
    "shifted twice": ("target shift", "one more", torch_loss(shifted)),
    "not shifted": ("target shift", "one less", torch_loss(inputs_for_targets)),
    "smoothed unasked": ("label smoothing", "by 1e-06", cross_entropy(label_smoothing=1e-6)),
    "not smoothed": ("label smoothing", "does not smooth", spread(lambda z, target: target)),
    "not the target": (
        "label smoothing",
        "the classes but the target",
        spread(lambda z, target: (z.sum(-1) - target) / 999),
    ),
    "not the pad class": ("label smoothing", "leaves the pad class out", spread(lambda z, _: z[..., 1:].mean(-1))),
    "by another amount": (
        "label smoothing",
        "0.99 times the amount",
        spread(lambda z, target: 0.99 * z.mean(-1) + 0.01 * target),
    ),
}


def torch_loss_of(targets, logits):
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits.mT, targets, ignore_index=0)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_proved(fault, corners, monkeypatch):
    name, told, plant = FAULTS[fault]
    plant(monkeypatch, corners)
    (cause,), _ = loss.explain(corners, GIVEN, verdict_of(corners))

    assert (cause.name, cause.where) == (name, "loss")
    assert told in cause.told
    assert name in CAUSES
    assert cause.fix
    largest = MAX_FLOAT64_ULPS * EPS["float64"] * 1000  # of the logits, from weights of scale 30
    assert cause.after <= largest < cause.before


@pytest.mark.parametrize("case", [GIVEN.case, (GIVEN.case, 3)])
def test_a_case_that_another_check_failed_on_will_do(case, corners, monkeypatch):
    verdict = verdict_of_fault("summed", corners, monkeypatch)
    (cause,), _ = loss.explain(corners, case, verdict)

    assert cause.told == "torch sums the losses"


def verdict_of_fault(fault, corners, monkeypatch):
    FAULTS[fault][-1](monkeypatch, corners)
    return verdict_of(corners)


def test_clean_sides_have_no_cause(corners):
    clean = check.verify(corners, GIVEN)[0]

    assert loss.explain(corners, GIVEN, clean) == (
        [],
        ["torch's losses are the formula of its own logits", "tensorflow's losses are the formula of its own logits"],
    )


UNKNOWN = {
    "of the logits": torch_loss(lambda i, t, z: torch_loss_of(t, z) + 1e-3 * z.abs().mean()),
    "of one class": tokens(lambda x, z, t, s: x + 1e-6 * (t == 5)),
    "of the smoothing": tokens(lambda x, z, t, s: x * (1 + s / 999)),
}


@pytest.mark.parametrize("fault", UNKNOWN)
def test_of_an_unknown_fault_it_is_said_what_was_tried(fault, corners, monkeypatch):
    UNKNOWN[fault](monkeypatch, corners)
    given = check.Example(Case(Weights(3, 1.0), ((4, 5, 5, 6),)), 7, 1, 0.1)
    causes, ruled = loss.explain(corners, given, verdict_of(corners, given))

    assert causes == []
    assert any("is explained by none of another reduction, padding counted" in told for told in ruled)
