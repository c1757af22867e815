"""Which verbs of a pair's models, backends and tokenizer a check uses, and which ones a difference replaces.

Both are measured: a check by what it reads of a clean pair, a difference by what is another object
behind it. A check that uses nothing of what a difference replaces cannot see it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from parity.dtypes import Module
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.selftest.faults.fault import Alteration

MODEL, BACKEND, TOKENIZER = "model", "backend", "tokenizer"


def watched(pair: Pair) -> tuple[PairModels, set[str]]:
    """A pair's models, and the verbs that have been read of them so far: "model.loss", "tokenizer.encode"."""
    corners, seen = PairModels(pair), set[str]()
    for model in corners.models.values():
        _watch(model, MODEL, seen)
    corners.backends = {side: _Watched(backend, seen) for side, backend in corners.backends.items()}
    if corners.tokenizer is not None:
        corners.tokenizer = Tokenizer(corners.tokenizer.data)  # the pair's own is everybody's
        _watch(corners.tokenizer, TOKENIZER, seen)
    return corners, seen


def _watch(thing: Any, kind: str, seen: set[str]) -> None:
    """Have an object note in `seen` what is read of it, by its own methods too, which a proxy around it would not see.

    By a class of its own, since Python looks special methods up there.
    """
    own: Any = type(thing)

    def read(self: Any, name: str) -> Any:
        seen.add(f"{kind}.{name}")
        return object.__getattribute__(self, name)

    thing.__class__ = type(own.__name__, (own,), {"__getattribute__": read})


class _Watched:
    """A backend that notes in `seen` what is read of it. A backend is a module, which others use at the same time."""

    def __init__(self, backend: Any, seen: set[str]) -> None:
        self.__backend, self.__seen = backend, seen

    def __getattr__(self, name: str) -> Any:
        self.__seen.add(f"{BACKEND}.{name}")
        return getattr(self.__backend, name)


def visible(difference: Alteration, clean: PairModels, corners: PairModels) -> Callable[[set[str]], bool]:
    """Whether a planted difference can be seen by whoever reads these verbs.

    One inside a model is seen by whoever reads anything of one, or builds one.
    """
    replaced = set(_replaced(clean, corners))
    inside = difference.torch is not None or difference.keras is not None or not replaced

    def shows(seen: set[str]) -> bool:
        built = any(name.startswith(f"{MODEL}.") for name in seen) or f"{BACKEND}.Model" in seen
        return bool(replaced & seen) or (inside and built)

    return shows


def _replaced(clean: PairModels, corners: PairModels) -> Iterator[str]:
    """Verbs that stand in an altered object itself, where a clean one has them of its class, or has none."""
    for corner, model in corners.models.items():
        yield from (f"{MODEL}.{name}" for name in vars(model) if _stands(name, model, clean.models.get(corner)))
    for side, backend in corners.backends.items():
        if backend is not clean.backends[side]:
            yield from (f"{BACKEND}.{name}" for name in vars(backend))
    if corners.tokenizer is not clean.tokenizer:
        yield from (f"{TOKENIZER}.{name}" for name in vars(corners.tokenizer))


def _stands(name: str, model: Module, clean: Any) -> bool:
    """Whether an attribute of the object itself hides a verb of its class, or is one that the clean model lacks."""
    return hasattr(type(model), name) or not hasattr(clean, name)
