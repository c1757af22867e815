"""What a planted bug and a benign twin are, and how they are planted beside a clean pair."""

import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from parity import backends
from parity.backends.protocol import BackendModel
from parity.canonical.weights import Weights
from parity.dtypes import Array
from parity.errors import ParityError
from parity.pair.assembly import Of
from parity.pair.carried import Values
from parity.pair.lending import Run
from parity.pair.models import PairModels
from parity.pair.pair import Pair

SIDES = ("torch", "keras")  # of a pair that faults are planted in
Alter = Callable[[Any], None]


@dataclass(frozen=True)
class Alteration:
    """What is altered in the pair of a name, and how: a bug's or a benign twin's.

    `torch` and `keras` each alter that side's model as it is built, whatever Keras runs on; `corners` alters the
    pair's models together, where what is altered is no part of a model. `call` and `loss` are functions
    of one side or both in the place of the pair's own. Random numbers of a framework
    are for what alters its model; what else draws some does it by NumPy. `only` is the backend of Keras's in whose
    own terms it is, where it is in those of one.
    """

    name: str
    pair: str
    torch: Alter | None = None
    keras: Alter | None = None
    corners: Alter | None = None
    call: Mapping[str, Callable[..., Any]] = field(default_factory=dict, hash=False)
    loss: Mapping[str, Callable[..., Any]] = field(default_factory=dict, hash=False)
    only: str = ""

    @property
    def built(self) -> tuple[str, ...]:
        """The sides whose models it alters as they are built, or has called or judged otherwise."""
        return tuple(side_of(role) for role in SIDES if getattr(self, role) or role in self.call or role in self.loss)

    @property
    def sides(self) -> tuple[str, ...]:
        """Those that it may alter."""
        return tuple(map(side_of, SIDES)) if self.corners is not None else self.built

    def inject(self, pair: Pair, clean: PairModels | None = None, known: "Known | None" = None) -> PairModels:
        """The pair's models, in every precision, with the difference in them.

        Those of `clean`, the same pair's, serve on a side whose models as built are not altered; what they gave is
        kept in `known`, and taken from there.
        """
        roles = pair.roles
        changes: dict[str, Any] = {
            side: _Altered(self, role, roles[side].source)
            for role in SIDES
            if getattr(self, role) and (side := side_of(role))
        }
        for what in ("call", "loss"):
            if functions := {side_of(role): function for role, function in getattr(self, what).items()}:
                changes[what] = {**(getattr(pair, what) or {}), **functions}
        there = replace(pair, **changes)
        lent = {*pair.sides} - {*self.built}
        altered = PairModels(there) if clean is None else BorrowedModels(there, clean, lent, known)
        if self.corners is not None:
            self.corners(altered)
        return altered

    def __reduce__(self) -> Any:
        """Another process finds it again by its name: what it does cannot cross over."""
        return _named, (self.name,)


@dataclass(frozen=True)
class BenignTwin(Alteration):
    """A harmless difference: every check must hold."""


@dataclass(frozen=True, kw_only=True)
class Fault(Alteration):
    """A bug: the check that must fail first, the layer or stage it must be blamed on, and the cause.

    `where` is a link's path (the deepest that introduces the difference; "" is the code between layers; of
    two exchanged, both by "and"), or the stage: "tokenizer", "data", "loss", "optimizer", "files",
    "generation". `cause` is a name of `parity.diagnose.CAUSES`; those of `also` are as true, where undoing one undoes
    the same.
    """

    check: str
    where: str
    cause: str
    also: tuple[str, ...] = ()


def side_of(role: str) -> str:
    """What one of `SIDES` is called in a pair."""
    return backends.keras_side() if role == "keras" else role


def _named(name: str) -> Alteration:
    """The fault or benign twin of a name. Raises ParityError for one that is not registered."""
    from parity.selftest.faults import FAULTS
    from parity.selftest.twins import TWINS

    fault = next((planted for planted in (*FAULTS, *TWINS) if planted.name == name), None)
    if fault is None:
        raise ParityError(f"{name!r} is no registered fault or benign twin, by which a fresh process would find it")
    return fault


@dataclass(frozen=True)
class _Altered:
    """A builder whose model is altered."""

    planted: Alteration
    role: str
    build: Callable[[], Any]

    def __call__(self) -> Any:
        model = self.build()
        getattr(self.planted, self.role)(model)
        return model


Known = dict[Any, Any]  # what lent models gave: (corner, weights, pickled name of what was asked) -> outputs


class Untouched:
    """A cache for models that are lent: what one gives in which nothing has been replaced is asked once for all."""

    def __init__(self, known: Known, lent: Mapping[Of, BackendModel]) -> None:
        self._known = known
        self._lent = {corner: dict(vars(model)) for corner, model in lent.items()}

    def given(self, corner: Of, model: BackendModel, weights: Weights, what: Sequence[Any], run: Run) -> Any:
        """What `run(model)` gives, from the cache if it was asked before; always anew of a model that was altered."""
        if corner not in self._lent or any(self._lent[corner].get(name) is not of for name, of in vars(model).items()):
            return run(model)
        key = corner, weights, pickle.dumps(what)
        if key not in self._known:
            self._known[key] = run(model)
        return self._known[key]


class BorrowedModels(PairModels):
    """A pair of which some sides are those of a clean one: its models, each with verbs of its own to replace.

    `known` has what the models gave that are lent to others beside the clean pair, too.
    """

    def __init__(self, pair: Pair, clean: PairModels, sides: Collection[str], known: Known | None = None) -> None:
        self._clean, self._sides = clean, sides
        super().__init__(pair, clean.dtypes, last=clean.last)
        if known is not None:
            self.cache = Untouched(known, {corner: of for corner, of in self.models.items() if self._same(corner)})

    def _model(self, side: str, dtype: str) -> BackendModel:
        return copy(self._clean.models[side, dtype]) if side in self._sides else super()._model(side, dtype)

    def _initial(self, side: str) -> Values:
        return self._clean._given[side] if self._is_lent(side) else super()._initial(side)

    def _by_links(self, side: str) -> Mapping[str, Array]:
        if self._is_lent(side) and self._clean.carried is not None:
            return self._clean.carried.values[side]
        return super()._by_links(side)

    def _is_lent(self, side: str) -> bool:
        """Whether a side's model is lent by a pair that was converted: it has had weights since it was built."""
        return side in self._sides and self._clean.carried is not None

    def _related(self) -> bool:
        """A model that is lent has had weights since it was built."""
        lent = self._sides and self._clean.carried is None
        return not lent and super()._related()

    def _add(self, side: str, dtype: str) -> None:
        if side in self._sides:  # it has been probed there
            model, build = self._model(side, dtype), self.builds[side]
            model.rename(build.form, build.nodes)  # by the links of this pair
            self.models[side, dtype] = model
        else:
            super()._add(side, dtype)

    def _same(self, corner: Of) -> bool:
        """Whether a model is the clean one, and names its layers as that does."""
        names = [[layer.path for layer in of.models[corner].layers] for of in (self, self._clean)]
        return corner[0] in self._sides and names[0] == names[1]
