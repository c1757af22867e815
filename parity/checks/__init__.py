"""The promises, one a file, in run order.

A check is a module whose docstring is its claim, with two names: `examples(corners)`, the Hypothesis
strategy of its examples, and `verify(corners, example)`, which returns one Verdict for everything
that it compared. `SHARE`, where a check has it, is how many times dearer an example is than
others': it gets that many times fewer of them, and at least one. `ALWAYS`, where a check has it, are
examples that every run tries first, because what they show must not hang on what is drawn; they hold
for any pair. `known(corners)`, where it has it,
shows divergences of the frameworks themselves; one that no longer occurs is a finding. A check of
`TEXTS` is left out of a pair that has no tokenizer, but for `loss` where the pair has its own, and one of `IDS` where
its inputs have padding, as `strategies.ids` draws it. One of
`APART` compares a side with itself in another process, each side that `corners.builds` has. One of `SHARED` needs
weights that are drawn, or parameters that both sides have: it is left out where models keep the weights that they have.
"""

from types import ModuleType

from parity.checks import (
    batching,
    calls,
    causality,
    determinism,
    feeds,
    forward,
    generation,
    gradients,
    loss,
    masking,
    padding,
    reload,
    resume,
    tokenizer,
    training,
    vocabulary,
    weights,
)
from parity.pair.pair import Pair

CHECKS: tuple[ModuleType, ...] = (
    tokenizer,
    feeds,
    weights,
    forward,
    vocabulary,
    calls,
    padding,
    batching,
    causality,
    masking,
    loss,
    gradients,
    training,
    determinism,
    generation,
    reload,
    resume,
)
TEXTS: tuple[ModuleType, ...] = (tokenizer, feeds, vocabulary, padding, causality, masking, loss, generation)
IDS: tuple[ModuleType, ...] = (padding, causality, masking)
SHARED: tuple[ModuleType, ...] = (weights, gradients, training, resume)
APART: tuple[ModuleType, ...] = (determinism, reload, resume)


def checks_of(pair: Pair) -> tuple[ModuleType, ...]:
    """The checks that a pair has to pass, in run order."""
    own = ((loss,) if pair.loss else ()) + (IDS if pair.padded else ())
    unasked = {*SHARED} if pair.own_weights else set()
    unasked |= set() if pair.inputs is None else {*TEXTS} - {*own}
    return tuple(module for module in CHECKS if module not in unasked)


def left_out(pair: Pair) -> tuple[str, ...]:
    """The names of the others."""
    return tuple(name_of(module) for module in CHECKS if module not in checks_of(pair))


def name_of(module: ModuleType) -> str:
    """What a check is called."""
    return module.__name__.rpartition(".")[2]
