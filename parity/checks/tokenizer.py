"""Text survives the tokenizer: decode(encode(t)) is the normalized t, and t itself where t is plain.

Plain is NFKC text of assigned characters without U+2581; outer and repeated spaces are folded. No
text, not even a typed "<pad>", ever encodes to a special id.
"""

import numpy as np
from hypothesis.strategies import SearchStrategy, one_of

from parity.pair import Corners
from parity.square import Verdict, exact, same_text
from parity.strategies import is_plain, plain_texts, texts


def examples(corners: Corners) -> SearchStrategy[str]:
    return one_of(texts(), plain_texts())


def verify(corners: Corners, example: str) -> list[Verdict]:
    tokenizer = corners.tokenizer
    ids = tokenizer.encode(example)
    decoded = tokenizer.decode(ids)
    surface = tokenizer.normalize(example).lstrip("\u2581").replace("\u2581", " ")
    specials = np.isin(ids, [i for i in tokenizer.specials.values() if i >= 0])
    verdicts = [
        same_text("decode(encode(text))", surface, decoded, ("normalized", "decoded")),
        exact("special ids in a text", np.zeros(len(ids), bool), specials, ("none", "encoded")),
    ]
    if is_plain(example):
        folded = " ".join(word for word in example.split(" ") if word)
        again = tokenizer.encode(decoded)
        verdicts += [
            same_text("decode(encode(plain text))", folded, decoded, ("text", "decoded")),
            exact("encode(decode(ids))", np.array(ids, int), np.array(again, int), ("first", "again")),
        ]
    return verdicts
