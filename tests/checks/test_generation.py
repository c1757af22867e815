"""Generation: tokens that agree, ties that do not fail, streams that say and show what the whole text does."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from parity.checks import forward, generation, runner
from parity.checks.results import Report
from parity.compare.argmax import judge_argmax
from parity.compare.square import PrecisionSquare
from parity.pair import decoding
from parity.pair.models import PairModels
from parity.report.terminal import show


def logits_of(*rows):
    """A square of logits (1, 3): torch32, tensorflow32, torch64, tensorflow64."""
    dtypes = (np.float32, np.float32, np.float64, np.float64)
    return PrecisionSquare.of(np.array([row], dtype) for row, dtype in zip(rows, dtypes, strict=True))


def test_equal_choices_are_identical():
    verdict = judge_argmax("tokens", logits_of([0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]))

    assert (verdict.word, verdict.elements, verdict.ties) == ("identical", 1, 0)


def test_a_choice_that_rounding_decides_is_a_tie():
    more = np.nextafter(np.float32(2), np.float32(3))
    verdict = judge_argmax("tokens", logits_of([0, more, 2], [0, 2, more], [0, 2, 2], [0, 2, 2]))

    assert (verdict.word, verdict.ties, verdict.message) == ("rounding", 1, "")
    assert verdict.figure == 0


@pytest.mark.parametrize("gap", [1e-2, np.nan])
def test_choices_further_apart_than_rounding_are_different(gap):
    verdict = judge_argmax("tokens", logits_of([0, 2 + gap, 2], [0, 2, 2 + gap], [0, 2 + gap, 2], [0, 2, 2 + gap]))

    assert verdict.word == "different"
    assert verdict.message.startswith("tokens (1): torch and tensorflow choose differently\n  at step 1: torch id 1")


def test_a_choice_that_ties_on_one_side_only_is_different():
    verdict = judge_argmax("tokens", logits_of([0, 2, 2], [0, 2, 3], [0, 2, 2], [0, 2, 3]))

    assert (verdict.word, verdict.figure) == ("different", 1)


def through(model, change):
    """The model's logits pass through `change`, streamed or not."""
    advance = model.advance

    def altered(ids, state=None):
        logits, state = advance(ids, state)
        return change(logits), state

    model.advance = altered


def tied(step):
    """Ids 8 and 9 are the likeliest by far, the second ahead by `step` units of rounding."""

    def alter(model):
        import tensorflow as tf
        import torch

        def change(z):
            library = torch if isinstance(z, torch.Tensor) else tf
            top = abs(z[..., 8:9]) + 100
            eps = 2.0**-23 if "32" in str(z.dtype) else 2.0**-52
            return library.concat([z[..., :8], top, top * (1 + step * eps), z[..., 10:]], -1)

        through(model, change)

    return alter


def test_a_tie_is_counted_and_does_not_fail(broken):
    corners = broken(torch=tied(0), tensorflow=tied(1))
    outcome = runner.run_check(generation, corners, 0, 25, "parity check")

    assert outcome.findings == []
    assert outcome.ties > 0

    told = io.StringIO()
    show(Report("toy", 0, 25, {}, {"pieces": 1, "sha256": ""}, [outcome]), Console(file=told, width=100))
    assert f"generation: {outcome.ties} ties, choices between logits that only rounding tells apart" in told.getvalue()


def test_no_tie_is_seen_where_there_is_none(corners):
    assert runner.run_check(generation, corners, 0, 25, "parity check").ties == 0


def test_another_choice_is_caught_with_both_tokens(broken, message_of):
    def alter(model):
        import tensorflow as tf

        through(model, lambda z: z + 100 * tf.one_hot(9, 1000, dtype=z.dtype))

    message = message_of(generation, broken(torch=tied(0), tensorflow=alter))
    assert message.startswith("greedy tokens (")
    assert "torch and tensorflow choose differently" in message
    assert "torch id 8, tensorflow id 9" in message


def test_logits_that_are_off_are_caught_though_the_tokens_agree(broken, message_of):
    def alter(model):
        through(model, lambda z: z * (1 + 1e-9))

    assert message_of(generation, broken(torch=alter)).startswith("logits of the greedy text")


def forgetting(model):
    """The state is lost from call to call."""
    advance = model.advance
    model.advance = lambda ids, state=None: (advance(ids, None)[0], state)


def test_a_lost_state_is_caught_though_both_sides_lose_it(broken, message_of):
    corners = broken(torch=forgetting, tensorflow=forgetting)

    assert runner.run_check(forward, corners, 0, 25, "parity check").findings == []
    assert "streamed" in message_of(generation, corners)


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_a_lost_state_on_one_side_is_caught_there(side, broken, message_of):
    assert message_of(generation, broken(**{side: forgetting})).startswith(f"{side} ")


def test_positions_that_start_anew_in_a_stream_are_caught(broken, message_of):
    """Keys and values are carried along, but every id of a stream takes the first position."""

    def alter(model):
        positions = model.positions.forward
        model.positions.forward = lambda places: positions(places - places[0])

    assert "torch" in message_of(generation, broken("transformer", torch=alter))


def test_models_without_a_state_are_held_to_their_tokens_alone(bag, message_of):
    corners = PairModels(bag)

    assert runner.run_check(generation, corners, 0, 25, "parity check").findings == []

    def off():
        model = bag.torch()
        head = model.head.forward
        model.head.forward = lambda x: head(x) * (1 + 1e-9)
        return model

    assert message_of(generation, PairModels(replace(bag, torch=off))).startswith("logits of the greedy text")


# the bytes of a character


def eager_to_show(tokenizer, ids, said):
    """Shows what cannot be read yet."""
    return tokenizer.decode([*ids, *said])[len(tokenizer.decode(ids)) :]


def never_catching_up(tokenizer, ids, said):
    """Holds every byte back for good."""
    return eager_to_show(tokenizer, ids, [token for token in said if not tokenizer.is_byte(token)])


@pytest.mark.parametrize("readable", [eager_to_show, never_catching_up])
def test_bytes_shown_too_early_or_never_are_caught(readable, corners, message_of, monkeypatch):
    monkeypatch.setattr(decoding, "readable", readable)

    assert message_of(generation, corners).startswith("text of a stream: decoded at once and as shown are different")
