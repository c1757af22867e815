"""The tokenizer check's formulas follow every model that is accepted; a model that lies about its rules is caught."""

import io

import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as model_pb2

from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer

SMALL = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))


def retrained(**settings):
    """A tokenizer whose model was trained otherwise."""
    model = io.BytesIO()
    lines = [f"line {n} of a corpus, {n * n} times as plain as {n % 7} others" for n in range(400)]
    options = {"normalization_rule_name": "nfkc", "model_type": "bpe", "vocab_size": 400, "byte_fallback": True}
    ids = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3, "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, **{**options, **ids, **settings}
    )
    return Tokenizer(model.getvalue())


def altered(change, data=SMALL.data):
    proto = model_pb2.ModelProto()
    proto.ParseFromString(data)
    change(proto)
    return Tokenizer(proto.SerializeToString())


def flags(**changes):
    def change(proto):
        for name, value in changes.items():
            setattr(proto.normalizer_spec, name, value)

    return lambda: altered(change)


def no_order(proto):
    """Scores that do not fall with the id, some of them equal."""
    pieces = [piece for piece in proto.pieces if piece.type == 1]
    for place, piece in enumerate(pieces):
        piece.score = -(place * 37 % 100)


def unused(proto):
    for piece in proto.pieces[300::3]:
        piece.type = 5 if len(piece.piece) > 1 else piece.type


MODELS = {
    "no prefix": flags(add_dummy_prefix=False),
    "all spaces": flags(remove_extra_whitespaces=False),
    "all spaces, no prefix": flags(remove_extra_whitespaces=False, add_dummy_prefix=False),
    "spaces as they are": flags(escape_whitespaces=False),
    "no rules": lambda: retrained(normalization_rule_name="identity"),
    "rules that delete": lambda: retrained(normalization_rule_name="nmt_nfkc"),
    "lower case": lambda: retrained(normalization_rule_name="nfkc_cf"),
    "space behind": lambda: retrained(treat_whitespace_as_suffix=True),
    "pieces of spaces": lambda: retrained(
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, split_by_whitespace=False
    ),
    "pieces of the user": lambda: retrained(user_defined_symbols=["a", "as", "e o", "\ufb01", "<s>x"]),
    "more specials": lambda: retrained(control_symbols=["<mask>", "of"]),
    "other special ids": lambda: retrained(pad_id=3, unk_id=0, bos_id=1, eos_id=2),
    "no bos": lambda: retrained(bos_id=-1),
    "another unknown": lambda: retrained(unk_surface="?"),
    "unused pieces": lambda: altered(unused),
    "scores in no order": lambda: altered(no_order),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_check_holds_for_every_kind_of_model(model, outcome_of):
    outcome = outcome_of(model(), 50)

    assert outcome.findings == []
    assert outcome.elements > 0


def test_check_holds_for_rules_of_decoding(tmp_path, outcome_of):
    rules = tmp_path / "rules.tsv"
    rules.write_text("61\t58\n62\t\n")
    tokenizer = retrained(denormalization_rule_tsv=str(rules))

    assert tokenizer.decode(tokenizer.encode("abacus")) == "XXcus"
    assert outcome_of(tokenizer, 50).findings == []


def rules_of_another(tmp_path):
    """A model that says NFKC and rewrites e to a."""
    rules = tmp_path / "rules.tsv"
    rules.write_text("65\t61\n")
    other = retrained(normalization_rule_tsv=str(rules))
    return altered(lambda proto: setattr(proto.normalizer_spec, "name", "nfkc"), other.data)


def test_rules_that_are_not_nfkc_are_caught_by_the_text(tmp_path, outcome_of):
    """The formulas follow the model's rules; what a plain text is does not."""
    (finding,) = outcome_of(rules_of_another(tmp_path)).findings

    assert finding.message.startswith("decode(encode(plain text)): text and decoded are different")
