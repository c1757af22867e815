"""How a stage's fault is planted: another verb in place of a corner's, of a trainer's, a backend's or the tokenizer's.

`change` is called with the verb that it replaces, and with what that would have been given.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.selftest.faults.fault import side_of
from parity.selftest.faults.reached import Noted

Alter = Callable[[PairModels], None]
Change = Callable[..., Any]


class Overlay:
    """An object with some of its attributes replaced, and the object itself as it was."""

    def __init__(self, original: Any, **changes: Any) -> None:
        self.original = original
        self.__dict__.update(changes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def replaced(thing: Any, verb: str, change: Change) -> None:
    """One thing's verb, from now on."""
    setattr(thing, verb, _noted(thing, verb, change))


def corner(side: str, verb: str, change: Change) -> Alter:
    """A verb of one side's corners."""
    return corners((side,), verb, change)


def corners(sides: Sequence[str], verb: str, change: Change) -> Alter:
    """The same verb of several sides' corners."""

    def alter(altered: PairModels) -> None:
        for (of, _), model in altered.models.items():
            if of in map(side_of, sides):
                replaced(model, verb, change)

    return alter


def trainer(side: str, change: Callable[[Any], Any]) -> Alter:
    """The learners of one side's corners, as made."""
    return corner(side, "trainer", lambda make, recipe: _changed(make(recipe), change))


def backend(side: str, verb: str, change: Change) -> Alter:
    """A verb of one side's backend."""

    def alter(altered: PairModels) -> None:
        original = altered.backends[side_of(side)]
        proxy: Any = Overlay(original, **{verb: _noted(original, verb, change)})
        altered.backends[side_of(side)] = proxy

    return alter


def built(side: str, change: Callable[[Any], Any]) -> Alter:
    """The models that one side's backend builds in this process, from now on; not those of a fresh one.

    Those of the pair are built already: what it alters is what a check builds for itself, as to resume a training.
    """
    return backend(side, "Model", lambda make, *arguments: _changed(make(*arguments), change))


def tokenizer(verb: str, change: Change) -> Alter:
    """A verb of the tokenizer."""

    def alter(altered: PairModels) -> None:
        copy = Tokenizer(altered.tokenizer.data)  # the clean pair keeps its own
        replaced(copy, verb, change)
        altered.tokenizer = copy

    return alter


def library(verb: str, change: Change) -> Alter:
    """A verb of the library beneath the tokenizer."""

    def alter(altered: PairModels) -> None:
        copy = Tokenizer(altered.tokenizer.data)
        original = copy.library
        copy.library = Overlay(original, **{verb: _noted(original, verb, change)})
        altered.tokenizer = copy

    return alter


def _noted(thing: Any, verb: str, change: Change) -> Noted:
    """`change`, which gets the thing's verb as it was first, and notes that it is called."""
    return Noted(f"{verb} of {getattr(thing, '__name__', type(thing).__name__)}", partial(change, getattr(thing, verb)))


def _changed(instance: Any, change: Callable[[Any], Any]) -> Any:
    """The instance, which `change` has altered in place."""
    change(instance)
    return instance
