"""The formulas of torch's functions: each makes the numbers that the function makes, in every option that it has."""

import inspect

import pytest
import torch
from torch.nn import functional

from parity.backends.torch import signatures
from parity.backends.torch.unfused import PARTS, Recording

RANDOM = torch.Generator().manual_seed(0)


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=RANDOM)


X, Y, W, BIAS = drawn(3, 4, 6), drawn(3, 4, 6), drawn(4), drawn(4, 4)
SHARES, OTHERS = drawn(3, 4, 6).sigmoid(), drawn(3, 4, 6).softmax(1)
CLASSES = torch.randint(4, (3, 6), generator=RANDOM)
SIGNS = torch.tensor([[1.0, -1, 1, -1]] * 3, dtype=torch.float64)
SEEN = torch.ones(6, 6, dtype=torch.bool).tril()
REDUCTIONS = [{"reduction": reduction} for reduction in ("none", "mean", "sum")]
CLASS_OPTIONS = [{}, {"weight": W.exp()}, {"ignore_index": 2}, {"weight": W.exp(), "ignore_index": 0}]
CLASSIFIED = [
    {"input": logits, "target": classes} | more | how
    for logits, classes in ((X, CLASSES), (X[..., 0], CLASSES[:, 0]), (X[0, :, 0], CLASSES[0, 0]))
    for more in CLASS_OPTIONS
    for how in REDUCTIONS
]
CALLS = {
    "scaled_dot_product_attention": [
        {"query": X, "key": Y, "value": Y} | more
        for more in ({}, {"is_causal": True}, {"scale": 0.3}, {"attn_mask": SEEN[:4, :4]}, {"attn_mask": BIAS})
    ],
    "normalize": [{"input": X}, {"input": X, "dim": -1, "eps": 2.0}],
    "cosine_similarity": [{"x1": X, "x2": Y}, {"x1": X, "x2": Y, "dim": -1, "eps": 3.0}],
    "pairwise_distance": [{"x1": X, "x2": Y}, {"x1": X, "x2": Y, "eps": 0.1, "keepdim": True}],
    "norm": [{"input": X, "dim": 1}, {"input": X, "dim": (0, 2), "keepdim": True}],
    "linear": [{"input": X, "weight": drawn(5, 6)}, {"input": X, "weight": drawn(5, 6), "bias": drawn(5)}],
    "glu": [{"input": X}, {"input": X, "dim": 1}],
    "silu": [{"input": X}],
    "gelu": [{"input": X}, {"input": X, "approximate": "tanh"}],
    "softplus": [{"input": X}, {"input": 30 * X}, {"input": X, "beta": 2.0, "threshold": 1.0}],
    "mish": [{"input": X}],
    "elu": [{"input": X}, {"input": X, "alpha": 0.3}],
    "prelu": [{"input": X, "weight": W}, {"input": X, "weight": W[:1]}],
    "hardswish": [{"input": 3 * X}],
    "hardsigmoid": [{"input": 3 * X}],
    "layer_norm": [
        {"input": X, "normalized_shape": (4, 6)},
        {"input": X, "normalized_shape": (6,), "weight": drawn(6), "bias": drawn(6), "eps": 0.1},
    ],
    "rms_norm": [
        {"input": X, "normalized_shape": (6,)},
        {"input": X, "normalized_shape": (6,), "weight": drawn(6), "eps": 0.1},
    ],
    "group_norm": [{"input": X, "num_groups": 2}, {"input": X, "num_groups": 4, "weight": W, "bias": W + 1}],
    "batch_norm": [
        {"input": X, "running_mean": W, "running_var": W.exp()} | more
        for more in ({}, {"weight": W, "bias": W + 1, "eps": 0.1})
    ],
    "std": [{"input": X, "dim": 1}, {"input": X, "dim": (1, 2), "correction": 0, "keepdim": True}],
    "stft": [
        {"input": signal, "n_fft": 6, "window": drawn(length), "win_length": length, "return_complex": True} | more
        for signal, length in ((drawn(2, 25), 6), (drawn(25), 3))
        for more in ({}, {"center": False, "hop_length": 3}, {"pad_mode": "constant"})
    ],
    "nll_loss": CLASSIFIED,
    "cross_entropy": [of | more for of in CLASSIFIED for more in ({}, {"label_smoothing": 0.1})],
    "binary_cross_entropy": [
        {"input": SHARES, "target": OTHERS} | more | how for more in ({}, {"weight": X.exp()}) for how in REDUCTIONS
    ],
    "binary_cross_entropy_with_logits": [
        {"input": X, "target": OTHERS} | more | how
        for more in ({}, {"weight": X.exp()}, {"pos_weight": drawn(6).exp()})
        for how in REDUCTIONS
    ],
    "mse_loss": [{"input": X, "target": Y} | how for how in REDUCTIONS],
    "l1_loss": [{"input": X, "target": Y} | how for how in REDUCTIONS],
    "smooth_l1_loss": [{"input": X, "target": Y, "beta": beta} | how for beta in (1.0, 0.3) for how in REDUCTIONS],
    "huber_loss": [{"input": X, "target": Y, "delta": delta} | how for delta in (1.0, 0.3) for how in REDUCTIONS],
    "kl_div": [
        {"input": X.log_softmax(1), "target": target, "log_target": logs, "reduction": how}
        for target, logs in ((OTHERS, False), (OTHERS.log(), True))
        for how in ("none", "sum", "batchmean")
    ],
    "gaussian_nll_loss": [
        {"input": X, "target": Y, "var": SHARES} | more | how
        for more in ({}, {"full": True}, {"eps": 0.5})
        for how in REDUCTIONS
    ],
    "poisson_nll_loss": [
        {"input": SHARES, "target": Y} | more | how for more in ({}, {"log_input": False}) for how in REDUCTIONS
    ],
    "triplet_margin_loss": [
        {"anchor": X, "positive": Y, "negative": X + Y} | more | how
        for more in ({}, {"margin": 0.2, "eps": 0.1})
        for how in REDUCTIONS
    ],
    "margin_ranking_loss": [
        {"input1": X[..., 0], "input2": Y[..., 0], "target": SIGNS} | more | how
        for more in ({}, {"margin": 0.5})
        for how in REDUCTIONS
    ],
    "cosine_embedding_loss": [
        {"input1": X[0], "input2": Y[0], "target": SIGNS[0]} | more | how
        for more in ({}, {"margin": 0.1})
        for how in REDUCTIONS
    ],
}


def test_every_formula_is_held_against_its_function():
    assert CALLS.keys() == PARTS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_a_formula_makes_what_its_function_makes(name):
    function = getattr(functional, name, None) or getattr(torch, name)
    for arguments in CALLS[name]:
        result = PARTS[name](**arguments)

        torch.testing.assert_close(
            result, function(**arguments), rtol=0, atol=1e-13, equal_nan=True, msg=str(arguments)
        )


@pytest.mark.parametrize("name", CALLS)
def test_what_a_formula_takes_its_function_takes_with_the_same_default(name):
    function = getattr(functional, name, None) or getattr(torch, name)
    for arguments in CALLS[name]:
        theirs = signatures.known(function, [*arguments.values()][:1], [*arguments][1:])
        ours = {
            of.name: of.default for of in inspect.signature(PARTS[name]).parameters.values() if of.default != of.empty
        }

        assert {of: theirs.get(of, default) for of, default in ours.items()} == ours


def recorded(call):
    """(Name, of which function it is a part) of each operation that a call is recorded as, and its result."""
    operations = []

    def record(function, args, kwargs, part_of):
        result = function(*args, **kwargs)
        if torch.is_tensor(result):
            operations.append((signatures.name(function), part_of))
        return result

    with Recording(record, unfused=True):
        result = call()
    return operations, result


POSITIONAL = {
    "mse_loss": lambda: functional.mse_loss(X, Y),
    "norm": lambda: X.norm(2, 1, True),
    "std": lambda: X.std(1, False),
    "silu": lambda: functional.silu(X),
    "pairwise_distance": lambda: functional.pairwise_distance(X, Y, 2.0, 0.1),
    "cross_entropy": lambda: functional.cross_entropy(X, CLASSES, W.exp(), label_smoothing=0.1, ignore_index=2),
    "batch_norm": lambda: functional.batch_norm(X, W, W.exp(), W, W, False, 0.0, 0.1),
    "scaled_dot_product_attention": lambda: functional.scaled_dot_product_attention(X, Y, Y, BIAS, 0.0, False),
}
LACKING = {
    "mse_loss": lambda: functional.mse_loss(X, Y, weight=Y.exp()),
    "huber_loss": lambda: functional.huber_loss(X, Y, weight=Y.exp()),
    "silu": lambda: functional.silu(X.clone(), inplace=True),
    "pairwise_distance": lambda: functional.pairwise_distance(X, Y, 1.0),
    "norm": lambda: torch.norm(X, p=1, dim=1),
    "poisson_nll_loss": lambda: functional.poisson_nll_loss(X, Y.exp(), full=True),
    "triplet_margin_loss": lambda: functional.triplet_margin_loss(X, Y, X + Y, swap=True),
    "batch_norm": lambda: functional.batch_norm(X, W.clone(), W.exp(), training=True),
    "cross_entropy": lambda: functional.cross_entropy(X, OTHERS),
    "scaled_dot_product_attention": lambda: functional.scaled_dot_product_attention(X, Y, Y, dropout_p=0.5),
}


@pytest.mark.parametrize("name", POSITIONAL)
def test_a_call_is_recorded_by_its_parts_however_its_arguments_are_given(name):
    operations, result = recorded(POSITIONAL[name])

    assert {part_of for of, part_of in operations if of not in ("exp", "clone")} == {name}
    torch.testing.assert_close(result, POSITIONAL[name](), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", LACKING)
def test_a_call_with_what_no_formula_has_is_recorded_as_one_operation(name):
    operations, _ = recorded(LACKING[name])

    assert operations[-1] == (name, "")
    assert not any(part_of for _, part_of in operations)


def test_targets_are_looked_through_without_an_operation():
    operations, _ = recorded(lambda: functional.nll_loss(X, torch.full((3, 6), -100)))

    assert [name for name, _ in operations] == ["full", "nll_loss"]
