"""Batches and the strategies that draw them: what they promise, and that they reach the awkward cases."""

from random import Random

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from parity import ParityError, strategies
from parity.inputs.batch import batch, batches, rows_of
from parity.inputs.sampling import plain, simplest, specimens
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer

SMALL = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
REACH = settings(max_examples=1000, phases=[Phase.generate])  # nobody reads the smallest
ROWS = st.lists(st.lists(st.integers(0, 999), min_size=2, max_size=9), min_size=1, max_size=6)


@given(rows=ROWS)
def test_a_batch_holds_its_rows_and_nothing_else(rows):
    made = batch(rows, pad=0)

    assert made.ids.shape == made.targets.shape == made.mask.shape == (len(rows), max(map(len, rows)) - 1)
    assert made.ids.dtype == made.targets.dtype == np.int64
    for row, ids, targets, mask in zip(rows, made.ids, made.targets, made.mask, strict=True):
        assert [*ids[mask], targets[mask][-1]] == row
        assert targets[mask].tolist() == row[1:]
        assert not ids[~mask].any()
        assert not targets[~mask].any()


@given(rows=ROWS, size=st.integers(1, 4))
def test_batches_keep_order_and_lose_no_row(rows, size):
    made = batches(rows, size, pad=0)

    assert [len(one.ids) for one in made[:-1]] == [size] * (len(made) - 1)
    assert sum(int(one.mask.sum()) for one in made) == sum(len(row) - 1 for row in rows)


def test_texts_of_fewer_than_two_tokens_are_dropped(small):
    texts = ["", "  ", "\u2581", "a", "the river", "I am."]
    kept = [text for text in texts if len(small.encode(text)) >= 2]

    assert rows_of(texts, small) == [small.encode(text) for text in kept]
    assert 0 < len(kept) < len(texts)


def test_a_limit_cuts_the_end(small):
    whole = small.encode("the river does not ask the map")

    assert rows_of(["the river does not ask the map"], small, 3) == [whole[:3]]


AWKWARD = {
    "the pad id inside a text": lambda case: any(0 in row[1:-1] for row in case.rows),
    "unequal lengths": lambda case: len({len(row) for row in case.rows}) > 1,
    "length 1": lambda case: case.rows and max(map(len, case.rows)) == 2,
    "the last id": lambda case: any(999 in row for row in case.rows),
    "a repeated token": lambda case: any(len(set(row)) == 1 and len(row) > 3 for row in case.rows),
    "large logits": lambda case: case.weights.scale > 10,
    "small activations": lambda case: case.weights.scale < 0.1,
    "four rows": lambda case: len(case.rows) == 4,
}


@pytest.mark.parametrize("wanted", AWKWARD.values(), ids=AWKWARD)
def test_cases_reach_what_a_plain_batch_does_not(wanted):
    assert wanted(find(strategies.cases(SMALL), wanted, settings=REACH, random=Random(0)))


@pytest.mark.parametrize("wanted", ["<pad>", "\u2581", "\ufb01", "\n"])
def test_texts_reach_typed_specials_and_folded_characters(wanted):
    assert wanted in find(strategies.texts(), lambda text: wanted in text, settings=REACH, random=Random(0))


@given(text=strategies.plain_texts())
def test_plain_texts_are_plain(text):
    assert strategies.is_plain(text)


@given(case=strategies.cases(SMALL))
def test_every_case_has_a_target_to_count(case):
    assert (case.batch(0).targets != 0).any()


@given(case=strategies.cases(SMALL, 20, 6))
def test_no_case_is_longer_than_the_models_take(case):
    """20 ids, of which 6 stay free."""
    assert case.batch(0).ids.shape[1] <= 14


def test_cases_reach_the_longest_that_the_models_take():
    def longest(case):
        return case.batch(0).ids.shape[1] == 34

    assert longest(find(strategies.cases(SMALL, 40, 6), longest, settings=REACH, random=Random(0)))


IDS = strategies.ids(7, 30_000, pad=3)


def kinds_of(ids, pad):
    """How many tokens each row has, where padding stands at its end alone."""
    counts = [int((row != pad).sum()) for row in ids]
    assert all((row[:count] != pad).all() for row, count in zip(ids, counts, strict=True))
    return counts


def test_the_first_ids_of_every_check_have_every_kind_of_row():
    """A check of one example has no other."""
    drawn = simplest(IDS)

    short, whole, one, none, *_ = kinds_of(drawn, 3)
    assert (drawn.dtype, drawn.shape[1]) == (np.int64, 7)
    assert len(drawn) > strategies.ROWS
    assert 1 <= short < whole == 7
    assert (one, none) == (1, 0)
    assert (drawn.max(), drawn.min()) == (29_999, 0)


def test_without_edges_every_text_has_a_token():
    """Where a derivative is taken: what a masked mean gives of padding alone is NaN, and so would every gradient be."""
    for drawn in [*specimens(IDS, 4), simplest(plain(IDS)), simplest(strategies.ids(7, 30_000, edges=False))]:
        counts = kinds_of(drawn, 0 if drawn.min() == 0 and 3 not in drawn else 3)
        assert min(counts) > 0
        assert counts[0] < 7


@pytest.mark.parametrize(("vocabulary", "pad"), [(2, 0), (2, 1), (5, 4)])
@pytest.mark.parametrize("length", [1, 2, 9])
def test_ids_are_below_the_vocabulary_whatever_the_padding(length, vocabulary, pad):
    drawn = simplest(strategies.ids(length, vocabulary, pad))

    kinds_of(drawn, pad)
    assert set(np.unique(drawn)) <= set(range(vocabulary))
    assert pad in drawn


@pytest.mark.parametrize("wrong", [(0, 5, 0), (3, 1, 0), (3, 5, 5), (3, 5, -1)])
def test_ids_refuse_what_nothing_can_be_drawn_of(wrong):
    with pytest.raises(ParityError, match="a length from 1, a vocabulary from 2, and pad among its ids"):
        strategies.ids(*wrong)


def test_integers_have_both_bounds_and_a_row_that_ends_in_zeros():
    for drawn in (simplest(strategies.arrays(7, below=30_000)), *specimens(strategies.arrays(7, below=30_000), 3)):
        assert drawn[0, 0] == 29_999
        assert not drawn[0, 4:].any()
    drawn = simplest(strategies.arrays(7, below=30_000))
    assert drawn[1, 0] == 0
    assert len(set(drawn[2])) == 1


def test_numbers_have_zeros_and_ties_where_no_derivative_is_taken():
    floats = strategies.arrays(4, 5)
    plainest, some, ties, none, _ = simplest(floats)

    assert plainest.all()
    assert some.any()
    assert not some.all()
    assert len(np.unique(ties)) < ties.size / 2
    assert not none.any()
    assert not np.signbit(ties[ties == 0]).any()
    smooth = [
        *specimens(floats, 4),
        *simplest(plain(st.tuples(floats, floats))),
        simplest(strategies.arrays(4, 5, edges=False)),
    ]
    assert all(drawn.all() and len(np.unique(drawn)) == drawn.size for drawn in smooth)


def test_arrays_reach_more_rows_and_larger_numbers_than_weights_do():
    def wide(drawn):
        return len(drawn) > 5 and np.abs(drawn).max() > 500

    assert wide(find(strategies.arrays(9), wide, settings=REACH, random=Random(0)))


def test_arrays_together_say_which_of_them_hold_ids():
    both = strategies.together(words=IDS, label=strategies.arrays(below=4), numbers=strategies.arrays(3))

    assert {at: (ids.below, ids.pad) for at, ids in both.ids.items()} == {
        ("words",): (30_000, 3),
        ("label",): (4, None),
    }
    assert len(set(map(len, simplest(both).values()))) == 1


def test_arrays_of_one_shape_are_not_the_same():
    one = strategies.arrays(5)
    drawn = [*simplest(strategies.together(a=one, b=one, c=strategies.arrays(5))).values()]

    assert len({array[0].tobytes() for array in drawn}) == 3
    assert (drawn[0] == simplest(one)).all()


def test_plain_batches_begin_with_two_rows():
    """Of one row alone a loss over the batch, as a contrastive one, says nothing."""
    assert len(simplest(strategies.arrays(7, edges=False))) == 2
