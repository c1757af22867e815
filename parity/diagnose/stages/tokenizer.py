"""Why a tokenizer's promise fails: what the one in use does, beside the formulas of its model file.

Ids of texts are proved by the formulas, with a fault in them, on the failing texts and on some of our
own. What else is wrong is proved by undoing it: a tokenizer loaded anew from the same bytes keeps
every promise that this one breaks. What is counted is the texts, or the promises.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import SimpleNamespace
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as model_pb2

from parity.checks import tokenizer as check
from parity.compare.judge import Verdict
from parity.diagnose import Cause
from parity.diagnose.search import Candidate, Explained, proved
from parity.inputs.tokenizer import Tokenizer
from parity.inputs.tokenizer_oracle import Oracle
from parity.pair.models import PairModels

WHERE = "tokenizer"
# Each shows a fault that another hides: capitals, outer and repeated spaces, what normalization changes, typed
# specials, characters without a piece, and one word many times.
TEXTS = (
    "The River Does Not Ask the Map",
    "two  spaces,  and three   more ",
    " \ufb01rst \u2460 e\u0301t\u00e9",
    "<s>typed</s> <pad>",
    "\u65e5\u672c\u8a9e \U0001f642",
    "rivers, rivers and rivers of rivers",
)
SAME = "use the .model file as it is on both sides, by the same library; compare the fingerprints"

Encode = Callable[[str], Sequence[int]]
Ids = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class _Encoded:
    """The ids that texts have, and how many texts should have others."""

    ids: Ids
    before: float
    limit: float = 0.0

    def apart(self, ids: Ids) -> float:
        """How many texts have other ids than these."""
        return _unlike(self.ids, ids)


def _encoded(encode: Encode, texts: Sequence[str]) -> Ids:
    """The ids of each text, as lists."""
    return [list(encode(text)) for text in texts]


def explain(corners: PairModels, example: Any, verdict: Verdict) -> Explained:
    """The causes that are proved, and what was ruled out. `example` is that of the check of the tokenizer."""
    used, fresh = corners.tokenizer, Tokenizer(corners.tokenizer.data)
    texts = [*example[0], *TEXTS]
    formulas = Oracle(used.data)
    wanted = [formulas.encode(text) for text in texts]
    encoded = _encoded(used.encode, texts)
    before = _unlike(encoded, wanted)
    if before:
        # Sampling is no function of a text: no formula can give its ids.
        if any(list(used.encode(text)) != ids for _ in range(3) for text, ids in zip(texts, encoded, strict=True)):
            description = "gives other ids for the same text from call to call: it samples"
            after = _unlike([fresh.encode(text) for text in texts], wanted)
            return [
                Cause("tokenizer", WHERE, f"the tokenizer {description}", "encode without sampling", before, after)
            ], []
        candidates = (
            Candidate(name, description, fix, map(partial(_encoded, encode), [texts]))
            for name, description, fix, encode in _forms(used, formulas)
        )
        causes = list(islice(proved(WHERE, "the tokenizer", [_Encoded(encoded, before)], candidates), 1))
        if causes:
            return causes, []
    return _anew(used, fresh, example, verdict)


def _anew(used: Tokenizer, fresh: Tokenizer, example: Any, verdict: Verdict) -> Explained:
    """Explain a broken promise by a tokenizer loaded anew from the same file, which keeps it."""
    broken, fresh_failures = _failing(used, example), _failing(fresh, example)
    if not broken or fresh_failures:
        return [], [f"{verdict.subject}: a tokenizer loaded anew from the same file does the same"]
    special = all(isinstance(of, check.OfSpecials) for of in broken)  # what is broken is about ids around a text alone
    description = f"the tokenizer in use does not do what its model file says: {broken[0].subject}"
    fix = "leave bos and eos to whoever asks for them: add_bos=, add_eos=" if special else SAME
    name, before, after = "special ids" if special else "tokenizer", float(len(broken)), float(len(fresh_failures))
    return [Cause(name, WHERE, description, fix, before, after)], []


def _failing(tokenizer: Tokenizer, example: Any) -> list[Verdict]:
    """The promises that it breaks."""
    corners: Any = SimpleNamespace(tokenizer=tokenizer)  # all that the check of the tokenizer asks of a pair
    return [verdict for verdict in check.verify(corners, example) if verdict.fails]


def _unlike(first: Ids, second: Ids) -> float:
    """How many texts have other ids."""
    return float(sum(list(a) != list(b) for a, b in zip(first, second, strict=True)))


def _forms(used: Tokenizer, formulas: Oracle) -> Iterator[tuple[str, str, str, Encode]]:
    """(cause, what it does, fix, encoder with that fault) of each fault in the use of a tokenizer that is tried."""
    specials = {name: token for name, token in used.specials.items() if token >= 0}
    alone = "encode without them: add_bos=False, add_eos=False"
    for name, token in specials.items():
        yield "special ids", f"adds {name} ({token}) in front of every text", alone, _around(formulas, [token], [])
        yield "special ids", f"adds {name} ({token}) after every text", alone, _around(formulas, [], [token])
    if {"bos", "eos"} <= set(specials):
        both = _around(formulas, [specials["bos"]], [specials["eos"]])
        yield "special ids", "adds bos and eos around every text", alone, both
    for some in (*([name] for name in specials), list(specials)):
        pieces = {used.library.id_to_piece(specials[name]): specials[name] for name in some}
        description, fix = f"reads a typed {' '.join(pieces)} as that id", "never parse specials in a text"
        yield "special ids", description, fix, partial(_typed, formulas, pieces)
    yield "tokenizer", "takes texts to lower case", SAME, lambda text: formulas.encode(text.lower())
    yield "tokenizer", "folds the case of texts", SAME, lambda text: formulas.encode(text.casefold())
    yield "tokenizer", "strips texts", SAME, lambda text: formulas.encode(text.strip())
    for settings, description in (
        ({"precompiled_charsmap": b""}, "does not normalize texts"),
        ({"add_dummy_prefix": False}, "puts no space in front of texts"),
        ({"remove_extra_whitespaces": False}, "keeps repeated and outer spaces"),
    ):
        yield "tokenizer", description, SAME, _normalizing(used, settings).encode
    unknown, fallback = used.specials["unk"], {i for i in range(used.vocab) if used.is_byte(i)}
    description = "has the unknown id for the bytes of characters without a piece"
    yield "tokenizer", description, SAME, lambda text: [unknown if i in fallback else i for i in formulas.encode(text)]


def _around(formulas: Oracle, before: list[int], behind: list[int]) -> Encode:
    """An encoder that adds these ids in front of every text and behind it."""
    return lambda text: [*before, *formulas.encode(text), *behind]


def _typed(formulas: Oracle, pieces: dict[str, int], text: str) -> list[int]:
    """The text's parts between typed special pieces, and their ids."""
    parts = re.split(f"({'|'.join(map(re.escape, pieces))})", text)
    return [token for part in parts for token in ([pieces[part]] if part in pieces else formulas.encode(part))]


def _normalizing(used: Tokenizer, settings: dict[str, Any]) -> Oracle:
    """The formulas of a model whose normalizer has other settings."""
    proto = model_pb2.ModelProto()
    proto.ParseFromString(used.data)
    for name, value in settings.items():
        setattr(proto.normalizer_spec, name, value)
    return Oracle(proto.SerializeToString())
