"""The tokenizer check is shown its faults: in the tokenizer, and in the library beneath it."""

import re

import pytest

from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer

SMALL, LARGE = (Tokenizer.load(fixture(f"tokenizer/stdlib-{size}.model")) for size in (1000, 64000))


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
def test_fault_is_caught(fault, outcome_of):
    build, subject = FAULTS[fault]

    (finding,) = outcome_of(build(), 100).findings

    assert re.match(rf"{re.escape(subject)}( \(\d+\))?: ", finding.message)


def test_reloading_that_loses_a_piece_is_caught(monkeypatch, outcome_of):
    monkeypatch.setattr(Tokenizer, "load", lambda path: LARGE)

    (finding,) = outcome_of(Tokenizer(SMALL.data)).findings

    assert finding.message.startswith("encode of the tokenizer reloaded")
