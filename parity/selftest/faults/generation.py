"""Faults of streaming: of the state that is carried from token to token.

A model that reads a whole text is right all the while: only `advance(ids, state)`, which reads what is new and hands on
what it has seen, is altered. What a state is depends on the pair: hidden and cell, keys and values of each block, or
the last inputs of each convolution.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.dtypes import Array, Module, State
from parity.pair.models import PairModels
from parity.selftest.faults.fault import SIDES, Fault
from parity.selftest.faults.inject_stages import Alter, corner, corners

Advance = Callable[..., tuple[Any, Any]]  # (ids (batch, new), state or None) -> logits (batch, new, vocab), next state


def _fault(name: str, cause: str, alter: Alter, pair: str = "lstm") -> Fault:
    return Fault(name, pair, corners=alter, check="generation", where="generation", cause=cause)


def _state(change: Callable[[Any], Any]) -> Callable[..., tuple[Any, Any]]:
    """The state passes through `change` on its way back into the model."""
    return lambda advance, ids, state: advance(ids, state if state is None else change(state))


def _lost(advance: Advance, ids: Array, _: object) -> tuple[Any, Any]:
    """Each step begins as a new text does."""
    return advance(ids, None)


def _without_cell(state: State) -> Any:
    """An LSTM's hidden state is carried along, and its cell begins at zero, as if the layer were a GRU."""
    hidden, cell = state
    return hidden, cell * 0


def _last_alone(advance: Advance, ids: Array, state: State) -> tuple[Any, Any]:
    """Of a prompt only the last id is read."""
    return advance(ids[:, -1:], state)


def _not_moving(advance: Advance, ids: Array, state: State) -> tuple[Any, Any]:
    """Behind the prompt the state stays what it was."""
    logits, after = advance(ids, state)
    return logits, after if state is None else state


def _of_the_text_before(corners: PairModels) -> None:
    """A new text goes on from the state of the last one."""
    for (side, _), model in corners.models.items():
        if side == "torch":
            original, memory = model.advance, [None]

            def advance(
                ids: Array, state: State, original: Any = original, memory: list[Any] = memory
            ) -> tuple[Any, Any]:
                logits, memory[0] = original(ids, memory[0] if state is None else state)
                return logits, memory[0]

            vars(model)["advance"] = advance


def _first_key_lost(state: State) -> Any:
    """The first position is forgotten, as from a window that is one too short."""
    return [tuple(part[:, :, 1:] for part in block) for block in state]


def _last_twice(advance: Advance, ids: Array, state: State) -> tuple[Any, Any]:
    """The last id is fed again at each step."""
    return advance(ids if state is None else np.concatenate([ids, ids], 1), state)


def _from_start(model: Module) -> None:
    """Keys and values are carried along, but each id of a stream takes the first positions."""
    positions = model.positions.forward
    model.positions.forward = lambda places: positions(places - places[0])


def _scaled(advance: Advance, ids: Array, state: State) -> tuple[Any, Any]:
    """The logits come divided by a temperature, which is for sampling alone."""
    logits, after = advance(ids, state)
    return logits / np.array(0.7, logits.dtype), after


def _in_half(state: State) -> Any:
    """A cache that is kept in half for its size."""
    return tuple(part.half().to(part.dtype) for part in state)


def _before_the_last(advance: Advance, ids: Array, state: State) -> tuple[Any, Any]:
    """The logits behind the first id of what was fed, not behind the last."""
    logits, after = advance(ids, state)
    return logits[:, :1], after


FAULTS: tuple[Fault, ...] = (
    # A state that is not handed to the next call, or a part of it; both sides alike is what a check of each against its
    # own whole run sees, and a comparison of the sides does not.
    _fault("torch's state lost", "state dropped", corner("torch", "advance", _lost)),
    _fault("keras's state lost", "state dropped", corner("keras", "advance", _lost)),
    _fault("both states lost", "state dropped", corners(SIDES, "advance", _lost)),
    _fault("torch's cell lost", "state dropped", corner("torch", "advance", _state(_without_cell))),
    _fault("the state of the prompt for ever", "state dropped", corner("keras", "advance", _not_moving), "gru"),
    _fault("the prompt's last id alone", "state dropped", corner("torch", "advance", _last_alone)),
    _fault("a state in float16", "state dropped", corner("torch", "advance", _state(_in_half))),
    _fault("the first key lost", "state dropped", corner("torch", "advance", _state(_first_key_lost)), "transformer"),
    _fault("the last convolution's inputs lost", "state dropped", corner("torch", "advance", _lost), "conv"),
    # stateful=True of Keras, or a cache that is an attribute of the model: the next text finds it full.
    _fault("the state of the text before", "state kept", _of_the_text_before),
    # The loop around the model: what it feeds, and whose logits it takes.
    _fault("each id fed twice", "time shift", corner("torch", "advance", _last_twice)),
    _fault("logits behind the first id", "time shift", corner("torch", "advance", _before_the_last)),
    _fault("a temperature left on", "scale", corner("keras", "advance", _scaled)),
    # Positions of what is new count from the length of the cache, not from 0.
    Fault(
        "positions from the start",
        "transformer",
        torch=_from_start,
        check="generation",
        where="generation",
        cause="positions",
    ),
)
