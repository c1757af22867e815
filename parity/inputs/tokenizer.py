"""The shared SentencePiece tokenizer: train, load, fingerprint. Both sides use this one object."""

import hashlib
import io
import re
import struct
from collections.abc import Iterable, Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2 as model_pb2

from parity.errors import ParityError
from parity.files import read_bytes

VOCAB_SIZE = 64_000  # pieces that `train` makes if nobody says how many
BPE = model_pb2.TrainerSpec.BPE


class Tokenizer:
    """A BPE tokenizer with byte fallback, from the bytes of a SentencePiece model file.

    `library` is the processor beneath, for the ways of encoding that parity does not use itself.
    Raises ParityError for anything else: the library loads an empty file name, and a file that was
    cut before its normalizer, without a word.
    """

    def __init__(self, data: bytes, source: str = "tokenizer") -> None:
        self.data, self.source = data, source
        self._proto = _parse(data, source)
        try:
            self.library: Any = sentencepiece.SentencePieceProcessor(model_proto=data)
        except (RuntimeError, UnicodeDecodeError) as error:  # the message may quote a piece that is no UTF-8
            raise ParityError(f"{source}: corrupt SentencePiece model; train or copy it again") from error
        self.pad: int = self.library.pad_id()
        self.vocab: int = self.library.get_piece_size()
        if self.pad < 0:
            raise ParityError(f"{source}: has no pad piece; train it with a pad id of 0")

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read a model file. Raises ParityError naming the file and what is wrong with it."""
        if not str(path):
            raise ParityError("the tokenizer's file name is empty; give a .model file")
        return cls(read_bytes(Path(path)), str(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return Tokenizer, (self.data, self.source)

    def encode(self, text: str) -> list[int]:
        """Ids of the normalized text; never a special id. Raises ParityError for what is no text."""
        ids: list[int] = self.library.encode(_whole(text))
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of any ids; special ids have none, and bytes that are not UTF-8 become U+FFFD.

        Raises ParityError for an id outside the vocabulary, and for what is no list of ids.
        """
        try:
            tokens = list(ids)
        except TypeError as error:  # a tensor without axes says only here that it has nothing to list
            raise ParityError(f"the ids are a {type(ids).__name__}; give a list of int") from error
        text: str = self.library.decode([self._known(token) for token in tokens])
        return text

    def normalize(self, text: str) -> str:
        """What `encode` reads: NFKC by the model's own rules, spaces as U+2581, one in front."""
        normal: str = self.library.normalize(_whole(text))
        return normal

    def piece(self, token: int) -> str:
        """The piece of an id, spaces as U+2581. Raises ParityError for an id outside the vocabulary."""
        name: str = self.library.id_to_piece(self._known(token))
        return name

    def is_byte(self, token: int) -> bool:
        """Whether an id stands for one byte of a character that has no piece.

        Raises ParityError for an id outside the vocabulary.
        """
        answer: bool = self.library.is_byte(self._known(token))
        return answer

    def _known(self, token: int) -> int:
        """An id as Python's int. Raises ParityError for one outside the vocabulary and for what is no integer."""
        if not isinstance(token, Integral):  # NumPy's integers are, tensors are not
            raise ParityError(f"an id is a {type(token).__name__}; give int, of a tensor or an array its .tolist()")
        if not 0 <= token < self.vocab:
            raise ParityError(f"the id {token} is outside the vocabulary; give ids from 0 to {self.vocab - 1}")
        return int(token)

    @property
    def specials(self) -> dict[str, int]:
        """The ids of pad, unk, bos and eos; -1 where there is none."""
        names = ("pad", "unk", "bos", "eos")
        return {name: getattr(self.library, f"{name}_id")() for name in names}

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over everything that decides ids and text, and nothing else.

        Pieces with score and type, model type, special pieces, normalizer and denormalizer rules.
        The paths, thread counts and names that a training run records are left out.
        """
        trainer, normalizer = self._proto.trainer_spec, self._proto.normalizer_spec
        content: list[Any] = [trainer.model_type, trainer.byte_fallback, trainer.treat_whitespace_as_suffix]
        content += [trainer.unk_surface, trainer.unk_piece, trainer.bos_piece, trainer.eos_piece, trainer.pad_piece]
        content += [normalizer.precompiled_charsmap, normalizer.add_dummy_prefix]
        content += [normalizer.remove_extra_whitespaces, normalizer.escape_whitespaces]
        content += [self._proto.denormalizer_spec.precompiled_charsmap]
        for piece in self._proto.pieces:
            content += [piece.piece, struct.pack("<f", piece.score), piece.type]
        digest = hashlib.sha256()
        for item in content:
            raw = item if isinstance(item, bytes) else str(item).encode()
            # The length first: without it "ab", "c" and "a", "bc" would be the same bytes.
            digest.update(struct.pack("<Q", len(raw)) + raw)
        return digest.hexdigest()

    @property
    def settings(self) -> dict[str, str | int | float | bool]:
        """What the model was trained to be, for people to read."""
        trainer, normalizer = self._proto.trainer_spec, self._proto.normalizer_spec
        return {
            "type": "bpe",
            "pieces": self.vocab,
            "byte fallback": trainer.byte_fallback,
            "normalization": normalizer.name,
            "character coverage": round(trainer.character_coverage, 6),
            **self.specials,
            "dummy prefix": normalizer.add_dummy_prefix,
            "extra whitespace removed": normalizer.remove_extra_whitespaces,
        }


def train(texts: Iterable[str], vocab_size: int = VOCAB_SIZE) -> bytes:
    """Train a tokenizer and return its model file: the same texts give the same bytes.

    Nothing of where the texts came from is recorded. Raises ParityError when there is no text, or
    when the vocabulary is too large or too small for it, with the size that would work.
    """
    lines = [line for line in texts if line.strip()]
    if not lines:
        raise ParityError("the corpus is empty; give a text file with at least one line of text")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            vocab_size=vocab_size,
            model_type="bpe",
            byte_fallback=True,
            normalization_rule_name="nfkc",
            character_coverage=1.0,
            pad_id=0,
            unk_id=1,
            bos_id=2,
            eos_id=3,
            # The library leaves out longer lines without a word.
            max_sentence_length=max(4192, *(len(line.encode()) for line in lines)),  # bytes; its default at least
            minloglevel=2,  # errors alone: what it says otherwise fills the screen
        )
    except (RuntimeError, ValueError) as error:
        raise ParityError(_size_advice(str(error), vocab_size)) from error
    return model.getvalue()


def _size_advice(reason: str, vocab_size: int) -> str:
    """What a user can do about a training that failed; the sizes that would work stand in the library's own message."""
    if match := re.search(r"value <= (\d+)", reason):
        return f"the corpus is too small for {vocab_size} pieces; the largest vocabulary that works is {match[1]}"
    if match := re.search(r"required_chars\. \d+ vs (\d+)", reason):
        return (
            f"{vocab_size} pieces do not hold the corpus's characters; the smallest vocabulary that works is {match[1]}"
        )
    return (
        f"SentencePiece cannot train {vocab_size} pieces on this corpus: {reason.rpartition(']')[2].strip() or reason}"
    )


def _whole(text: str) -> str:
    """A text that has a form in UTF-8, which is what the library takes. Raises ParityError for any other."""
    if not isinstance(text, str):
        raise ParityError(f"the text is a {type(text).__name__}; give one str")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ParityError(
            f"the text has a lone surrogate at character {error.start} and is not valid Unicode"
        ) from error
    return text


def _parse(data: bytes, source: str) -> Any:
    """A model file's protocol buffer. Raises ParityError unless it is whole, and of BPE with byte fallback."""
    if not data:
        raise ParityError(f"{source}: is empty; give a SentencePiece .model file")
    proto = model_pb2.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise ParityError(f"{source}: is not a SentencePiece model, or is cut short") from error
    # Many files parse: a protocol buffer that was cut between two fields is a valid one with fewer.
    if not proto.pieces or not proto.HasField("trainer_spec"):
        raise ParityError(f"{source}: is not a SentencePiece model, or is cut short")
    if not proto.HasField("normalizer_spec"):
        raise ParityError(f"{source}: is cut short: its normalizer is missing; copy it again")
    if len(proto.pieces) != proto.trainer_spec.vocab_size:
        raise ParityError(f"{source}: has {len(proto.pieces)} pieces, but should have {proto.trainer_spec.vocab_size}")
    if proto.trainer_spec.model_type != BPE or not proto.trainer_spec.byte_fallback:
        raise ParityError(f"{source}: is not a BPE model with byte fallback; only those are supported")
    return proto
