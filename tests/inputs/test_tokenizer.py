"""The tokenizer module: training, loading, refusing, fingerprints."""

import json
import pickle
import re
import sys

import numpy as np
import pytest
from sentencepiece import sentencepiece_model_pb2 as model_pb2

from parity import backends
from parity.errors import ParityError
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer, train

LINES = [f"line {n} of a corpus, {n * n} times as plain as {n % 7} others" for n in range(400)]


def altered(tokenizer, change):
    """The model file after a change to its parsed content."""
    proto = model_pb2.ModelProto()
    proto.ParseFromString(tokenizer.data)
    change(proto)
    return proto.SerializeToString()


def message_of(function, argument):
    """The one line with which a function refuses its argument."""
    with pytest.raises(ParityError) as caught:
        function(argument)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refusal(data, source="file.model"):
    with pytest.raises(ParityError) as caught:
        Tokenizer(data, source)
    message = str(caught.value)

    assert "\n" not in message
    assert message.startswith(source)
    return message


def test_training_is_byte_identical_and_records_no_path():
    first, second = train(LINES, 400), train(iter(LINES), 400)

    assert first == second
    proto = model_pb2.ModelProto()
    proto.ParseFromString(first)
    assert not proto.trainer_spec.input
    assert not proto.trainer_spec.model_prefix


def test_trained_settings_are_those_of_the_scripts():
    assert Tokenizer(train(LINES, 400)).settings == {
        "type": "bpe",
        "pieces": 400,
        "byte fallback": True,
        "normalization": "nfkc",
        "character coverage": 1.0,
        "pad": 0,
        "unk": 1,
        "bos": 2,
        "eos": 3,
        "dummy prefix": True,
        "extra whitespace removed": True,
    }


def test_small_corpus_names_the_largest_vocabulary_that_works():
    with pytest.raises(
        ParityError, match=r"^the corpus is too small for 64000 pieces; the largest .* is \d+$"
    ) as caught:
        train(LINES)
    largest = int(str(caught.value).split()[-1])

    assert Tokenizer(train(LINES, largest)).vocab == largest
    with pytest.raises(ParityError):
        train(LINES, largest + 1)


def test_small_vocabulary_names_the_smallest_that_works():
    with pytest.raises(
        ParityError, match=r"^10 pieces do not hold .* smallest vocabulary that works is \d+$"
    ) as caught:
        train(LINES, 10)
    smallest = int(str(caught.value).split()[-1])

    assert Tokenizer(train(LINES, smallest)).vocab == smallest
    with pytest.raises(ParityError):
        train(LINES, smallest - 1)


@pytest.mark.parametrize("texts", [[], ["", "  ", "\t"]])
def test_empty_corpus_is_refused(texts):
    with pytest.raises(ParityError, match=r"^the corpus is empty"):
        train(texts)


def test_a_line_longer_than_the_library_takes_is_used():
    assert "z" in "".join(Tokenizer(train(["z" * 5000], 262)).piece(i) for i in range(262))


def test_empty_file_is_refused():
    assert refusal(b"").endswith("is empty; give a SentencePiece .model file")


@pytest.mark.parametrize("data", [b"\x00", b"no model", b"PK\x03\x04", b"\xff" * 100])
def test_garbage_is_refused(data):
    assert "is not a SentencePiece model" in refusal(data)


def test_every_truncation_around_the_normalizer_is_refused(small):
    """The library loads the file that ends just before its normalizer, without NFKC."""
    proto = model_pb2.ModelProto()
    proto.ParseFromString(small.data)
    end = len(small.data) - len(proto.normalizer_spec.SerializeToString())
    messages = {refusal(small.data[:cut]) for cut in range(end - 20, end + 20)}

    assert any("its normalizer is missing" in message for message in messages)


def test_a_piece_that_is_no_utf_8_is_refused(small):
    """The library's own message quotes it, and cannot be read for that."""
    at = small.data.index(b"<0x00>")
    assert "corrupt SentencePiece model" in refusal(small.data[:at] + b"\xbc" + small.data[at + 1 :])


def test_random_truncations_are_refused(small):
    for cut in range(1, len(small.data), 4999):
        refusal(small.data[:cut])


def test_missing_pieces_are_refused(small):
    assert "pieces, but should have 1000" in refusal(altered(small, lambda proto: proto.pieces.pop()))


def test_other_kinds_are_refused(small):
    def unigram(proto):
        proto.trainer_spec.model_type = 1

    def no_bytes(proto):
        proto.trainer_spec.byte_fallback = False

    assert "is not a BPE model with byte fallback" in refusal(altered(small, unigram))
    assert "is not a BPE model with byte fallback" in refusal(altered(small, no_bytes))


def test_tokenizer_without_pad_is_refused(small):
    def padless(proto):
        proto.pieces[0].piece = "<nothing>"
        proto.trainer_spec.pad_piece = "<pad>"

    assert "has no pad piece" in refusal(altered(small, padless))


@pytest.mark.parametrize("path", ["", "missing.model", "."])
def test_unreadable_path_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParityError, match=r"empty|cannot be read"):
        Tokenizer.load(path)


def test_fingerprint_is_of_content_not_of_records(small):
    def records(proto):
        proto.trainer_spec.input.append("/somewhere/corpus.txt")
        proto.trainer_spec.model_prefix = "other"
        proto.trainer_spec.num_threads = 3

    assert Tokenizer(altered(small, records)).fingerprint == small.fingerprint


def set_piece(proto):
    proto.pieces[500].piece += "x"


def set_score(proto):
    proto.pieces[500].score -= 1


def set_type(proto):
    proto.pieces[999].type = 5


def set_rules(proto):
    proto.normalizer_spec.precompiled_charsmap = b""


def set_prefix(proto):
    proto.normalizer_spec.add_dummy_prefix = False


@pytest.mark.parametrize("change", [set_piece, set_score, set_type, set_rules, set_prefix])
def test_fingerprint_sees_what_decides_ids(change, small):
    assert Tokenizer(altered(small, change)).fingerprint != small.fingerprint


@pytest.mark.parametrize("size", [1000, 64000])
def test_specimen_is_the_recorded_one(size):
    recorded = json.loads(fixture("tokenizer/fingerprints.json").read_text())
    specimen = Tokenizer.load(fixture(f"tokenizer/stdlib-{size}.model"))

    assert specimen.vocab == size
    assert specimen.fingerprint == recorded[f"stdlib-{size}.model"]


def test_pickled_tokenizer_is_the_same(small):
    copy = pickle.loads(pickle.dumps(small))

    assert copy.fingerprint == small.fingerprint
    assert copy.encode("the same") == small.encode("the same")


def test_lone_surrogate_is_refused(small):
    for function in (small.encode, small.normalize):
        with pytest.raises(ParityError, match="lone surrogate at character 3"):
            function("abc\ud800")


@pytest.mark.parametrize("text", [None, b"bytes", bytearray(b"bytes"), 1, 1.5, ["a list"], ("a tuple",), {}])
def test_what_is_no_text_is_refused(text, small):
    for function in (small.encode, small.normalize):
        assert message_of(function, text) == f"the text is a {type(text).__name__}; give one str"


@pytest.mark.parametrize("token", [-1, 1000, 2**31, 2**64, np.int64(1000)])
def test_id_outside_the_vocabulary_is_refused(token, small):
    told = f"the id {token} is outside the vocabulary; give ids from 0 to 999"

    assert message_of(small.decode, [5, token]) == told
    assert message_of(small.piece, token) == told
    assert message_of(small.is_byte, token) == told


TENSORS = {
    "one of torch": lambda: backends.load() and sys.modules["torch"].tensor([5, 6]),
    "one of torch without axes": lambda: backends.load() and sys.modules["torch"].tensor(5),
    "one of TensorFlow": lambda: backends.load() and sys.modules["tensorflow"].constant([5, 6]),
    "an array of rows": lambda: np.array([[5, 6]]),
    "an array of floats": lambda: np.array([5.0]),
    "a list of rows": lambda: [[5, 6]],
    "a str": lambda: "abc",
    "a list with nothing in it": lambda: [None],
    "nothing": lambda: None,
    "one id": lambda: 5,
}


@pytest.mark.parametrize("ids", TENSORS.values(), ids=TENSORS)
def test_what_is_no_list_of_ids_is_refused(ids, small):
    assert re.fullmatch(
        r"an id is a \w+; give int, of a tensor or an array its \.tolist\(\)|the ids are a \w+; give a list of int",
        message_of(small.decode, ids()),
    )


@pytest.mark.parametrize("ids", [(265, 266), range(265, 267), np.array([265, 266]), np.array([265, 266], np.uint16)])
def test_what_lists_ids_will_do(ids, small):
    assert small.decode(ids) == small.decode([265, 266]) != ""
