"""Faults of the shared tokenizer: other ids for a text, other text for ids, or one way that gives others.

Both sides of a pair share one tokenizer, so that nothing of this shows between them: what it gives is held against the
formulas of its model file, and its own ways (one text or several, ids or offsets) against each other.
"""

from collections.abc import Callable
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as model_pb2

from parity.dtypes import Inputs
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.selftest.faults.fault import Fault
from parity.selftest.faults.inject_stages import Alter, library, tokenizer

Verb = Callable[..., Any]  # a method of the tokenizer or of the library beneath, as it was


def _fault(name: str, alter: Alter, cause: str = "tokenizer") -> Fault:
    return Fault(name, "conv", corners=alter, check="tokenizer", where="tokenizer", cause=cause)


def _encoded_by(change: Callable[[Any], None]) -> Alter:
    """Texts are encoded by a model that was changed; everything else is the model's own."""

    def alter(corners: PairModels) -> None:
        proto = model_pb2.ModelProto()
        proto.ParseFromString(corners.tokenizer.data)
        change(proto)
        other = Tokenizer(proto.SerializeToString())
        tokenizer("encode", lambda _, text: other.encode(text))(corners)

    return alter


def _normalizer(**settings: Any) -> Alter:
    """Texts are encoded by a model whose normalizer has these settings."""

    def change(proto: Any) -> None:
        for name, value in settings.items():
            setattr(proto.normalizer_spec, name, value)

    return _encoded_by(change)


def _without_merges(proto: Any) -> None:
    """The last hundred pieces are unused, as if the vocabulary had been trained shorter."""
    for piece in proto.pieces[-100:]:
        piece.type = model_pb2.ModelProto.SentencePiece.UNUSED


def _typed(encode: Verb, text: str) -> list[int]:
    """A typed "<s>" becomes the id of the start, 2."""
    return [token for part in text.split("<s>") for token in (2, *encode(part))][1:]


def _without_bytes(encode: Verb, text: str) -> list[int]:
    """Byte pieces, ids 4 to 259, become the unknown piece, 1."""
    return [1 if 4 <= token < 260 else token for token in encode(text)]


def _of_batches(change: Callable[[Any], Any]) -> Verb:
    """What the library says of several texts at once passes through `change`."""

    def changed(encode: Verb, texts: Any, **options: Any) -> Any:
        said = encode(texts, **options)
        return change(said) if isinstance(texts, list) else said

    return changed


def _counted_in_bytes(encode: Verb, texts: Any, **options: Any) -> Any:
    """Offsets count bytes of UTF-8, as SentencePiece's protobuf has them, where characters are asked for."""
    said = encode(texts, **options)
    if options.get("out_type") == "offset_mapping":
        said["offsets"] = [(piece.begin, piece.end) for piece in encode(texts, out_type="proto").pieces]
    return said


def _without_start(encode: Verb, texts: Any, **options: Any) -> Any:
    """`add_bos=True` does nothing."""
    return encode(texts, **{**options, "add_bos": False}) if options.get("add_bos") else encode(texts, **options)


def _wrapped(decode: Verb, ids: Inputs) -> str:
    """Ids outside the vocabulary of 1,000 count on from 0, and are not refused."""
    return str(decode([token % 1000 for token in ids]))


def _sampled(corners: PairModels) -> None:
    """Subword regularization is left on, as for training: https://arxiv.org/abs/1804.10959"""
    beneath = corners.tokenizer.library
    tokenizer("encode", lambda _, text: beneath.encode(text, enable_sampling=True, alpha=0.5))(corners)


FAULTS: tuple[Fault, ...] = (
    # A text that was cleaned on the way, or a model file that was converted without its normalizer.
    _fault("text in lower case", tokenizer("encode", lambda encode, text: encode(text.lower()))),
    _fault("no normalization", _normalizer(precompiled_charsmap=b"")),
    _fault("no space in front", _normalizer(add_dummy_prefix=False)),
    _fault("repeated spaces kept", _normalizer(remove_extra_whitespaces=False)),
    # A model trained anew by the same settings but the size; one without byte_fallback; sampling that was left on.
    _fault("a vocabulary cut short", _encoded_by(_without_merges)),
    _fault("no byte fallback", tokenizer("encode", _without_bytes)),
    _fault("sampled merges", _sampled),
    # Hugging Face's tokenizers add what a model was trained with, and read specials in a text; SentencePiece does
    # neither.
    _fault("an end behind every text", tokenizer("encode", lambda encode, text: [*encode(text), 3]), "special ids"),
    _fault("typed specials are read", tokenizer("encode", _typed), "special ids"),
    _fault("no start where one is asked for", library("encode", _without_start), "special ids"),
    # The way back, whose faults are seen by people alone: half a character at the end of a stream, ids outside.
    _fault("decoding strips", tokenizer("decode", lambda decode, ids: decode(ids).rstrip("\ufffd"))),
    _fault("decoding in lower case", tokenizer("decode", lambda decode, ids: decode(ids).lower())),
    _fault("ids outside wrap around", tokenizer("decode", _wrapped)),
    _fault("padding is shown", tokenizer("decode", lambda decode, ids: "<pad>" * (0 in [*ids]) + decode(ids))),
    _fault("bytes are pieces", tokenizer("is_byte", lambda is_byte, token: False)),
    _fault("pieces in capitals", tokenizer("piece", lambda piece, token: piece(token).upper())),
    # One text and several go by other ways through a library.
    _fault("a batch in another order", library("encode", _of_batches(lambda rows: rows[::-1]))),
    _fault("a batch cut to 16 ids", library("encode", _of_batches(lambda rows: [row[:16] for row in rows]))),
    _fault("offsets in bytes", library("encode", _counted_in_bytes)),
)
