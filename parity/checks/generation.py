"""Greedy tokens agree step by step, on both sides and streamed as with the whole text run again.

Each step is decided in float32 after the same tokens; a tie is counted and does not fail. Streaming
carries the state of models that have `advance`. What a stream of tokens shows of its text never
changes: the bytes of a character are held back until it is whole.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.backends.protocol import Streaming
from parity.canonical.weights import Weights
from parity.checks.stage import Stage
from parity.compare.argmax import judge_argmax
from parity.compare.judge import Verdict, same_text
from parity.dtypes import Array
from parity.inputs.tokenizer import Tokenizer
from parity.pair import decoding
from parity.pair.answer import Answer
from parity.pair.models import PairModels
from parity.strategies import texts, weights

STAGE = Stage.GENERATION
FAILED = "generated tokens or logits differ"
COST = 5


@dataclass(frozen=True)
class Example:
    """Weights, the ids to go on from, how many tokens; and any ids that a model might say after a text."""

    weights: Weights
    prompt: tuple[int, ...]
    tokens: int
    text: str
    said: tuple[int, ...]


def examples(corners: PairModels) -> SearchStrategy[Example]:
    """Weights, a prompt, how many tokens to add; and ids of any kind as what a model might say after a text."""
    tokenizer = corners.tokenizer
    ids = st.integers(0, tokenizer.vocab - 1)
    # Bytes that may be halves of characters: what a stream must hold back.
    fallback = [i for i in range(tokenizer.vocab) if tokenizer.is_byte(i)]
    some_bytes = st.lists(st.sampled_from(fallback) if fallback else ids, max_size=4)
    said = st.lists(st.one_of(texts().map(tokenizer.encode), some_bytes, ids.map(lambda i: [i])))
    return st.builds(
        Example,
        weights(corners),
        st.lists(ids, min_size=1, max_size=6).map(tuple),
        st.integers(1, 6),
        texts().filter(tokenizer.encode),
        said.map(lambda parts: tuple(token for part in parts for token in part)),
    )


def verify(corners: PairModels, example: Example) -> list[Verdict]:
    """Judge the choices and the logits behind them, whole and streamed, and what a reader of the stream has seen."""
    corners.ensure(example.weights)
    # Both sides are asked after the first side's tokens: after a difference theirs would be other texts, and all else
    # follow.
    said = decoding.again(corners.models[corners.sides[0], "float32"], example.prompt, example.tokens)
    ids = np.array([[*example.prompt, *said[:-1]]], np.int64)
    start = len(example.prompt) - 1
    steps = np.arange(ids.shape[1])[None] >= start
    whole = corners.logits(ids, steps)
    verdicts = [judge_argmax("greedy tokens", whole), whole.judge("logits of the greedy text", places=steps)]
    if not corners.pair.lacking((Streaming,)) and all(model.can_stream() for model in corners.models.values()):
        streamed = corners.streamed(ids, start)
        for side in corners.sides:
            own = Answer.to_both(side, whole, streamed, ("the whole text", "the stream"))
            verdicts.append(judge_argmax(f"{side} greedy tokens, streamed", own))
            verdicts.append(own.judge(f"{side} logits, streamed", places=steps))
    return [*verdicts, _shown(corners.tokenizer, example)]


def _shown(tokenizer: Tokenizer, example: Example) -> Verdict:
    """Judge what a reader has seen of a stream, piece after piece, against all of it decoded at once."""
    ids = tokenizer.encode(example.text)
    said = [*example.said, *tokenizer.encode("a")]  # whose first token is no byte: nothing is held back any more
    seen = ""
    for count in range(1, len(said) + 1):
        seen += decoding.readable(tokenizer, ids, said[:count])[len(seen) :]
    whole = tokenizer.decode([*ids, *said])[len(tokenizer.decode(ids)) :]
    return same_text("text of a stream", whole, seen, ("decoded at once", "as shown"))


def fed(_: PairModels, example: Example) -> tuple[Weights, Array]:
    """The prompt."""
    return example.weights, np.array([example.prompt], np.int64)
