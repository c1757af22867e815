"""Why a model's own code differs: each cause from a fault that was made by NumPy, of what the code was given."""

import math
import time

import numpy as np
import pytest

from parity.diagnose import CAUSES
from parity.diagnose.functions import FUNCTIONS, leaky, log_softmax, softmax
from parity.diagnose.layers import explain
from parity.segment import Segment

BATCH, TIME, WIDTH, HEADS, HEAD = 4, 13, 48, 3, 20
LIMIT = 1e-11


def drawn(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


X, A, N, E = (drawn(BATCH, TIME, WIDTH, seed=seed) for seed in range(4))
POSITIONS = drawn(TIME, WIDTH)
IDS = np.random.default_rng(0).integers(1, 30, (BATCH, TIME))
IDS[1, 9:] = IDS[2, 4:] = 0
AHEAD = np.arange(TIME)[None] - np.arange(TIME)[:, None]
CAUSAL = AHEAD <= 0


def norm(x, epsilon=1e-5):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)
    return x * (1.5 + np.sin(np.arange(x.shape[-1]))) + np.cos(np.arange(x.shape[-1]))


def code(torch, tensorflow, place="output", path="block", limit=LIMIT, **given):
    given = {name.replace("_", " ") if name.startswith("input") else name: array for name, array in given.items()}
    return Segment(path, "Block", place, given, (torch, tensorflow), limit)


def proved(segment):
    """The names of the proved causes, with each one's promise kept."""
    causes, _ = explain(segment)
    for cause in causes:
        assert cause.name in CAUSES
        assert cause.where == segment.path
        assert cause.told
        assert cause.fix
        assert cause.after <= segment.limit < cause.before
    return [cause.name for cause in causes]


def told(segment):
    ((cause,), _) = explain(segment)
    return cause.told


def both_ways(segment):
    """The same fault on the other side."""
    return Segment(
        segment.path, segment.kind, segment.place, segment.given, segment.found[::-1], segment.limit, segment.unstable
    )


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


# Masks and positions

OTHER = {
    "ahead": (AHEAD <= 1, "mask offset"),
    "behind": (AHEAD <= -1, "mask offset"),
    "behind, but the first": ((AHEAD <= -1) | ((AHEAD == 0) & (np.arange(TIME)[:, None] == 0)), "mask offset"),
    "all": (AHEAD <= 99, "mask missing"),
    "inverted": (AHEAD > 0, "mask inverted"),
    "turned": (AHEAD >= 0, "mask inverted"),
    "window": (CAUSAL & (AHEAD > -5), "mask window"),
}


@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize("value", [None, -1e9])
def test_a_mask_is_a_rule_on_each_side(name, value):
    other, cause = OTHER[name]
    arrays = (CAUSAL, other) if value is None else tuple(np.where(mask, 0.0, value) for mask in (CAUSAL, other))
    segment = code(*arrays, "input 2 of block", "", limit=0.0, input=IDS)

    assert proved(segment) == [cause]
    assert proved(both_ways(segment)) == [cause]


def test_a_mask_without_its_padding():
    kept = (IDS != 0)[:, None, None]
    segment = code(CAUSAL & kept, np.broadcast_to(CAUSAL, (BATCH, 1, TIME, TIME)), limit=0.0, input=IDS)

    assert proved(segment) == ["mask missing"]
    assert "without id 0" in told(segment)


def test_what_a_mask_adds():
    values = tuple(np.where(CAUSAL, 0.0, value) for value in (-1e9, -10.0))

    assert proved(code(*values)) == ["mask value"]
    assert told(code(*values)) == "torch hides with -1e+09, tensorflow with -10"


def test_an_unknown_mask_has_no_cause():
    random = np.random.default_rng(0).random((TIME, TIME)) < 0.5
    causes, ruled_out = explain(code(CAUSAL, random, limit=0.0))

    assert causes == []
    assert ruled_out[0].startswith("torch sees the positions up to its own: no other known mask")


COUNTED = {
    "from 1": np.arange(TIME) + 1,
    "from the end": np.arange(TIME)[::-1],
    "all as 0": np.arange(TIME) * 0,
    "from 0, the last one twice": np.minimum(np.arange(TIME), TIME - 2),
}


@pytest.mark.parametrize("name", COUNTED)
def test_positions_are_counted_in_a_known_way_on_each_side(name):
    segment = code(np.arange(TIME), COUNTED[name], "input of positions", "", limit=0.0, input=IDS)

    assert proved(segment) == ["positions"]
    assert proved(both_ways(segment)) == ["positions"]
    assert told(segment) == f"torch counts positions from 0, tensorflow {name}"


# Attention

Q, K, V = (drawn(BATCH, TIME, HEADS * HEAD, seed=seed) for seed in (5, 6, 7))


def split(x, last=False):
    if last:
        return x.reshape(BATCH, TIME, HEAD, HEADS).transpose(0, 3, 1, 2)
    return x.reshape(BATCH, TIME, HEADS, HEAD).transpose(0, 2, 1, 3)


def attended(query=Q, key=K, value=V, scale=HEAD**-0.5, seen=CAUSAL, hides=-np.inf, axis=-1, last=False, turned=False):
    query, key, value = (split(x, last) for x in (query, key, value))
    value = value[:, ::-1] if turned else value
    scores = query @ key.swapaxes(-1, -2) * scale
    with np.errstate(all="ignore"):
        weights = softmax(np.where(seen, scores, hides), axis)
    return (weights @ value).transpose(0, 2, 1, 3).reshape(BATCH, TIME, -1)


def attending(other, seen=CAUSAL):
    given = {"input": X, "input 2": seen, "query": Q, "key": K, "value": V}
    return Segment("blocks.0.attention", "Attention", "input of out", given, (attended(seen=seen), other), LIMIT)


ATTENDED = {
    "root of the width": ({"scale": WIDTH**-0.5}, "attention scale"),
    "no scale": ({"scale": 1.0}, "attention scale"),
    "width of a head": ({"scale": 1 / HEAD}, "attention scale"),
    "any scale": ({"scale": 0.2345}, "attention scale"),
    "no mask": ({"seen": CAUSAL | True}, "mask missing"),
    "one ahead": ({"seen": AHEAD <= 1}, "mask offset"),
    "turned mask": ({"seen": AHEAD >= 0}, "mask offset"),
    "window": ({"seen": CAUSAL & (AHEAD > -5)}, "mask window"),
    "mask of -10": ({"hides": -10.0}, "mask value"),
    "mask of -20": ({"hides": -20.0}, "mask value"),
    "added to the scores": ({"seen": True, "hides": 0, "key": K}, "mask missing"),
    "query and key": ({"query": K, "key": Q}, "query key value"),
    "in turn": ({"query": K, "key": V, "value": Q}, "query key value"),
    "heads in turn": ({"last": True}, "head split"),
    "heads of the values reversed": ({"turned": True}, "head split"),
    "softmax over the queries": ({"axis": -2}, "softmax axis"),
}


@pytest.mark.parametrize("name", ATTENDED)
def test_attention_is_a_known_form_on_each_side(name):
    other, cause = ATTENDED[name]
    segment = attending(attended(**other))

    start = time.perf_counter()
    assert proved(segment) == [cause]
    assert time.perf_counter() - start < 10
    assert proved(both_ways(segment)) == [cause]


def test_scores_to_which_a_finite_value_is_added():
    scores = split(Q) @ split(K).swapaxes(-1, -2) * HEAD**-0.5
    weights = softmax(np.where(CAUSAL, scores, scores - 10))
    segment = attending((weights @ split(V)).transpose(0, 2, 1, 3).reshape(BATCH, TIME, -1))

    assert proved(segment) == ["mask value"]
    assert "-10" in told(segment)


def test_powers_that_overflow_in_float64_too():
    scores = 1000 * split(Q) @ split(K).swapaxes(-1, -2) * HEAD**-0.5
    with np.errstate(all="ignore"):
        raised = np.exp(np.where(CAUSAL, scores, -np.inf))
        weights = raised / raised.sum(-1, keepdims=True)
    other = (weights @ split(V)).transpose(0, 2, 1, 3).reshape(BATCH, TIME, -1)
    given = {"input 2": CAUSAL, "query": 1000 * Q, "key": K, "value": V}
    segment = Segment("attention", "Attention", "input of out", given, (attended(query=1000 * Q), other), LIMIT)

    assert np.isnan(other).any()
    assert "tensorflow takes powers of the scores without their maximum subtracted" in told(segment)
    assert proved(segment) == ["unstable formula"]


def test_padding_that_only_one_side_hides():
    seen = CAUSAL & (IDS != 0)[:, None, None]
    segment = attending(attended(), seen)

    assert proved(segment) == ["mask missing"]


def test_the_number_of_heads_is_found():
    query, key, value = (x.reshape(BATCH, TIME, 5, 12).transpose(0, 2, 1, 3) for x in (Q, K, V))
    weights = softmax(np.where(CAUSAL, query @ key.swapaxes(-1, -2) * 12**-0.5, -np.inf))
    segment = attending((weights @ value).transpose(0, 2, 1, 3).reshape(BATCH, TIME, -1))

    assert proved(segment) == ["head split"]
    assert told(segment) == "torch has 3 heads, tensorflow has 5 heads"


def test_unknown_attention_has_no_cause():
    causes, ruled_out = explain(attending(attended() + 0.01 * np.sin(V)))

    assert causes == []
    assert ruled_out[0].startswith("torch is known attention, the other side is not; tried: heads")


def test_heads_that_are_handed_on_split_otherwise():
    given = {"input": X, "query": Q, "key": K, "value": V}
    segment = Segment("attention", "Attention", "output 2", given, (split(K), split(K, last=True)), LIMIT)
    assert proved(segment) == ["head split"]

    segment = Segment("attention", "Attention", "output 2", given, (split(K), split(V)), LIMIT)
    assert proved(segment) == ["query key value"]


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
    ((cause,), _) = explain(unstable(np.sin(E), "torch", expand=E))

    assert cause.told == "torch loses float32 precision; in float64 the sides agree to 0.0e+00"


def test_sides_that_do_not_agree_in_float64_are_not_unstable():
    segment = Segment("head", "Head", "output", {}, (E, E + 1), LIMIT, "torch")

    assert explain(segment) == ([], ["the two sides do not agree in float64: 1.0e+00"])


def test_the_grid_is_fast():
    arrays = {f"link {i}": drawn(4, 13, 64, seed=i) for i in range(5)}
    start = time.perf_counter()
    explain(code(drawn(4, 13, 64, seed=8), drawn(4, 13, 64, seed=9), **arrays))

    assert time.perf_counter() - start < 10 * math.e  # about a second on a free machine
