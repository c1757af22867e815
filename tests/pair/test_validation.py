"""A side that cannot run in float64 is found by running it, and every report says so."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import forward, gradients, loss, masking, padding, weights
from parity.checks.results import Report
from parity.checks.runner import run_check
from parity.compare.judge import MAX_NOISE_RATIO
from parity.diagnose import explain
from parity.diagnose.locate import locate
from parity.diagnose.wording import why
from parity.errors import ParityError
from parity.pair.models import PairModels
from parity.report import layer_tree, terminal
from tests.helpers import ports

IDS = np.array([[5, 6, 7, 0, 9], [8, 0, 3, 0, 0]])


def through_float32(child, change=lambda x: x):
    """Make a layer's first output pass through float32, whatever the model's dtype."""
    if hasattr(child, "call"):
        import tensorflow as tf

        cast, name = tf.cast, "call"
    else:
        import torch

        def cast(x, dtype):
            return x.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)

        name = "forward"
    run = getattr(child, name)

    def replaced(*args, **kwargs):
        output = run(*args, **kwargs)
        first, *rest = output if isinstance(output, tuple | list) else (output,)
        first = change(cast(cast(first, "float32"), first.dtype))
        return (first, *rest) if rest else first

    setattr(child, name, replaced)


@pytest.fixture(scope="module")
def broken(broken):
    """Where float32 inside is left what it is."""
    return partial(broken, promote=False)


def leaky(layer, change=lambda x: x):
    return lambda model: through_float32(getattr(model, layer), change)


def test_a_clean_pair_has_four_corners(corners):
    assert corners.weaker == {}
    assert len(corners.models) == 4


@pytest.mark.parametrize("layer", ["embedding", "lstm", "head"])
@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_float32_inside_is_found_by_moving_the_weights(broken, side, layer):
    corners = broken(**{side: leaky(layer)})

    assert set(corners.weaker) == {side}
    assert (side, "float64") not in corners.models
    assert corners.reason == (
        f"{side} cannot run in float64: it computes in float32 inside, since moving embedding.table by 2^-36 "
        "does not move its logits"
    )


def narrow_loss(output, inputs):
    """A user's own, which takes the logits to float32."""
    return ports.torch_loss(output.float(), inputs).to(output.dtype)


def test_a_loss_of_the_pairs_own_that_computes_in_float32_is_found():
    corners = PairModels(replace(ports.labelled({"torch": narrow_loss, "tensorflow": ports.keras_loss}), promote=False))

    assert (corners.weaker, set(corners.weaker_loss)) == ({}, {"torch"})
    assert corners.weaker_loss["torch"].endswith("by 2^-36 does not move its loss")


def test_a_layer_with_a_fixed_dtype_is_no_float64_corner(lstm):
    def fixed():
        model = lstm.torch()
        model.head = model.head.float()
        forward = model.head.forward
        model.head.forward = lambda x: forward(x.float()).to(x.dtype)
        return model

    assert PairModels(replace(lstm, torch=fixed, promote=False)).reason == (
        "torch cannot run in float64: torch: head.kernel is float32 in a model built as float64"
    )


def test_a_model_that_fails_in_float64_has_three_corners(lstm):
    def picky():
        import keras

        if keras.config.floatx() == "float64":
            raise TypeError("no float64 here")
        return lstm.tensorflow()

    corners = PairModels(replace(lstm, tensorflow=picky))

    assert corners.reason == (
        "tensorflow cannot run in float64: the tensorflow builder failed: TypeError: no float64 here"
    )


def test_without_any_float64_there_is_nothing_to_measure_against(broken):
    with pytest.raises(ParityError, match="without one float64 corner there is nothing to measure against"):
        broken(torch=leaky("lstm"), tensorflow=leaky("lstm"))


@pytest.fixture(scope="module")
def three(broken):
    """The LSTM pair, of which a side leaks: `three("torch")`."""
    return cache(lambda side: broken(**{side: leaky("lstm")}))


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
@pytest.mark.parametrize("check", [weights, forward, padding, masking, loss, gradients], ids=lambda m: m.__name__)
def test_every_check_holds_by_three_corners(three, check, side):
    outcome = run_check(check, three(side), 0, 10, "")

    assert not outcome.findings
    assert bool(outcome.weaker) == (check is not weights)


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_three_corners_catch_what_is_larger_than_float32_explains(bag, side):
    def scaled():
        model = getattr(bag, side)()
        through_float32(model.get_layer("head") if side == "tensorflow" else model.head, lambda x: x * (1 + 1e-3))
        return model

    corners = PairModels(replace(bag, promote=False, **{side: scaled}))
    outcome = run_check(forward, corners, 0, 10, "")
    found = explain.diagnose(corners, outcome)

    assert outcome.verdict == "different"
    assert f"but should be at most {MAX_NOISE_RATIO['float32']:g} times" in outcome.findings[0].message
    assert f"  float64 on one side only, less sensitive: {side} cannot run in float64" in outcome.findings[0].message
    assert (found.where, found.weaker) == (("head",), corners.reason)
    assert [cause.name for cause in found.causes] == ["scale"]
    assert why(corners, found)[:2] == (
        "introduced by head",
        f"located in float32: {corners.reason}",
    )


def stopped(x):
    if hasattr(x, "detach"):
        return x.detach()
    import tensorflow as tf

    return tf.stop_gradient(x)


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_a_gradient_that_does_not_pass_is_located_in_float32(broken, side):
    corners = broken(**{side: leaky("lstm", stopped)})
    corners.load(Weights(1, 1.0))

    assert [piece.path for piece in locate(corners, IDS).introduces] == ["lstm"]


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_of_a_clean_pair_nothing_is_located_in_float32(three, side):
    corners = three(side)
    for scale in (1.0, 30.0):
        corners.load(Weights(1, scale))
        found = locate(corners, IDS)

        assert found.introduces == []
        assert {node.mark for node in found.nodes} == {"clean"}
        assert {piece.noise[0] > 0 for piece in found.pieces if piece.path == "lstm"} == {side == "tensorflow"}
    assert layer_tree.last_line(found).plain.endswith("matched layers, end-to-end, isolated and backward, in float32")


def test_every_report_says_that_the_verdict_is_weaker(broken, capsys):
    from rich.console import Console

    corners = broken(tensorflow=leaky("lstm"))
    outcome = run_check(forward, corners, 0, 2, "")
    report = Report("weak", 0, 2, {}, {"pieces": 1000, "sha256": "0" * 64}, [outcome])
    terminal.show(report, Console(width=300))
    shown = capsys.readouterr().out

    assert report.holds
    assert f"(3): float64 on one side only, less sensitive: {corners.reason}" in shown
    assert "rounding (3)" in shown
    assert shown.splitlines()[-1].endswith("elements compared (float64 on one side only, less sensitive)")
    assert '"corners": 3' in report.to_json()
    assert '"weaker": "tensorflow cannot run in float64' in report.to_json()


@pytest.fixture(scope="module")
def low(lstm):
    return PairModels(lstm, ["float16", "float32", "bfloat16", "float64"])


@pytest.mark.parametrize("check", [weights, forward, padding, masking, loss, gradients], ids=lambda m: m.__name__)
def test_every_check_holds_in_lower_precisions(low, check):
    outcome = run_check(check, low, 0, 10, "")

    assert not outcome.findings
    assert list(outcome.rows) == ([] if check is weights else ["float64", "float32", "float16", "bfloat16"])


def test_all_precisions_hold_the_same_weights(low):
    drawn = low.load(Weights(1, 30.0))

    for (side, dtype), model in low.models.items():
        for name, values in model.read().items():
            assert (values == drawn[name]).all(), f"{name} in {side} {dtype}"
    assert len({float(value) for value in drawn["head.bias"]}) > 50


CONSTANTS = {"float16": 2.0**14, "bfloat16": 2.0**20}


@pytest.mark.parametrize("dtype", CONSTANTS)
def test_a_formula_that_loses_a_lower_precision_is_unstable(lstm, dtype):
    """Nothing is lost in float32 or float64 by adding a constant and taking it away again."""

    def lossy():
        import tensorflow as tf

        model = lstm.tensorflow()
        call = model.head.call

        def replaced(x, **kwargs):
            # The random number is the constant itself: the graph would fold a constant away.
            big = tf.cast(CONSTANTS[dtype], x.dtype) if x.dtype == dtype else tf.cast(0.0, x.dtype)
            return call(x, **kwargs) + tf.stop_gradient(big) - tf.random.uniform((), big, big, x.dtype)

        model.head.call = replaced
        return model

    outcome = run_check(forward, PairModels(replace(lstm, tensorflow=lossy), ["float64", "float32", dtype]), 0, 5, "")

    assert outcome.verdict == "unstable"
    assert f"this formula loses precision in {dtype}" in outcome.findings[0].message


def test_the_matrix_shows_every_precision(low, capsys):
    from rich.console import Console

    outcome = run_check(forward, low, 0, 2, "")
    terminal.show(Report("low", 0, 2, {}, {"pieces": 1000, "sha256": "0" * 64}, [outcome]), Console(width=120))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]

    assert ["check", "precision", "verdict", "apart", "torch", "tensorflow", "ratio"] in lines
    assert [line[:2] for line in lines if line and line[0] in low.dtypes] == [
        ["float32", "rounding"],
        ["float16", "rounding"],
        ["bfloat16", "rounding"],
    ]


@pytest.mark.parametrize(
    ("dtypes", "message"),
    [
        (["float64", "float32", "float8"], "unknown dtype 'float8'; available: float64, float32, float16, bfloat16"),
        (["float32", "bfloat16"], "float64 is missing from the dtypes; a verdict needs float64 and float32"),
    ],
)
def test_dtypes_that_make_no_square_are_one_clear_line(lstm, dtypes, message):
    with pytest.raises(ParityError, match=message):
        PairModels(lstm, dtypes)


def test_a_dtype_that_a_side_cannot_run_in_is_one_clear_line(lstm):
    def picky():
        import torch

        if torch.get_default_dtype() == torch.float16:
            raise TypeError("no float16 here")
        return lstm.torch()

    with pytest.raises(ParityError, match=r"torch cannot run in float16: .* no float16 here; leave float16 out"):
        PairModels(replace(lstm, torch=picky), ["float64", "float32", "float16"])
