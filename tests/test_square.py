"""square.judge: the four words, the limit, and the message as a user reads it."""

import numpy as np
import pytest

from parity.square import EPS32, EPS64, FLOOR, RATIO, Square, exact, judge, norm, same_text

BASE = (np.arange(12).reshape(3, 4) - 3) / 8


def square(torch32=0.0, tensorflow32=0.0, torch64=0.0, tensorflow64=0.0, base=BASE, at=(1, 2)):
    """A square of equal arrays but for one element, moved by these amounts."""
    arrays = []
    for change, dtype in zip(
        (torch32, tensorflow32, torch64, tensorflow64), ("float32", "float32", "float64", "float64"), strict=True
    ):
        array = base.astype(dtype)
        array[at] += change
        arrays.append(array)
    return Square.of(arrays)


def test_equal_bits_are_identical():
    verdict = judge("logits", square())

    assert (verdict.word, verdict.elements, verdict.figure, verdict.message) == ("identical", 12, 0.0, "")


@pytest.mark.parametrize("where", ["torch32", "tensorflow64"])
def test_a_last_bit_is_rounding(where):
    verdict = judge("logits", square(**{where: EPS32 if where == "torch32" else EPS64}))

    assert verdict.word == "rounding"
    assert not verdict.fails


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_the_limit_is_the_floor_times_the_scale(factor):
    verdict = judge("logits", square(tensorflow64=factor * FLOOR * EPS64))

    assert verdict.word == ("rounding" if factor < 1 else "different")
    assert verdict.limit == FLOOR * EPS64
    assert verdict.headroom == pytest.approx(factor, rel=0.01)


def test_amplification_raises_the_limit_only_where_both_sides_show_it():
    apart = 10 * FLOOR * EPS64
    amplified = 100 * EPS32

    assert judge("logits", square(amplified, -amplified, 0.0, apart)).word == "rounding"
    assert judge("logits", square(amplified, 0.0, 0.0, apart)).word == "different"


def test_infinite_noise_on_both_sides_raises_nothing():
    assert judge("logits", square(np.inf, np.inf, 0.0, 1e-9)).word == "different"


def test_a_given_scale_replaces_the_arrays_own():
    gradient = square(tensorflow64=1e-20, base=BASE * 0)

    assert judge("gradient", gradient).word == "different"
    assert judge("gradient", gradient, scale=1.0).word == "rounding"


@pytest.mark.parametrize("factor", [0.9, 1.1])
@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_one_noisy_side_is_unstable(factor, side):
    verdict = judge("loss", square(**{f"{side}32": factor * RATIO * EPS32}))

    assert verdict.word == ("rounding" if factor < 1 else "unstable")
    assert (f"{side} is unstable" in verdict.message) == (factor > 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_on_one_side_is_different(value):
    assert judge("logits", square(tensorflow64=value)).word == "different"
    assert judge("logits", square(tensorflow32=value)).word == "unstable"
    assert judge("logits", square(value, value, value, value)).word == "identical"


def test_nothing_finite_proves_nothing():
    verdict = judge("logits", Square.of([BASE * np.nan] * 4))

    assert verdict.word == "different"
    assert verdict.message == "logits (3, 4): holds no finite value on either side; that proves nothing"
    assert judge("gradient", square(base=BASE * 0)).word == "identical"


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_a_scale_that_is_not_finite_hides_nothing(scale):
    """The norm of gradients that are NaN on one side."""
    assert judge("gradient", square(tensorflow64=1e-3), scale=scale).word == "different"
    assert judge("gradient", square(torch64=np.nan), scale=scale).word == "different"


def test_unequal_shapes_are_different():
    arrays = [BASE.astype("float32"), BASE.astype("float32"), BASE, BASE[:2]]
    verdict = judge("logits", Square.of(arrays))

    assert verdict.word == "different"
    assert verdict.message == (
        "logits: shapes differ: torch32 (3, 4), tensorflow32 (3, 4), torch64 (3, 4), tensorflow64 (2, 4)"
    )


def test_message_of_a_difference():
    verdict = judge("logits", square(2**-10, 0.0, 2**-10, 0.0))

    assert verdict.message == (
        "logits (3, 4): torch and tensorflow are different\n"
        "  above the limit: 1 of 12 elements (8.3%)\n"
        "  worst at (1, 2): torch 0.3759765625, tensorflow 0.375\n"
        "  difference 9.8e-04 in float64, but rounding explains at most 4.5e-13 = 2048 * eps64 * 1\n"
        "  worst relative at (1, 2): torch 0.3759765625, tensorflow 0.375,\n"
        "    2.6e-03 of the value, 1.8e+13 representable numbers apart\n"
        "    torch32      --- 9.8e-04 --- tensorflow32\n"
        "       | 0.0e+00                    | 0.0e+00\n"
        "    torch64      --- 9.8e-04 --- tensorflow64"
    )


def test_message_names_the_place_before_the_selection():
    mask = np.array([[True, True, False], [False, True, False]])
    verdict = judge("logits", square(tensorflow64=1e-3, at=(2, 3)), places=mask)

    assert "worst at (1, 1, 3):" in verdict.message


def test_message_of_an_unstable_side():
    verdict = judge("loss", square(tensorflow32=0.5))

    assert verdict.message == (
        "loss (3, 4): tensorflow is unstable\n"
        "  worst at (1, 2): float32 0.875, float64 0.375\n"
        "  its own float32 error is 4194304 times the other side's, but should be at most 512 times\n"
        "  the two sides mean the same in float64; this formula loses precision in float32\n"
        "    torch32      --- 5.0e-01 --- tensorflow32\n"
        "       | 0.0e+00                    | 5.0e-01\n"
        "    torch64      --- 0.0e+00 --- tensorflow64"
    )


def test_exact_wants_shape_dtype_and_every_element():
    ids = np.arange(6).reshape(2, 3)
    other = ids.copy()
    other[1, 0] = 9
    sides = ("expected", "torch")

    assert exact("ids", ids, ids.copy(), sides).word == "identical"
    assert exact("ids", ids, other, sides).message == (
        "ids (2, 3): expected and torch are different, but should be identical\n"
        "  unequal: 1 of 6 elements\n"
        "  first at (1, 0): expected 3, torch 9"
    )
    assert exact("ids", ids, ids.astype(np.int32), sides).message == (
        "ids: shape or dtype differs: expected (2, 3) int64, torch (2, 3) int32"
    )
    assert exact("ids", ids, ids[:1], sides).fails


def test_exact_takes_nan_as_equal_to_itself():
    array = np.array([np.nan, 1.0])

    assert exact("logits", array, array.copy(), ("a", "b")).word == "identical"
    assert exact("logits", array, array[::-1], ("a", "b")).fails


def test_texts_are_compared_by_character():
    assert same_text("text", "abc", "abc", ("text", "decoded")).word == "identical"
    assert same_text("text", "abc", "ab\u0301", ("text", "decoded")).message == (
        "text: text and decoded are different, but should be identical\n"
        "  first at character 2\n  text 'abc'\n  decoded 'ab\\u0301'"
    )
    assert same_text("text", "abc", "ab", ("text", "decoded")).fails


def test_norm_is_over_all_arrays_together():
    squares = {"a": Square.of([np.array([3.0])] * 4), "b": Square.of([np.array([4.0])] * 4)}

    assert norm(squares) == 5.0
