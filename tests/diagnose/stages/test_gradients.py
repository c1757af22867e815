"""A parameter that one side alone does not train is told by the loss beside its weights; none is of a clean pair."""

from parity.diagnose.stages import gradients


def frozen(model):
    model.head.trainable = False


def test_a_frozen_layer(broken):
    (cause,) = gradients.explain(broken(tensorflow=frozen))

    assert (cause.name, cause.where) == ("gradient stopped", "head")
    assert cause.told == "tensorflow does not train head.bias: it is frozen"
    assert 0 < cause.after < 1e-9 * cause.before  # measured, by the loss beside those weights


def test_clean_sides_have_no_cause(twins):
    assert gradients.explain(twins) == []
