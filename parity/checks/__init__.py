"""The promises, one a file, in run order.

A check is a module whose docstring is its claim, with two names: `examples(corners)`, the Hypothesis
strategy of its examples, and `verify(corners, example)`, which returns one Verdict for everything
that it compared. `SHARE`, where a check has it, is how many times dearer an example is than
others': it gets that many times fewer of them, and at least one. `ALWAYS`, where a check has it, are
examples that every run tries first, because what they show must not hang on what is drawn; they hold
for any pair. `known(corners)`, where it has it,
shows divergences of the frameworks themselves; one that no longer occurs is a finding.
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
