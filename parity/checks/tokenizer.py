"""Text survives the tokenizer: decode(encode(t)) is the normalized t, and t itself where t is plain.

Plain is NFKC text of assigned characters without U+2581; outer and repeated spaces are folded.
Normalizing, encoding and decoding are held against formulas that share no code with the library. No
text, not even a typed "<pad>", ever encodes to a special id; every way of encoding gives the same
ids; any ids decode, and what is no id is refused.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.checks.stage import Stage
from parity.compare.judge import Verdict, judge_exact, same_text
from parity.errors import ParityError
from parity.inputs.tokenizer import Tokenizer
from parity.inputs.tokenizer_oracle import Oracle, folded, oracle, utf8
from parity.pair.models import PairModels
from parity.scratch import scratch
from parity.strategies import is_plain, plain_texts, texts

STAGE = Stage.TOKENIZER
FAILED = "ids or texts differ"

Example = tuple[list[str], list[int]]

# How else the library gives the ids of a text.
WAYS: dict[str, Callable[[Any, str], Sequence[int]]] = {
    "the text's UTF-8": lambda library, text: library.encode(text.encode()),
    "ids of the text's pieces": lambda library, text: [
        library.piece_to_id(piece) for piece in library.encode(text, out_type=str)
    ],
    "ids as an array": lambda library, text: library.encode(text, out_type="numpy").tolist(),
    "ids with offsets": lambda library, text: library.encode(text, out_type="offset_mapping")["ids"],
    "ids in a proto": lambda library, text: [piece.id for piece in library.encode(text, out_type="proto").pieces],
    "ids of chunks in parallel": lambda library, text: library.parallel_encode(text, chunk_len=7, num_threads=2),
    "ids in reverse, reversed": lambda library, text: library.encode(text, reverse=True)[::-1],
}


@dataclass(frozen=True)
class OfSpecials(Verdict):
    """A verdict on special ids: that a text has none, or those that are asked for."""


def of_specials(verdict: Verdict) -> OfSpecials:
    """The same verdict as one on special ids, which `diagnose` looks at apart."""
    return OfSpecials(**vars(verdict))


def examples(corners: PairModels) -> SearchStrategy[Example]:
    tokenizer = corners.tokenizer
    specials = [i for i in tokenizer.specials.values() if i >= 0]
    some = st.one_of(
        st.integers(0, tokenizer.vocab - 1),
        st.sampled_from([*specials, tokenizer.vocab - 1]),
        st.sampled_from(sorted(oracle(tokenizer.data).bytes.values())),
    )
    lines = st.lists(st.one_of(texts(), plain_texts()), min_size=1, max_size=3)
    return st.tuples(lines, st.lists(some, max_size=12))


def verify(corners: PairModels, example: Example) -> list[Verdict]:
    lines, ids = example
    tokenizer, formulas = corners.tokenizer, oracle(corners.tokenizer.data)
    verdicts = [
        verdict
        for text in lines
        for part in (_meaning, _identity, _ways, _marks, _offsets)
        for verdict in part(tokenizer, formulas, text, tokenizer.encode(text))
    ]
    return [*verdicts, *_batches(tokenizer, lines), *_decoding(tokenizer, formulas, ids)]


def _meaning(tokenizer: Tokenizer, formulas: Oracle, text: str, ids: list[int]) -> Iterator[Verdict]:
    """Encoding, normalizing and decoding against the formulas; no text has a special id."""
    normal = tokenizer.normalize(text)
    specials = np.isin(ids, [i for i in tokenizer.specials.values() if i >= 0])
    raw = b"".join(bytes([_byte(tokenizer, i)]) if tokenizer.is_byte(i) else tokenizer.piece(i).encode() for i in ids)
    surface, decoded = formulas.surface(normal), tokenizer.decode(ids)
    yield same_text("decode(encode(text))", surface, decoded, ("normalized", "decoded"))
    yield of_specials(judge_exact("special ids in a text", np.zeros(len(ids), bool), specials, ("none", "encoded")))
    yield same_text("normalize(text)", formulas.normalize(text), normal, ("formula", "normalized"))
    yield _same_ids("encode(text)", formulas.encode(text), ids, ("formula", "encoded"))
    yield same_text("the pieces of encode(text), joined", normal, utf8(raw), ("normalized", "joined"))


def _identity(tokenizer: Tokenizer, formulas: Oracle, text: str, ids: list[int]) -> Iterator[Verdict]:
    """A plain text comes back as it was, and its ids again; spaces around it change nothing."""
    if formulas.keeps and is_plain(text):
        normal = folded(text) if formulas.spec.remove_extra_whitespaces else text
        decoded = tokenizer.decode(ids)
        yield same_text("decode(encode(plain text))", normal, decoded, ("text", "decoded"))
        yield _same_ids("encode(decode(ids))", ids, tokenizer.encode(decoded), ("first", "again"))
    if formulas.spec.remove_extra_whitespaces:
        yield _same_ids("spaces around the text", ids, tokenizer.encode(f" {text}  "), ("without", "with"))


def _ways(tokenizer: Tokenizer, formulas: Oracle, text: str, ids: list[int]) -> Iterator[Verdict]:
    """Every other way of encoding and decoding, and every copy of the tokenizer, gives the same."""
    for name, way in WAYS.items():
        yield _same_ids(name, ids, way(tokenizer.library, text), ("encoded", "the other way"))
    for name, copy in _copies(tokenizer).items():
        yield _same_ids(f"encode of the tokenizer {name}", ids, copy.encode(text), ("first", name))
    pieces = tokenizer.library.encode(text, out_type=str)
    library = tokenizer.library
    for name, other in (  # of no ids, sentencepiece 0.2.2 gives neither bytes nor a proto
        ("decode(pieces)", library.decode(pieces)),
        ("decode to bytes", library.decode(ids, out_type=bytes).decode() if ids else ""),
        ("decode to a proto", library.decode(ids, out_type="proto").text if ids else ""),
    ):
        yield same_text(name, tokenizer.decode(ids), other, ("decoded", "the other way"))


def _marks(tokenizer: Tokenizer, formulas: Oracle, text: str, ids: list[int]) -> Iterator[Verdict]:
    """With begin and end marks the ids are those without them, between the two; decoding leaves the marks out."""
    bos, eos = (tokenizer.specials[name] for name in ("bos", "eos"))
    if bos < 0 or eos < 0:
        return
    around = {"add_bos": True, "add_eos": True}
    for name, expected, options in (
        ("encode with bos and eos", ids, around),
        ("encode with bos and eos, reversed", ids[::-1], {**around, "reverse": True}),
    ):
        marked = tokenizer.library.encode(text, **options)
        yield of_specials(_same_ids(name, [bos, *expected, eos], marked, ("expected", "encoded")))
        texts = tokenizer.decode(expected), tokenizer.decode(marked)
        yield of_specials(same_text(f"decode({name})", *texts, ("without", "with")))


def _offsets(tokenizer: Tokenizer, formulas: Oracle, text: str, ids: list[int]) -> Iterator[Verdict]:
    """Offsets of the pieces: in bytes in the proto, in characters in the mapping."""
    proto = tokenizer.library.encode(text, out_type="proto")
    places = [(piece.begin, piece.end) for piece in proto.pieces]
    mapped = tokenizer.library.encode(text, out_type="offset_mapping")["offsets"]
    raw = text.encode()
    sides = ("expected", "found")
    begins, ends = [begin for begin, _ in places], [end for _, end in places]
    yield _same_ids("each piece begins where the last one ends", begins[:1] + ends[:-1], begins, sides)
    cut = "|".join(raw[begin:end].decode(errors="replace") for begin, end in places)
    yield same_text("surfaces by offsets", cut, "|".join(piece.surface for piece in proto.pieces), ("cut", "surface"))
    counted = [len(raw[:place].decode(errors="replace")) for pair in places for place in pair]
    yield _same_ids("offsets in characters", counted, [place for pair in mapped for place in pair], sides)


def _batches(tokenizer: Tokenizer, lines: list[str]) -> Iterator[Verdict]:
    """Several texts at once come to what they come to one by one, also by several threads."""
    rows = [tokenizer.encode(text) for text in lines]
    said = [tokenizer.decode(row) for row in rows]
    for name, options in (("one batch", {}), ("one batch, by two threads", {"num_threads": 2})):
        together = tokenizer.library.encode(lines, **options)
        yield _same_ids(f"encode in {name}", _flat(rows), _flat(together), ("one by one", "together"))
        again = tokenizer.library.decode(rows, **options)
        yield same_text(f"decode in {name}", "|".join(said), "|".join(again), ("one by one", "together"))


def _decoding(tokenizer: Tokenizer, formulas: Oracle, ids: list[int]) -> Iterator[Verdict]:
    """Any ids decode as the formula has it, padding adds nothing, and what is no id is refused."""
    said, pad = tokenizer.decode(ids), tokenizer.pad
    yield same_text("decode(any ids)", formulas.decode(ids), said, ("formula", "decoded"))
    yield same_text("decode(padded ids)", said, tokenizer.decode([pad, *ids, pad, pad]), ("without", "with"))
    again = [tokenizer.library.piece_to_id(tokenizer.piece(token)) for token in ids]
    yield _same_ids("id of the piece of an id", ids, again, ("id", "again"))
    # Just outside on both ends, and where a 32-bit or a 64-bit integer wraps round.
    outside = [-1, tokenizer.vocab, 2**31, 2**64]
    refused = np.array([_refuses(tokenizer, [*ids, token]) for token in outside])
    yield judge_exact(f"refusal of the ids {outside}", np.ones(len(outside), bool), refused, ("refused", "tokenizer"))


def _refuses(tokenizer: Tokenizer, ids: list[int]) -> bool:
    """Whether decoding these raises ParityError."""
    try:
        tokenizer.decode(ids)
    except ParityError:
        return True
    return False


def _byte(tokenizer: Tokenizer, token: int) -> int:
    """The byte that a byte piece stands for: 65 for <0x41>."""
    return int(tokenizer.piece(token)[1:-1], 16)


@lru_cache(maxsize=2)
def _copies(tokenizer: Tokenizer) -> dict[str, Tokenizer]:
    """The tokenizer as others get it, made once: how it came about -> the copy."""
    with scratch() as directory:
        file = directory / "copy.model"
        file.write_bytes(tokenizer.data)
        # What is unpickled was pickled on this line: no file of anybody's is.
        return {"pickled": pickle.loads(pickle.dumps(tokenizer)), "reloaded": Tokenizer.load(file)}


def _flat(rows: Sequence[Sequence[int]]) -> list[int]:
    """Rows one after the other, each closed by -1."""
    return [token for row in rows for token in (*row, -1)]


def _same_ids(subject: str, first: Sequence[int], second: Sequence[int], sides: tuple[str, str]) -> Verdict:
    return judge_exact(subject, np.array(first, np.int64), np.array(second, np.int64), sides)
