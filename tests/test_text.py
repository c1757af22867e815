"""Texts and the tokenizer: the check is shown its faults, and what else holds for the specimens.

A property that needs a precondition is stated with it, exactly; `test_tokenizer.py` pins what fails
without.
"""

import io
import re
import unicodedata
from types import SimpleNamespace

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2 as model_pb2

from parity import run
from parity.checks import tokenizer as check
from parity.fixtures import fixture
from parity.oracle import folded
from parity.strategies import is_plain, texts
from parity.tokenizer import Tokenizer

SMALL, LARGE = (Tokenizer.load(fixture(f"tokenizer/stdlib-{size}.model")) for size in (1000, 64000))
SPACE = "\u2581"


def outcome_of(tokenizer, examples=25):
    corners = SimpleNamespace(tokenizer=tokenizer, pair=SimpleNamespace(name="lstm"))
    return run.run_one(check, corners, 0, examples, "parity check")


# The faults


class Beneath:
    """A library of which one verb is another: `change(verb, text or ids, options)`."""

    def __init__(self, library, verb, change):
        self._library, self._verb, self._change = library, verb, change

    def __getattr__(self, name):
        original = getattr(self._library, name)
        if name != self._verb:
            return original
        return lambda given, *places, **options: self._change(
            lambda other: original(other, *places, **options), given, {**options, "places": places}
        )


def with_(**changes):
    """A tokenizer with verbs that are others: each `change(its own verb, argument)`; pickled, it is whole."""
    tokenizer = Tokenizer(SMALL.data)
    for name, change in changes.items():
        verb = getattr(SMALL, name)
        setattr(tokenizer, name, lambda given, verb=verb, change=change: change(verb, given))
    return tokenizer


def beneath(verb, change):
    tokenizer = Tokenizer(SMALL.data)
    tokenizer.library = Beneath(SMALL.library, verb, change)
    return tokenizer


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


def rules_of_another(tmp_path):
    """A model that says NFKC and rewrites e to a."""
    rules = tmp_path / "rules.tsv"
    rules.write_text("65\t61\n")
    other = retrained(normalization_rule_tsv=str(rules))
    return altered(lambda proto: setattr(proto.normalizer_spec, "name", "nfkc"), other.data)


def pickled_as_another():
    tokenizer = Tokenizer(SMALL.data)
    tokenizer.__reduce__ = lambda: (Tokenizer, (LARGE.data, "another"))
    return tokenizer


def where(condition, change):
    """What a verb of the library says goes through `change` where the call meets the condition."""
    return lambda verb, given, options: change(verb(given)) if condition(given, options) else verb(given)


def asked_for(kind, change):
    return where(lambda given, options: options.get("out_type") == kind, change)


def shortened(said):
    return said[:-1]


def pieces_shortened(proto):
    del proto.pieces[-1:]
    return proto


def moved(proto):
    for piece in proto.pieces:
        piece.begin += 1
    return proto


def stripped(proto):
    for piece in proto.pieces:
        piece.surface = piece.surface.strip()
    return proto


def in_capitals(proto):
    proto.text = proto.text.upper()
    return proto


def counted_in_bytes(verb, given, options):
    said = verb(given)
    if options.get("out_type") == "offset_mapping":
        proto = SMALL.library.encode(given, out_type="proto")
        said["offsets"] = [(piece.begin, piece.end) for piece in proto.pieces]
    return said


def read_as_latin(verb, given, _):
    return verb(given.decode("latin-1") if isinstance(given, bytes) else given)


def reversed_alone(_, options):
    return options.get("reverse") and not options.get("add_bos")


def reversed_with_marks(_, options):
    return options.get("reverse") and options.get("add_bos")


def padded(ids):
    return [*ids][:1] == [0] and [*ids][-2:] == [0, 0]


# What is wrong -> the tokenizer, and what the finding is about.
FAULTS = {
    "a decoder that loses case": (
        lambda: with_(decode=lambda verb, ids: verb(ids).lower()),
        "decode(encode(text))",
    ),
    "a special id out of text": (lambda: with_(encode=lambda verb, text: [*verb(text), 3]), "special ids in a text"),
    "a typed special that is read as one": (
        lambda: with_(encode=lambda verb, text: [2] * ("<s>" in text) + verb(text)),
        "special ids in a text",
    ),
    "a normalizer and an encoder that lose the same": (
        lambda: with_(
            encode=lambda verb, text: verb(text.replace("e", "a")),
            normalize=lambda verb, text: verb(text.replace("e", "a")),
        ),
        "normalize(text)",
    ),
    "merges left out": (
        lambda: with_(encode=lambda verb, text: SMALL.library.encode(text, enable_sampling=True, alpha=1.0)),
        "encode(text)",
    ),
    "another piece": (
        lambda: with_(piece=lambda verb, token: verb(token).lower()),
        "the pieces of encode(text), joined",
    ),
    "spaces that are kept": (
        lambda: with_(encode=lambda verb, text: verb(text if text.strip(" ") == text else f"{text}.")),
        "spaces around the text",
    ),
    "UTF-8 read as Latin-1": (lambda: beneath("encode", read_as_latin), "the text's UTF-8"),
    "a piece short": (lambda: beneath("encode", asked_for(str, shortened)), "ids of the text's pieces"),
    "an array cut short": (lambda: beneath("encode", asked_for("numpy", shortened)), "ids as an array"),
    "ids cut short beside offsets": (
        lambda: beneath("encode", asked_for("offset_mapping", lambda said: {**said, "ids": said["ids"][:-1]})),
        "ids with offsets",
    ),
    "a proto cut short": (lambda: beneath("encode", asked_for("proto", pieces_shortened)), "ids in a proto"),
    "chunks that lose their seam": (
        lambda: beneath("parallel_encode", where(lambda given, options: True, shortened)),
        "ids of chunks in parallel",
    ),
    "a reverse that is none": (
        lambda: beneath("encode", where(reversed_alone, lambda ids: ids[::-1])),
        "ids in reverse, reversed",
    ),
    "a pickle of another": (pickled_as_another, "encode of the tokenizer pickled"),
    "pieces decoded otherwise": (
        lambda: beneath("decode", where(lambda given, options: isinstance((given or [0])[0], str), str.upper)),
        "decode(pieces)",
    ),
    "bytes decoded otherwise": (lambda: beneath("decode", asked_for(bytes, bytes.upper)), "decode to bytes"),
    "a proto decoded otherwise": (lambda: beneath("decode", asked_for("proto", in_capitals)), "decode to a proto"),
    "no bos": (
        lambda: beneath("encode", where(lambda given, options: options.get("add_bos"), lambda ids: ids[1:])),
        "encode with bos and eos",
    ),
    "bos and eos reversed with the text": (
        lambda: beneath("encode", where(reversed_with_marks, lambda ids: [ids[-1], *ids[1:-1], ids[0]])),
        "encode with bos and eos, reversed",
    ),
    "an eos that is shown": (
        lambda: with_(decode=lambda verb, ids: verb(ids) + "</s>" * ([*ids][:1] == [2] and [*ids][-1:] == [3])),
        "decode(encode with bos and eos)",
    ),
    "offsets that are moved": (
        lambda: beneath("encode", asked_for("proto", moved)),
        "each piece begins where the last one ends",
    ),
    "surfaces without their space": (lambda: beneath("encode", asked_for("proto", stripped)), "surfaces by offsets"),
    "offsets in bytes": (lambda: beneath("encode", counted_in_bytes), "offsets in characters"),
    "a batch in another order": (
        lambda: beneath("encode", where(lambda given, options: isinstance(given, list), lambda rows: rows[::-1])),
        "encode in one batch",
    ),
    "threads that lose a row": (
        lambda: beneath("encode", where(lambda given, options: options.get("num_threads"), shortened)),
        "encode in one batch, by two threads",
    ),
    "a batch decoded in another order": (
        lambda: beneath(
            "decode", where(lambda given, options: isinstance((given or [0])[0], list), lambda said: said[::-1])
        ),
        "decode in one batch",
    ),
    "a decoder that drops broken bytes": (
        lambda: with_(decode=lambda verb, ids: verb([i for i in ids if i != 1]).replace("\ufffd", "")),
        "decode(any ids)",
    ),
    "padding that is shown": (
        lambda: with_(decode=lambda verb, ids: verb(ids) + "<pad>" * padded(ids)),
        "decode(padded ids)",
    ),
    "pieces that are not found again": (
        lambda: beneath("piece_to_id", where(lambda given, options: given in ("<pad>", "<s>"), lambda token: 1)),
        "id of the piece of an id",
    ),
    "an id that is clipped": (
        lambda: with_(decode=lambda verb, ids: verb([min(max(token, 0), 999) for token in ids])),
        "refusal of the ids [-1, 1000, 2147483648, 18446744073709551616]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault):
    build, subject = FAULTS[fault]

    (finding,) = outcome_of(build(), 100).findings

    assert re.match(rf"{re.escape(subject)}( \(\d+\))?: ", finding.message)


def test_rules_that_are_not_nfkc_are_caught_by_the_text(tmp_path):
    """The formulas follow the model's rules; what a plain text is does not."""
    (finding,) = outcome_of(rules_of_another(tmp_path)).findings

    assert finding.message.startswith("decode(encode(plain text)): text and decoded are different")


def test_reloading_that_loses_a_piece_is_caught(monkeypatch):
    monkeypatch.setattr(Tokenizer, "load", lambda path: LARGE)

    (finding,) = outcome_of(Tokenizer(SMALL.data)).findings

    assert finding.message.startswith("encode of the tokenizer reloaded")


# The formulas follow every model that is accepted


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
def test_check_holds_for_every_kind_of_model(model):
    outcome = outcome_of(model(), 50)

    assert outcome.findings == []
    assert outcome.elements > 0


def test_check_holds_for_rules_of_decoding(tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text("61\t58\n62\t\n")
    tokenizer = retrained(denormalization_rule_tsv=str(rules))

    assert tokenizer.decode(tokenizer.encode("abacus")) == "XXcus"
    assert outcome_of(tokenizer, 50).findings == []


# What else holds for the specimens, which are NFKC


def nfkc(text):
    return unicodedata.normalize("NFKC", text)


def again(text):
    return SMALL.decode(SMALL.encode(text))


def assigned(text):
    return all(unicodedata.category(character) != "Cn" for character in text)


def lone(character):
    """Whether NFKC neither composes nor reorders this character with a neighbour."""
    parts = nfkc(character)
    return not any(unicodedata.category(part).startswith("M") or "\u1100" <= part <= "\u11ff" for part in parts)


LONE = st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["Mn", "Mc", "Me", "Cn", "Co", "Cs"]).filter(
        lambda character: character != SPACE and lone(character)
    )
)
SPACELESS = texts().filter(lambda text: SPACE not in text)


@given(text=st.text(st.characters(max_codepoint=0x7F)))
def test_ascii_is_plain(text):
    assert is_plain(text)
    assert again(text) == folded(text)


@given(text=st.one_of(st.text(st.characters(max_codepoint=0xFF)), LONE))
def test_characters_that_nfkc_takes_alone_are_decoded_to_it(text):
    assert again(text) == folded(nfkc(text))


@given(text=texts())
def test_normalizing_is_nfkc_where_nfkc_takes_characters_alone(text):
    """Where it does not, characters are composed or put in order across a rule's border."""
    if assigned(text) and nfkc(text) == "".join(map(nfkc, text)):
        assert SMALL.normalize(text) == (SPACE + folded(nfkc(text)).replace(" ", SPACE)).rstrip(SPACE)


@given(first=SPACELESS, second=SPACELESS)
def test_texts_with_a_space_between_are_encoded_one_by_one(first, second):
    assert SMALL.encode(f"{first} {second}") == SMALL.encode(first) + SMALL.encode(second)


@given(text=SPACELESS)
def test_a_space_stands_only_in_front_of_a_piece(text):
    assert not any(SPACE in SMALL.piece(token)[1:] for token in SMALL.encode(text))


def cuts(ids):
    """The places at which ids can be cut without cutting a character."""
    return [
        place for place in range(len(ids) + 1) if not all(SMALL.is_byte(token) for token in ids[place - 1 : place + 1])
    ]


@given(text=texts())
def test_a_text_is_decoded_from_its_front_on(text):
    ids = SMALL.encode(text)

    assert all(SMALL.decode(ids).startswith(SMALL.decode(ids[:place])) for place in cuts(ids))


@given(text=texts())
def test_two_parts_are_decoded_to_the_whole_unless_the_second_begins_with_a_space(text):
    ids = SMALL.encode(text)

    for place in cuts(ids):
        if place < len(ids) and not SMALL.piece(ids[place]).startswith(SPACE):
            assert SMALL.decode(ids[:place]) + SMALL.decode(ids[place:]) == SMALL.decode(ids)


@given(text=texts())
def test_the_second_decoded_text_stays(text):
    assert again(again(again(text))) == again(again(text))


@given(text=texts())
def test_equivalent_texts_that_python_normalized_have_the_same_ids(text):
    composed, apart = (nfkc(unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))

    assert SMALL.encode(composed) == SMALL.encode(apart)


@given(text=texts())
def test_sampled_ids_are_decoded_to_the_same_text(text):
    sampled = SMALL.library.encode(text, enable_sampling=True, alpha=0.5)

    assert SMALL.decode(sampled) == again(text)
    assert not {*SMALL.specials.values()} & {*sampled}


@pytest.mark.parametrize("tokenizer", [SMALL, LARGE], ids=["1000", "64000"])
def test_every_id_has_one_piece_and_every_piece_one_id(tokenizer):
    ids = range(tokenizer.vocab)
    pieces = [tokenizer.piece(token) for token in ids]

    assert [tokenizer.library.piece_to_id(piece) for piece in pieces] == [*ids]
    assert [token for token in ids if tokenizer.is_byte(token)] == [*range(4, 260)]
    assert pieces[4:260] == [f"<0x{byte:02X}>" for byte in range(256)]
    assert [tokenizer.library.get_score(token) for token in ids[260:]] == [-float(token - 260) for token in ids[260:]]


@pytest.mark.parametrize("tokenizer", [SMALL, LARGE], ids=["1000", "64000"])
def test_every_piece_but_the_bare_space_comes_out_of_a_text(tokenizer):
    """A text that begins with a line feed has its prefix before that."""
    pieces = {token: tokenizer.piece(token) for token in range(260, tokenizer.vocab)}
    bare = next(token for token, piece in pieces.items() if piece == SPACE)

    def encoded(piece):
        return tokenizer.encode(piece[1:]) if piece.startswith(SPACE) else tokenizer.encode(f"\n{piece}")[2:]

    assert [token for token, piece in pieces.items() if encoded(piece) != [token]] == [bare]
