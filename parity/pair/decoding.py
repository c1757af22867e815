"""Greedy next tokens of raw text from a bundle's models, side by side, the state carried along."""

import codecs
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from parity.backends.protocol import BackendModel
from parity.errors import ParityError
from parity.inputs.tokenizer import Tokenizer


def prompt(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of the text to go on from. Raises ParityError if there are none."""
    ids = tokenizer.encode(text)
    if not ids:
        raise ParityError("the text encodes to no token; give at least one visible character")
    return ids


def stream(models: dict[str, BackendModel], ids: Sequence[int], tokens: int) -> Iterator[dict[str, list[int]]]:
    """Decode greedily on every side, and yield side -> its new tokens so far, after each of `tokens` tokens.

    A side sees its own choices, not the other's. Only the newest id is fed at each step; the state stands for all that
    came before it. `ids` is the prompt, without a batch axis.
    """
    fed = {side: np.array([ids], np.int64) for side in models}
    states: dict[str, object] = dict.fromkeys(models)
    said: dict[str, list[int]] = {side: [] for side in models}
    for _ in range(tokens):
        for side, model in models.items():
            logits, states[side] = model.advance(fed[side], states[side])
            said[side].append(int(np.argmax(logits[0, -1])))
            # Its own choice: after a difference the sides go on apart, as users would see them.
            fed[side] = np.array([[said[side][-1]]], np.int64)
        yield {side: list(tokens) for side, tokens in said.items()}


def again(model: BackendModel, ids: Sequence[int], tokens: int) -> list[int]:
    """Decode the same greedy tokens without a state: the whole text is run anew for each of them."""
    said: list[int] = []
    for _ in range(tokens):
        logits = model.logits(np.array([[*ids, *said]], np.int64))
        said.append(int(np.argmax(logits[0, -1])))
    return said


def gap(
    models: dict[str, BackendModel], ids: Sequence[int], said: dict[str, list[int]], place: int
) -> tuple[float, float]:
    """The gap between the logits of the two choices at token `place`, and the largest logit: each the larger side's.

    `said` is side -> its tokens, which agree before `place` and differ there. After a tie, which rounding decided, the
    first figure is next to nothing beside the second.
    """
    gaps, scales = [], []
    for side, model in models.items():
        logits = model.logits(np.array([[*ids, *said[side][:place]]], np.int64))[0, -1]
        first, second = (float(logits[one[place]]) for one in said.values())
        gaps.append(abs(first - second))
        scales.append(float(np.abs(logits).max()))
    return max(gaps), max(scales)


def readable(tokenizer: Tokenizer, ids: Sequence[int], said: Sequence[int]) -> str:
    """The text that `said` adds to the prompt.

    The bytes of a character that is not complete yet are held back, so that what has been shown never changes.
    """
    whole = tokenizer.decode([*ids, *said])
    shown = len(whole) - _pending(tokenizer, said)  # every byte of the rest stands as U+FFFD at the end
    return whole[len(tokenizer.decode(ids)) : shown]


def _pending(tokenizer: Tokenizer, said: Sequence[int]) -> int:
    """How many bytes at the end begin a character and do not end it."""
    tail = list(itertools.takewhile(tokenizer.is_byte, reversed(said)))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(bytes(int(tokenizer.piece(token)[3:5], 16) for token in reversed(tail)))
    pending, _ = decoder.getstate()
    return len(pending)
