"""What a SentencePiece BPE model must do, computed anew from the data in its file. Short, and slow.

The library is asked for one thing, the table of the normalizer's rules; its own normalizer, encoder
and decoder are never run. The formulas are those of SentencePiece, by the name of the source file in
https://github.com/google/sentencepiece/tree/master/src where each can be read:

normalize  At each place the longest rule that matches there is applied, and what it puts in is not
           read again. Then spaces are folded and written as U+2581, and one is added, each if the
           model says so. normalizer.cc
encode     From single characters on, the two neighbours that make the piece of the highest score are
           joined, the leftmost of equals, until no two neighbours make a piece. A trained model's
           scores fall with the id, so that is the piece of the lowest id. What then is no piece
           becomes the bytes of its UTF-8. bpe_model.cc, after https://arxiv.org/abs/1508.07909
decode     The pieces in a row, U+2581 as a space but for those in front of the text; byte pieces as
           UTF-8, with one U+FFFD for every byte of no character; control pieces as nothing, the
           unknown piece as its surface. sentencepiece_processor.cc
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as model_pb2

SPACE = "\u2581"  # what stands for a space in pieces
NOTHING = re.compile("(?!)")  # matches no text, nor the empty one
KINDS = model_pb2.ModelProto.SentencePiece


class Normalizer:
    """The function from text to text that a model's `normalizer_spec` describes.

    `defined` matches the pieces that a user defined, which no rule rewrites; `last` adds the space
    behind the text instead of in front of it.
    """

    def __init__(self, spec: Any, defined: re.Pattern[str], last: bool) -> None:
        self.spec, self.defined, self.last = spec, defined, last
        self.rules = _rules(spec.precompiled_charsmap) if spec.precompiled_charsmap else {}
        self.longest = max(map(len, self.rules), default=0)

    def __call__(self, text: str) -> str:
        """Return the text as the model's own rules normalise it."""
        normal = "".join(self._rewritten(text))
        space = SPACE if self.spec.escape_whitespaces else " "
        added = space if self.spec.add_dummy_prefix and text else ""
        before, behind = ("", added) if self.last else (added, "")
        if not self.spec.remove_extra_whitespaces:
            return before + normal.replace(" ", space) + behind
        words = folded(normal).replace(" ", space)
        return (before + words).rstrip(space) + (behind if words else "")

    def _rewritten(self, text: str) -> Iterator[str]:
        """The parts of a text, each as the longest rule that matches at its place makes it."""
        place = 0
        while place < len(text):
            parts = (text[place : place + length] for length in range(self.longest, 0, -1))
            if match := self.defined.match(text, place):
                part = value = match[0]
            else:
                part = next((part for part in parts if part in self.rules), text[place])
                value = self.rules.get(part, part)
            yield value
            place += len(part)


@lru_cache(8)
def _rules(charsmap: bytes) -> dict[str, str]:
    """What is rewritten to what, by a model's table of rules. Reading it is slow, and most models have one of a few."""
    spec = model_pb2.NormalizerSpec(precompiled_charsmap=charsmap)
    whole = model_pb2.ModelProto(normalizer_spec=spec)  # sentencepiece 0.2.2 cannot take the spec alone
    return dict(sentencepiece.SentencePieceNormalizer(model_proto=whole).Decompile())


class Oracle:
    """The three formulas for one model, from the bytes of its file, which `Tokenizer` has found to be a BPE model's."""

    def __init__(self, data: bytes) -> None:
        model = model_pb2.ModelProto()
        model.ParseFromString(data)
        self.pieces = [(piece.piece, piece.type) for piece in model.pieces]
        spelled = (KINDS.NORMAL, KINDS.USER_DEFINED, KINDS.UNUSED)
        self.ids = {text: i for i, (text, kind) in enumerate(self.pieces) if kind in spelled}
        self.bytes = {byte_of(text): i for i, (text, kind) in enumerate(self.pieces) if kind == KINDS.BYTE}
        self.scores = {p.piece: p.score for p in model.pieces if p.type in (KINDS.NORMAL, KINDS.UNUSED)}
        self.unknown = model.trainer_spec.unk_surface
        self.spec = model.normalizer_spec
        # A regular expression takes the first alternative that matches: the longest comes first.
        texts = sorted((text for text, kind in self.pieces if kind == KINDS.USER_DEFINED), key=len, reverse=True)
        self.defined = re.compile("|".join(map(re.escape, texts))) if texts else NOTHING
        self.normalize = Normalizer(self.spec, self.defined, model.trainer_spec.treat_whitespace_as_suffix)
        after = model.denormalizer_spec
        self.denormalize = Normalizer(after, NOTHING, False) if after.precompiled_charsmap else str

    def encode(self, text: str) -> list[int]:
        """The ids of a text; a piece that the user defined is taken whole, and nothing is joined across it."""
        normal, ids, end = self.normalize(text), list[int](), 0
        for match in self.defined.finditer(normal):
            ids += [*self._encode(normal[end : match.start()]), self.ids[match[0]]]
            end = match.end()
        return ids + self._encode(normal[end:])

    def _encode(self, normal: str) -> list[int]:
        """The ids of normalized text in which nothing is user-defined.

        `halves` remembers what each piece was joined of, for those that are taken apart again.
        """
        symbols, halves = list(normal), dict[str, list[str]]()
        while True:
            joined = map("".join, pairwise(symbols))
            merges = [(-self.scores[piece], place, piece) for place, piece in enumerate(joined) if piece in self.scores]
            if not merges:
                return [token for symbol in symbols for token in self._ids_of(symbol, halves)]
            _, place, piece = min(merges)
            halves[piece] = symbols[place : place + 2]
            symbols[place : place + 2] = [piece]

    def _ids_of(self, symbol: str, halves: dict[str, list[str]]) -> list[int]:
        """The id of a piece, or those of a character's bytes. An unused piece is taken apart again."""
        token = self.ids.get(symbol)
        if token is not None and self.pieces[token][1] != KINDS.UNUSED:
            return [token]
        if symbol in halves:
            return [token for half in halves[symbol] for token in self._ids_of(half, halves)]
        return [self.bytes[byte] for byte in symbol.encode()]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of any ids. Raises IndexError for an id outside the vocabulary."""
        text, run, outset = "", b"", True  # `outset`: nothing stands in the text yet, so that a space in front goes
        for piece, kind in (self.pieces[token] for token in ids):
            if kind == KINDS.BYTE:
                run += bytes([byte_of(piece)])
                continue
            text, run = text + utf8(run), b""
            outset = outset and not text
            if kind == KINDS.UNKNOWN:
                text += self.unknown
            elif kind != KINDS.CONTROL:
                bare = self._bare(piece) if outset else piece
                outset = outset and (bare == piece or self.spec.remove_extra_whitespaces)
                text += bare.replace(SPACE, " ")
        return self.denormalize(text + utf8(run))

    def surface(self, normal: str) -> str:
        """What the ids of a normalized text are decoded to."""
        if self.spec.remove_extra_whitespaces:
            normal = normal.lstrip(SPACE)
        return self.denormalize(self._bare(normal).replace(SPACE, " "))

    @property
    def keeps(self) -> bool:
        """Whether text that NFKC leaves alone is decoded to itself, but for folded spaces."""
        plain = self.spec.name in ("nfkc", "identity") and self.spec.escape_whitespaces
        return plain and not self.normalize.last and self.denormalize is str

    def _bare(self, piece: str) -> str:
        """A piece at the front of a text, without the space that the normalizer put there or would have taken."""
        hidden = self.spec.add_dummy_prefix or self.spec.remove_extra_whitespaces
        return piece.removeprefix(SPACE) if hidden else piece


@lru_cache(maxsize=2)
def oracle(data: bytes) -> Oracle:
    """The oracle of a model file, made once."""
    return Oracle(data)


def byte_of(piece: str) -> int:
    """The byte that a byte piece, <0x41> say, stands for."""
    return int(piece[1:-1], 16)


def folded(text: str) -> str:
    """The text without outer and repeated spaces; only U+0020 is one."""
    return " ".join(word for word in text.split(" ") if word)


def utf8(run: bytes) -> str:
    """Bytes as text, every byte that belongs to no character as one U+FFFD."""
    return re.sub("[\udc80-\udcff]", "\ufffd", run.decode("utf-8", "surrogateescape"))
