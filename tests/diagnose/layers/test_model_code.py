"""Why a model's own code differs: each cause from a fault that was made by NumPy, of what the code was given."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from parity.canonical.activations import FUNCTIONS, leaky, log_softmax, softmax
from parity.diagnose.layers import explain
from parity.diagnose.locate.segment import Segment
from tests.helpers.segments import BATCH, IDS, LIMIT, TIME, both_ways, code, drawn, proved, told

WIDTH = 48
X, A, N, E = (drawn(BATCH, TIME, WIDTH, seed=seed) for seed in range(4))
POSITIONS = drawn(TIME, WIDTH)


def norm(x, epsilon=1e-5):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)
    return x * (1.5 + np.sin(np.arange(x.shape[-1]))) + np.cos(np.arange(x.shape[-1]))


def shifted(x, steps):
    return np.roll(x, steps, 1) * (np.arange(x.shape[1]) >= steps)[:, None] if steps > 0 else None


def padded(x, before, behind, mode="constant"):
    return np.pad(x, ((0, 0), (before, behind), (0, 0)), mode)


GELU, TANH = FUNCTIONS["gelu (erf)"], FUNCTIONS["gelu (tanh)"]
SUMS = {
    "GELU by tanh": (code(GELU(E), TANH(E), expand=E), "activation"),
    "quick GELU": (code(GELU(E), FUNCTIONS["gelu (quick)"](E), expand=E, input=X), "activation"),
    "ReLU": (code(GELU(E), np.maximum(E, 0), expand=E), "activation"),
    "no activation": (code(GELU(E), E, expand=E), "activation"),
    "inside a sum": (code(X + GELU(E), X + TANH(E), input=X, expand=E), "activation"),
    "slopes": (code(leaky(0.01)(E), leaky(0.3)(E), expand=E), "slope"),
    "an unknown slope": (code(leaky(0.01)(E), leaky(0.123)(E), expand=E), "slope"),
    "softplus above 20": (
        code(FUNCTIONS["softplus"](30 * E), FUNCTIONS["softplus (identity above 20)"](30 * E), expand=30 * E),
        "activation",
    ),
    "tanh before padding": (code(padded(np.tanh(E), 2, 0), padded(np.maximum(E, 0), 2, 0), convs=E), "activation"),
    "softmax axis": (code(softmax(E, -1), softmax(E, 1), expand=E), "softmax axis"),
    "no residual": (code(X + A, A, input=X, attention=A), "residual"),
    "four times": (code(X, 4 * X, input=X), "scale"),
    "residual twice": (code(X + A, 2 * X + A, input=X, attention=A), "residual"),
    "another branch": (code(X + A + E, A + E, input=X, attention=A, contract=E), "residual"),
    "in parallel": (code(X + A, X, "input of mlp_norm", attention_norm=N, input=X, attention=A), "residual"),
    "scale of the table": (code(E + POSITIONS, E * 48**0.5 + POSITIONS, embedding=E, positions=POSITIONS), "scale"),
    "temperature": (code(E, E / 0.7, head=E), "scale"),
    "offset": (code(X + A, X + A + 1e-3, input=X, attention=A), "offset"),
    "no positions": (code(E + POSITIONS, E, embedding=E, positions=POSITIONS), "positions"),
    "post-norm, first": (code(norm(X), X, "input of attention", input=X), "norm placement"),
    "post-norm, given": (
        code(X, norm(X + A), "input of attention", input=X, attention_norm=norm(X + A)),
        "norm placement",
    ),
    "post-norm, sum": (code(X, X + A, "input of attention_norm", input=X, attention=A), "norm placement"),
    "no norm": (code(norm(X), X, "input of head", blocks=X, norm=norm(X)), "norm placement"),
    "no norm of a sum": (
        code(norm(X + A), X + A, "input of expand", input=X, attention=A, last=norm(X + A)),
        "norm placement",
    ),
    "later": (code(X, shifted(X, 1), input=X), "time shift"),
    "reversed": (code(E, E[:, ::-1], "input of gru", embedding=E), "time shift"),
    "padded behind": (code(padded(E, 2, 0), padded(E, 1, 1), "input of convs.0", embedding=E), "time shift"),
    "padded by the edge": (
        code(padded(E, 2, 0), padded(E, 2, 0, "edge"), "input of convs.0", embedding=E),
        "padding value",
    ),
    "query for key": (code(X, A, "output 2", query=X, key=A), "query key value"),
    "softmax of logits": (code(E, softmax(E), path="", head=E), "from_logits"),
    "ids one later": (
        code(IDS, np.roll(IDS, 1, 1) * (np.arange(TIME) > 0), "input of embedding", input=IDS),
        "time shift",
    ),
    "dropout": (code(E, E * (drawn(BATCH, TIME, WIDTH, seed=8) > -1) / 0.9, "input of head", embedding=E), "dropout"),
}


@pytest.mark.parametrize("name", SUMS)
def test_own_code_is_an_expression_on_each_side(name):
    segment, cause = SUMS[name]

    assert proved(segment) == [cause]
    assert proved(both_ways(segment)) == [cause]


def test_a_function_and_a_movement_at_once_are_both_named():
    segment = code(padded(np.tanh(E), 2, 0), padded(np.maximum(E, 0), 1, 1), "input of convs.1", convs=E)

    assert proved(segment) == ["activation", "time shift"]


def test_both_expressions_and_the_fix_are_told():
    segment = SUMS["GELU by tanh"][0]
    ((cause,), _) = explain(segment)

    assert cause.told == "torch's output is gelu (erf) of expand, tensorflow's is gelu (tanh) of expand"
    assert cause.fix == "keras.activations.gelu(x, approximate=False) in tensorflow, as in torch"


def test_a_factor_is_told_as_a_root_of_a_size():
    assert told(SUMS["scale of the table"][0]) == (
        "torch's output is embedding + positions, tensorflow's is sqrt(48) * embedding + positions"
    )


def test_a_factor_is_told_as_a_plain_number_where_it_is_one():
    assert told(SUMS["four times"][0]) == "torch's output is input, tensorflow's is 4 * input"


@pytest.mark.parametrize("made", [X, X + A, padded(np.tanh(E), 2, 0)])
def test_clean_code_has_no_cause(made):
    assert explain(code(made, made.copy(), input=X, attention=A, convs=E)) == ([], [])


def test_an_unknown_formula_has_no_cause_and_what_was_tried_is_said():
    causes, ruled_out = explain(code(X + A, X + A + 0.1 * np.sin(X), input=X, attention=A))

    assert causes == []
    assert ruled_out[0].startswith("torch is input + attention; the other side is no sum of input, attention with")


def test_two_forms_that_rounding_could_take_for_one_another_are_not_told_apart():
    x = 1e-3 * E
    far = float(np.abs(GELU(x) - TANH(x)).max())

    assert explain(code(GELU(x), TANH(x), limit=2 * far, expand=x)) == ([], [])


def test_a_near_miss_is_not_proved():
    miss = np.where(E < 0, 0.0100001 * E, E) + 1e-9 * np.sin(E)

    assert proved(code(np.maximum(E, 0), miss, expand=E)) == []


def test_numbers_are_not_fitted_to_too_few_elements():
    arrays = {f"link {i}": drawn(1, 2, 2, seed=i) for i in range(5)}

    assert proved(code(drawn(1, 2, 2, seed=8), drawn(1, 2, 2, seed=9), **arrays)) == []


# Formulas that lose float32


def unstable(made, side="tensorflow", **given):
    return Segment("head", "Head", "output", given, (made, made), LIMIT, side)


@pytest.mark.parametrize(
    ("made", "given", "words"),
    [
        (log_softmax(40 * E), 40 * E, "log(softmax(x))"),
        (softmax(60 * E), 60 * E, "softmax without the maximum"),
        ((E + 300).var(-1, keepdims=True), E + 300, "E[x^2] - E[x]^2"),
    ],
)
def test_a_formula_that_loses_float32_is_named_with_what_it_loses(made, given, words):
    ((cause,), _) = explain(unstable(made, expand=given))

    assert cause.name == "unstable formula"
    assert words in cause.told
    assert cause.after < cause.before
    assert "tensorflow" in cause.fix


def test_an_unknown_formula_that_loses_float32_is_told_by_its_agreement_in_float64():
    segment = replace(unstable(np.sin(E), "torch", expand=E), noise=(1e-2, 1e-6))
    ((cause,), _) = explain(segment)

    assert cause.told.startswith("torch loses float32 precision; in float64 the sides agree to 0.0e+00")
    assert (cause.before, cause.after) == (1e-2, 1e-6)


def test_what_does_not_lose_less_by_another_formula_is_no_cause():
    causes, ruled_out = explain(unstable(np.sin(E), "torch", expand=E))

    assert causes == []
    assert ruled_out == ["torch loses float32 precision; in float64 the sides agree to 0.0e+00"]


def test_sides_that_do_not_agree_in_float64_are_not_unstable():
    segment = Segment("head", "Head", "output", {}, (E, E + 1), LIMIT, "torch")

    assert explain(segment) == ([], ["the two sides do not agree in float64: 1.0e+00"])


def test_the_grid_is_fast():
    arrays = {f"link {i}": drawn(4, 13, 64, seed=i) for i in range(5)}
    start = time.perf_counter()
    explain(code(drawn(4, 13, 64, seed=8), drawn(4, 13, 64, seed=9), **arrays))

    assert time.perf_counter() - start < 10 * math.e  # about a second on a free machine


LENGTH = np.sqrt(np.square(E).sum(-1, keepdims=True))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (E / LENGTH, E / np.sqrt(LENGTH**2 + 1e-3)),  # an epsilon inside the root
        (E / LENGTH, E / np.abs(E).sum(-1, keepdims=True)),  # another norm
        (np.maximum(E, 0), np.where(E > 0, E, np.expm1(2 * E) / 2)),  # another slope below zero
    ],
)
def test_a_function_that_would_undo_another_form_of_itself_is_not_told_as_missing(ours, theirs):
    for segment in (code(ours, theirs, expand=E), code(theirs, ours, expand=E)):
        (cause,), _ = explain(segment)

        assert cause.name == "activation"
        assert "or with another form of it" in cause.told
        assert "another form" in cause.fix


def test_a_function_that_changes_its_own_result_is_on_top():
    (cause,), _ = explain(code(np.tanh(E * A), E * A, expand=E))

    assert "another form" not in cause.told + cause.fix


def test_an_array_without_a_time_is_reversed_along_its_axis():
    rows = np.sort(drawn(4, 13, seed=8), -1)
    (cause,), _ = explain(code(rows, rows[:, ::-1], expand=rows[::-1] ** 3))

    assert cause.told == "torch's output is the other's reversed along its last axis"
    assert "sorted the other way round" in cause.fix


def test_what_is_ruled_out_is_a_function_on_top_and_no_form_of_one():
    _, ruled_out = explain(code(np.log1p(np.exp(E)), np.log1p(np.exp(1.7 * E)) / 1.7, expand=A))

    assert any("another function on top" in line for line in ruled_out)
    assert not any("with scale" in line and "activation" in line for line in ruled_out)
