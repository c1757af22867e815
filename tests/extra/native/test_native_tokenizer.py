"""TensorFlow's own SentencePiece tokenizer agrees with parity's inside tf.data: `tox -e text`.

In an environment of its own, because tensorflow-text brings the full tensorflow package.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text
from hypothesis import given
from hypothesis import strategies as st

from parity.inputs.batch import batches, rows_of
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.strategies import texts

MODELS = {size: Tokenizer.load(fixture(f"tokenizer/stdlib-{size}.model")) for size in (1000, 64000)}
SMALL = MODELS[1000]
LINES = st.lists(texts(), min_size=1, max_size=8)


def native(tokenizer=SMALL, **options):
    return tensorflow_text.SentencepieceTokenizer(tokenizer.data, out_type=tf.int32, **options)


NATIVE = native()


def data(lines):
    return tf.data.Dataset.from_tensor_slices([line.encode() for line in lines])


def rows(dataset):
    return [row.tolist() for row in dataset.as_numpy_iterator()]


@pytest.mark.parametrize("size", MODELS)
def test_ids_are_the_same_one_by_one_and_in_batches(size):
    ours, theirs = MODELS[size], native(MODELS[size])

    @given(lines=LINES)
    def same(lines):
        expected = [ours.encode(line) for line in lines]

        assert rows(data(lines).map(theirs.tokenize)) == expected
        assert [row for part in data(lines).batch(3).map(theirs.tokenize) for row in part.to_list()] == expected

    same()


@given(lines=LINES, size=st.integers(1, 4))
def test_a_data_path_from_text_gives_the_reference_batches(lines, size):
    ids = data(lines).map(lambda line: tf.cast(NATIVE.tokenize(line), tf.int64)).filter(lambda row: tf.size(row) >= 2)
    pairs = ids.map(lambda row: (row[:-1], row[1:]))
    fed = list(pairs.padded_batch(size, padding_values=tf.constant(SMALL.pad, tf.int64)).as_numpy_iterator())
    expected = batches(rows_of(lines, SMALL), size, SMALL.pad)

    assert len(fed) == len(expected)
    for reference, (inputs, targets) in zip(expected, fed, strict=True):
        assert inputs.dtype == targets.dtype == np.int64
        assert np.array_equal(inputs, reference.ids)
        assert np.array_equal(targets, reference.targets)


@given(ids=st.lists(st.lists(st.integers(0, 999), max_size=12), min_size=1, max_size=6))
def test_any_ids_are_decoded_to_the_same_text(ids):
    ragged = tf.ragged.constant(ids, dtype=tf.int32, ragged_rank=1)

    assert [text.decode() for text in NATIVE.detokenize(ragged).numpy()] == [SMALL.decode(row) for row in ids]


@given(text=texts())
def test_offsets_in_bytes_are_the_same(text):
    ids, starts, ends = (part.numpy().tolist() for part in NATIVE.tokenize_with_offsets(text.encode()))
    proto = SMALL.library.encode(text, out_type="proto")

    assert ids == [piece.id for piece in proto.pieces]
    assert [*zip(starts, ends, strict=True)] == [(piece.begin, piece.end) for piece in proto.pieces]


def test_bos_and_eos_are_the_same_but_in_reverse():
    """TensorFlow turns bos and eos round with the text."""
    text = "the river does not ask the map"
    ids = SMALL.encode(text)
    forward, backward = (native(add_bos=True, add_eos=True, reverse=reverse) for reverse in (False, True))

    assert forward.tokenize(text).numpy().tolist() == SMALL.library.encode(text, add_bos=True, add_eos=True)
    assert SMALL.library.encode(text, add_bos=True, add_eos=True, reverse=True) == [2, *ids[::-1], 3]
    assert backward.tokenize(text).numpy().tolist() == [3, *ids[::-1], 2]


def test_another_model_is_told_apart():
    """The comparison above can fail."""
    text = "the river does not ask the map"

    assert rows(data([text]).map(native(MODELS[64000]).tokenize)) != [SMALL.encode(text)]
