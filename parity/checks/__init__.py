"""The promises, one a file, in the order of a report.

A check is a module whose docstring is its claim, with two names: `examples(corners)`, the Hypothesis strategy of its
examples, and `verify(corners, example)`, which returns one Verdict for everything that it compared. What else a check
may say of itself, and who asks:

    COST            how many times dearer an example is than others': that many times fewer are drawn, at least one
    FIXED_EXAMPLES  examples that every run tries first, for any pair: what they show must not depend on what is drawn
    own(corners)    the same, for what a pair brings itself
    beyond(corners) examples that are tried behind those that are drawn, where none of them failed
    known(corners)  divergences of the frameworks themselves; one that no longer occurs is a finding
    NEEDS           the capabilities of `backends.protocol` that it needs of both sides besides running
    FAILED          in a few words, what a finding of it means
    STAGE           what of a pair it is about: where `diagnose` looks for the cause
    fed, views      which weights and batch an example ran; which two batches have to come to the same (`checks.stage`)

What a pair must have for a check stands in the tuples below. One of `NEEDS_TOKENIZER` is left out of a pair without
one, but for `loss` where the pair has its own, and one of `IDS` where its inputs have padding, as `strategies.ids`
draws it. One of `FRESH_PROCESS` compares a side with itself in another process, each side that `corners.builds` has.
One of `SHARED` needs weights that are drawn, or parameters that both sides have: it is left out where models keep the
weights that they have.

`conversion`, of a pair that was converted, and `forward` run first, and are told first. What `FOLLOWS` from forward
compares the models' outputs in other ways: where those of forward are different, so are these, and nothing is learnt
from running them.

    forward, batching, padding, causality, vocabulary, calls      outputs of the same inputs, arranged otherwise
    weights, conversion           parameters that are written, and that both sides have loaded
    loss, masking, gradients      the loss, what padding does to it, its derivative
    training, resume, determinism   steps of an optimizer, from a file on, and twice
    tokenizer, feeds, generation, reload    texts to ids, ids to batches, token by token, files

Beside the checks stand `runner`, which runs one on a pair, `results/`, what a run comes to, as data, and
`known_divergences`, what is known of the frameworks.
"""

from collections.abc import Sequence
from types import ModuleType

from parity.checks import (
    batching,
    calls,
    causality,
    conversion,
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
from parity.errors import ParityError, unknown
from parity.pair.pair import Pair

CHECKS: tuple[ModuleType, ...] = (
    conversion,
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
NEEDS_TOKENIZER: tuple[ModuleType, ...] = (tokenizer, feeds, vocabulary, padding, causality, masking, loss, generation)
IDS: tuple[ModuleType, ...] = (padding, causality, masking)
SHARED: tuple[ModuleType, ...] = (conversion, weights, gradients, training, resume)
FRESH_PROCESS: tuple[ModuleType, ...] = (determinism, reload, resume)
# What fails for reasons of its own, whatever failed before it; all others can follow from a failed forward.
OWN: tuple[ModuleType, ...] = (conversion, tokenizer, feeds, weights, forward, *FRESH_PROCESS)
FOLLOWS: tuple[ModuleType, ...] = tuple(module for module in CHECKS if module not in OWN)


def checks_of(pair: Pair, converted: bool = False) -> tuple[ModuleType, ...]:
    """The checks that a pair has to pass, in the order in which they run; `conversion` only of a `converted` one."""
    unasked = {*SHARED} if pair.own_weights else set() if converted else {conversion}
    wanted = [
        module for module in CHECKS if module not in unasked and _fits(module, pair) and not _lacking(module, pair)
    ]
    return tuple(sorted(wanted, key=lambda module: (module is not conversion, module is not forward)))


def _fits(module: ModuleType, pair: Pair) -> bool:
    """Whether a check's examples can be drawn for a pair."""
    own = ((loss,) if pair.loss else ()) + (IDS if pair.padded else ())
    return pair.inputs is None or module not in NEEDS_TOKENIZER or module in own


def _lacking(module: ModuleType, pair: Pair) -> str:
    """Why a side of the pair cannot take part in a check: a capability in its `NEEDS` that the side lacks; or empty."""
    return pair.lacking(getattr(module, "NEEDS", ()))


def lacking(pair: Pair) -> dict[str, str]:
    """The checks that a side of the pair cannot take part in -> why: "exported is not trainable"."""
    return {name_of(of): reason for of in CHECKS if _fits(of, pair) and (reason := _lacking(of, pair))}


def agreed() -> list[str]:
    """The names of all checks, in the order of a report."""
    return [name_of(module) for module in CHECKS]


def known(names: Sequence[str]) -> None:
    """Raises ParityError for a name that no check has."""
    for name in names:
        if name not in agreed():
            raise ParityError(unknown("check", name, agreed()))


def chosen(pair: Pair, names: Sequence[str] | None) -> tuple[ModuleType, ...]:
    """Those of a pair's checks that have these names, or all. Raises ParityError for one that it does not have."""
    modules = checks_of(pair, converted=True)
    known(names or ())
    for name in names or ():
        if reason := lacking(pair).get(name, ""):
            raise ParityError(f"{pair.name} cannot be asked for {name}: {reason}")
        if name not in map(name_of, modules):
            raise ParityError(f"{pair.name} cannot be asked for {name}; it has {_listed(modules)}")
    return tuple(module for module in modules if not names or name_of(module) in names)


def _listed(modules: Sequence[ModuleType]) -> str:
    return ", ".join(map(name_of, modules))


def left_out(pair: Pair) -> tuple[str, ...]:
    """The names of the checks that a pair is not asked for, but for those that a side cannot take part in.

    They need a tokenizer, or weights that can be drawn. Those in `lacking` are told of with a reason of their own.
    """
    known = {*map(name_of, checks_of(pair, converted=True)), *lacking(pair)}
    return tuple(name for name in agreed() if name not in known)


def named(name: str) -> ModuleType | None:
    """The check of a name, if there is one."""
    return next((module for module in CHECKS if name_of(module) == name), None)


def name_of(module: ModuleType) -> str:
    """What a check is called on the command line and in reports: its file's name."""
    return module.__name__.rpartition(".")[2]
