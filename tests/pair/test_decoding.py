"""Generation: the state carried along, sides that part, bytes held back until a character is whole."""

from itertools import pairwise

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.errors import ParityError
from parity.pair import decoding


@pytest.fixture
def models(corners):
    corners.load(Weights(3, 1.0))
    return {side: corners.models[side, "float32"] for side in corners.backends}


def test_carried_state_says_what_the_whole_text_says(models):
    *_, said = decoding.stream(models, [5, 6, 7], 12)

    for side, model in models.items():
        assert decoding.again(model, [5, 6, 7], 12) == said[side]
    assert said["torch"] == said["tensorflow"]


def test_a_lost_state_is_noticed(models):
    """The comparison with the whole text can fail."""

    class Forgetful:
        def __init__(self, model):
            self.model = model

        def advance(self, ids, _):
            return self.model.advance(ids, None)

    *_, said = decoding.stream({"torch": Forgetful(models["torch"])}, [5, 6, 7], 12)

    assert decoding.again(models["torch"], [5, 6, 7], 12) != said["torch"]


def test_every_step_is_one_token_more(models):
    steps = list(decoding.stream(models, [9], 4))

    assert [len(step["torch"]) for step in steps] == [1, 2, 3, 4]
    assert all(steps[-1]["torch"][:n] == steps[n - 1]["torch"] for n in range(1, 4))


@pytest.mark.parametrize("text", ["", "   ", "\u2581"])
def test_a_prompt_without_tokens_is_refused(text, small):
    with pytest.raises(ParityError, match="encodes to no token"):
        decoding.prompt(small, text)


def test_bytes_are_held_back_until_their_character_is_whole(small):
    """What has been shown never changes while the emoji's four bytes arrive."""
    ids, said = small.encode("a"), small.encode("b \U0001f642 c")
    shown = [decoding.readable(small, ids, said[:n]) for n in range(len(said) + 1)]

    assert all(after.startswith(before) for before, after in pairwise(shown))
    assert "\ufffd" not in "".join(shown)
    assert shown[-1] == " b \U0001f642 c"
    assert len(set(shown)) < len(shown)


def token_of(tokenizer, byte):
    return next(i for i in range(tokenizer.vocab) if tokenizer.piece(i) == f"<0x{byte:02X}>")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("F0 9F 99", ""),  # three of four bytes
        ("F0 9F 99 82", "\U0001f642"),
        ("F0 9F 99 82 C3", "\U0001f642"),
        ("EF BF BD", "\ufffd"),  # U+FFFD itself, whole
        ("FF", "\ufffd"),  # begins no character, so no byte can complete it
        ("E2 82 E2 82", "\ufffd\ufffd"),  # a broken one, and one that may still become whole
        ("ED A0 80", "\ufffd\ufffd\ufffd"),  # half a surrogate pair
        ("41 C3", "A"),
    ],
)
def test_only_what_a_later_byte_can_complete_is_held_back(said, shown, small):
    ids = small.encode("a")
    tokens = [token_of(small, byte) for byte in bytes.fromhex(said)]

    assert decoding.readable(small, ids, tokens) == shown


def test_where_the_sides_part_the_gap_is_measured(models):
    """Between the two choices, in the logits of the side where it is larger."""
    said = {"torch": [7, 3], "tensorflow": [7, 4]}
    ids = np.array([[5, 6, 7]])
    logits = [models[side].logits(ids)[0, -1] for side in said]

    gap, scale = decoding.gap(models, [5, 6], said, 1)
    assert gap == max(abs(float(z[3]) - float(z[4])) for z in logits)
    assert scale == max(float(np.abs(z).max()) for z in logits)


def test_greedy_takes_the_first_of_equals():
    class Flat:
        def advance(self, ids, state):
            return np.zeros((1, ids.shape[1], 7), np.float32), state

    assert list(decoding.stream({"torch": Flat()}, [1], 2))[-1] == {"torch": [0, 0]}
