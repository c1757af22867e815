"""square.exact and square.same_text: what promises to be identical is compared bit by bit."""

import numpy as np
import pytest

from parity.compare.exact import equal
from parity.compare.judge import judge, judge_exact, same_text
from parity.compare.square import PrecisionSquare


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_integers_and_booleans_are_compared_exactly(dtype):
    ids = np.array([[1, 0], [0, 1]], dtype)
    other = ids.copy()
    other[1, 1] = 0

    assert judge("ids", PrecisionSquare.of([ids] * 4)).word == "identical"
    assert judge("ids", PrecisionSquare.of([ids, ids, ids, other])).message == (
        "ids (2, 2): torch64 and tensorflow64 are different, but should be identical\n"
        "  unequal: 1 of 4 elements\n"
        f"  first at (1, 1): torch64 {ids[1, 1]}, tensorflow64 {other[1, 1]}"
    )
    assert judge("ids", PrecisionSquare.of([other, ids, ids, ids])).fails


def test_exact_wants_shape_dtype_and_every_element():
    ids = np.arange(6).reshape(2, 3)
    other = ids.copy()
    other[1, 0] = 9
    sides = ("expected", "torch")

    assert judge_exact("ids", ids, ids.copy(), sides).word == "identical"
    assert judge_exact("ids", ids, other, sides).message == (
        "ids (2, 3): expected and torch are different, but should be identical\n"
        "  unequal: 1 of 6 elements\n"
        "  first at (1, 0): expected 3, torch 9"
    )
    assert judge_exact("ids", ids, ids.astype(np.int32), sides).message == (
        "ids: shape or dtype differs: expected (2, 3) int64, torch (2, 3) int32"
    )
    assert judge_exact("ids", ids, ids[:1], sides).fails


def test_exact_takes_nan_as_equal_to_itself():
    array = np.array([np.nan, 1.0])

    assert judge_exact("logits", array, array.copy(), ("a", "b")).word == "identical"
    assert judge_exact("logits", array, array[::-1], ("a", "b")).fails


def test_texts_are_compared_by_character():
    assert same_text("text", "abc", "abc", ("text", "decoded")).word == "identical"
    assert same_text("text", "abc", "ab\u0301", ("text", "decoded")).message == (
        "text: text and decoded are different, but should be identical\n"
        "  first at character 2\n  text 'abc'\n  decoded 'ab\\u0301'"
    )
    assert same_text("text", "abc", "ab", ("text", "decoded")).fails


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_equal_takes_nan_like_nan_and_asks_for_it_only_where_something_differs(dtype, monkeypatch):
    numbers, holes = np.arange(4, dtype=dtype), np.array([1, np.nan, 2, 3], dtype)
    asked, plain = [], np.array_equal
    monkeypatch.setattr(
        np, "array_equal", lambda *arrays, **options: asked.append(options) or plain(*arrays, **options)
    )

    assert equal(numbers, numbers.copy())
    assert asked == [{}]
    assert equal(holes, holes.copy())
    assert not equal(holes, numbers)
    assert not equal(numbers, numbers[:3])
    assert equal(np.array(["a"]), np.array(["a"]))
    assert not equal(np.array(["a"]), np.array(["b"]))
