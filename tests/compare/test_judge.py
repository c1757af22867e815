"""judge: the four words, the limit, and the message as a user reads it."""

import numpy as np
import pytest

from parity.compare.judge import MAX_FLOAT64_ULPS, MAX_NOISE_RATIO, REDRAW_SHARE, REDRAWS, judge
from parity.compare.square import PrecisionSquare, norm
from parity.dtypes import EPS
from parity.pair.answer import Answer

EPS32, EPS64 = EPS["float32"], EPS["float64"]
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
    return PrecisionSquare.of(arrays)


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
    verdict = judge("logits", square(tensorflow64=factor * MAX_FLOAT64_ULPS * EPS64))

    assert verdict.word == ("rounding" if factor < 1 else "different")
    assert verdict.limit == MAX_FLOAT64_ULPS * EPS64
    assert verdict.limit_ratio == pytest.approx(factor, rel=0.01)


def test_amplification_raises_the_limit_only_where_both_sides_show_it():
    apart = 10 * MAX_FLOAT64_ULPS * EPS64
    amplified = 100 * EPS32

    assert judge("logits", square(amplified, -amplified, 0.0, apart)).word == "rounding"
    assert judge("logits", square(amplified, 0.0, 0.0, apart)).word == "different"


def nudged(whole, *moves):
    """A square whose sides, run again, move by these amounts, the same for both unless a pair is given."""
    tried = []

    def again(place, _, time):
        tried.append((place, time))
        move = moves[time] if isinstance(moves[time], tuple) else (moves[time],) * 2
        array = whole.rows["float64"][place]
        return None if array is None else array + move[place]

    return Answer(**vars(whole), again=again), tried


APART = 100 * MAX_FLOAT64_ULPS * EPS64  # so a noise of 100 eps32 explains it, and 25,600 is far from the limit


def test_noise_that_was_small_by_chance_is_drawn_again():
    """The second nudge shows what the model multiplies; the limit is then that of the noise."""
    whole, tried = nudged(square(tensorflow64=APART), 30 * EPS32, 30_000 * EPS32)
    verdict = whole.judge("logits")

    assert verdict.word == "rounding"
    assert verdict.limit == pytest.approx(30_000 * MAX_FLOAT64_ULPS * EPS64, rel=1e-3)
    assert tried == [(0, 0), (1, 0), (0, 1), (1, 1)]


def test_the_steadier_side_is_what_counts():
    whole, _ = nudged(square(tensorflow64=APART), *[(2 * EPS32, 4000 * EPS32)] * REDRAWS)

    assert whole.judge("logits").word == "different"


def test_nudges_end_where_they_cannot_explain_a_difference():
    moves = [30 * EPS32] * REDRAWS
    many, tried = nudged(square(tensorflow64=APART), *moves)
    hopeless, once = nudged(square(tensorflow64=1e-3), *moves)

    assert (many.judge("logits").word, len(tried)) == ("different", 2 * REDRAWS)
    assert (hopeless.judge("logits").word, len(once)) == ("different", 2)


def test_nothing_is_drawn_again_far_from_every_limit():
    whole, tried = nudged(square(tensorflow64=MAX_FLOAT64_ULPS * EPS64 * REDRAW_SHARE / 2))

    assert (whole.judge("logits").word, tried) == ("rounding", [])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_nudge_that_is_not_finite_explains_nothing(value):
    whole, tried = nudged(square(tensorflow64=APART), *[value] * REDRAWS)

    assert (whole.judge("logits").word, len(tried)) == ("different", 2)


def test_one_noisy_side_may_have_been_small_by_chance_too():
    loud = 2 * MAX_NOISE_RATIO["float32"] * EPS32
    whole, _ = nudged(square(tensorflow32=loud), *[200 * EPS32] * REDRAWS)

    assert judge("logits", square(tensorflow32=loud)).word == "unstable"
    assert whole.judge("logits").word == "rounding"


def test_nudges_go_with_a_side_and_through_a_function():
    whole, _ = nudged(square(), 1.0)
    weak, _ = nudged(three(side="torch"), (1.0, 2.0))
    own = Answer.to_both("tensorflow", whole, whole, ("before", "after"))

    assert own.largest_change("float32", 0) == 1.0
    assert whole.map(lambda array: 3 * array).largest_change("float32", 0) == 3.0
    assert Answer.to_both("torch", weak, weak, ("before", "after")).largest_change("float32", 0) == 2.0


def test_infinite_noise_on_both_sides_raises_nothing():
    assert judge("logits", square(np.inf, np.inf, 0.0, 1e-9)).word == "different"


def test_a_given_scale_replaces_the_arrays_own():
    gradient = square(tensorflow64=1e-20, base=BASE * 0)

    assert judge("gradient", gradient).word == "different"
    assert judge("gradient", gradient, scale=1.0).word == "rounding"


@pytest.mark.parametrize("factor", [0.9, 1.1])
@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_one_noisy_side_is_unstable(factor, side):
    verdict = judge("loss", square(**{f"{side}32": factor * MAX_NOISE_RATIO["float32"] * EPS32}))

    assert verdict.word == ("rounding" if factor < 1 else "unstable")
    assert (f"{side} is unstable" in verdict.message) == (factor > 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_on_one_side_is_different(value):
    assert judge("logits", square(tensorflow64=value)).word == "different"
    assert judge("logits", square(tensorflow32=value)).word == "unstable"
    assert judge("logits", square(value, value, value, value)).word == "identical"


def test_nothing_finite_proves_nothing():
    verdict = judge("logits", square(base=BASE * np.nan))

    assert verdict.word == "different"
    assert verdict.message == "logits: (3, 4) holds no finite value on either side; that proves nothing"
    assert judge("gradient", square(base=BASE * 0)).word == "identical"


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_a_scale_that_is_not_finite_hides_nothing(scale):
    """The norm of gradients that are NaN on one side."""
    assert judge("gradient", square(tensorflow64=1e-3), scale=scale).word == "different"
    assert judge("gradient", square(torch64=np.nan), scale=scale).word == "different"


def test_unequal_shapes_are_different():
    arrays = [BASE.astype("float32"), BASE.astype("float32"), BASE, BASE[:2]]
    verdict = judge("logits", PrecisionSquare.of(arrays))

    assert verdict.word == "different"
    assert verdict.message == (
        "logits: shapes differ: torch32 (3, 4), tensorflow32 (3, 4), torch64 (3, 4), tensorflow64 (2, 4)"
    )


def test_message_of_a_difference():
    verdict = judge("logits", square(2**-10, 0.0, 2**-10, 0.0))

    assert verdict.message == (
        "logits (3, 4): torch and tensorflow are different\n"
        "  mismatched elements: 1 / 12 (8.33%)\n"
        "  greatest difference at (1, 2): torch 0.3759765625, tensorflow 0.375\n"
        "  difference 9.8e-04 in float64, but rounding error accounts for at most 7.3e-12 = 32768 * eps64 * 1\n"
        "  greatest relative difference at (1, 2): torch 0.3759765625, tensorflow 0.375,\n"
        "    2.6e-03 relative, 1.8e+13 ULPs\n"
        "    torch32      --- 9.8e-04 --- tensorflow32\n"
        "       | 0.0e+00                    | 0.0e+00\n"
        "    torch64      --- 9.8e-04 --- tensorflow64"
    )


def test_message_names_the_place_before_the_selection():
    mask = np.array([[True, True, False], [False, True, False]])
    verdict = judge("logits", square(tensorflow64=1e-3, at=(2, 3)), places=mask)

    assert "greatest difference at (1, 1, 3):" in verdict.message


def test_message_of_an_unstable_side():
    verdict = judge("loss", square(tensorflow32=0.5))

    assert verdict.message == (
        "loss (3, 4): tensorflow is unstable\n"
        "  its own float32 error is 4.19e+06 times the other side's, but should be at most 512 times\n"
        "  the two sides mean the same in float64; this formula loses precision in float32\n"
        "  greatest difference at (1, 2): float32 0.875, float64 0.375\n"
        "    torch32      --- 5.0e-01 --- tensorflow32\n"
        "       | 0.0e+00                    | 5.0e-01\n"
        "    torch64      --- 0.0e+00 --- tensorflow64"
    )


def test_message_of_a_value_that_is_not_finite():
    assert judge("logits", square(tensorflow64=np.inf)).message == (
        "logits (3, 4): torch and tensorflow are different\n"
        "  first at (1, 2): torch 0.375, tensorflow inf\n"
        "  not finite on one side only\n"
        "    torch32      --- 0.0e+00 --- tensorflow32\n"
        "       | 0.0e+00                    | inf\n"
        "    torch64      --- inf --- tensorflow64"
    )


def test_values_that_are_not_finite_on_both_sides_are_counted_and_the_rest_is_compared():
    verdict = judge("logits", square(np.nan, np.nan, np.nan, np.nan))
    base = BASE.copy()
    base[0, 0] = np.inf

    assert (verdict.word, verdict.nonfinite) == ("identical", 1)
    assert judge("logits", square(tensorflow64=1e-3, base=base)).word == "different"


def three(torch32=0.0, tensorflow32=0.0, side="tensorflow"):
    """The square without one side's float64 corner."""
    whole = square(torch32, tensorflow32)
    first, second = whole.rows["float64"]
    lower = (first, None) if side == "tensorflow" else (None, second)
    return PrecisionSquare({**whole.rows, "float64": lower}, reason=f"{side} cannot run in float64")


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_three_corners_measure_both_sides_against_the_one_float64(factor, side):
    verdict = judge("logits", three(**{f"{side}32": factor * MAX_NOISE_RATIO["float32"] * EPS32}, side=side))

    assert verdict.word == ("rounding" if factor < 1 else "different")
    assert verdict.limit_ratio == pytest.approx(factor, rel=0.01)
    assert verdict.weaker == f"{side} cannot run in float64"


def test_three_corners_see_a_value_that_is_not_finite():
    assert judge("logits", three(tensorflow32=np.nan)).word == "different"


@pytest.mark.parametrize(
    ("side", "lowest"),
    [("tensorflow", "torch64      - (for both) -"), ("torch", "               (for both)    tensorflow64")],
)
def test_message_of_three_corners(side, lowest):
    verdict = judge("logits", three(tensorflow32=0.5, side=side))

    assert verdict.message == (
        "logits (3, 4): torch and tensorflow are different\n"
        "  tensorflow's float32 error is 4.19e+06 times the other side's, but should be at most 512 times\n"
        "  greatest difference at (1, 2): float32 0.875, float64 0.375\n"
        f"  float64 on one side only, less sensitive: {side} cannot run in float64\n"
        "    torch32      --- 5.0e-01 --- tensorflow32\n"
        "       | 0.0e+00                    | 5.0e-01\n"
        f"    {lowest}"
    )


def test_dtypes_come_before_shapes():
    arrays = [BASE.astype("float32"), BASE.astype("float32"), BASE, BASE.astype("float32")[:1]]

    assert (
        judge("logits", PrecisionSquare.of(arrays)).message == "logits: tensorflow64 is float32, but should be float64"
    )
    arrays[1] = BASE.astype(int)
    assert judge("logits", PrecisionSquare.of(arrays)).message == (
        "logits: dtypes differ: torch32 float32, tensorflow32 int64, torch64 float64, tensorflow64 float32"
    )


def test_comparing_nothing_fails():
    verdict = judge("logits", square(base=np.empty((0, 4)), at=()))

    assert (verdict.word, verdict.message) == ("different", "logits: (0, 4) holds nothing; that proves nothing")


def test_norm_is_over_all_arrays_together():
    squares = {"a": PrecisionSquare.of([np.array([3.0])] * 4), "b": PrecisionSquare.of([np.array([4.0])] * 4)}

    assert norm(squares) == 5.0
