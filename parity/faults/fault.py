"""What a planted bug and a benign twin are, and how they are planted beside a clean pair."""

from collections.abc import Callable, Collection
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from parity.backends import SIDES, Corner
from parity.corners import Corners
from parity.errors import ParityError
from parity.layers import Array, Weights
from parity.pair import Pair

Alter = Callable[[Any], None]


@dataclass(frozen=True)
class Benign:
    """A harmless difference in the reference pair of a name: every check must hold.

    `torch` and `tensorflow` each alter their framework's model as it is built; `corners` alters the
    pair's models together, where what is altered is no part of a model.
    """

    name: str
    pair: str
    torch: Alter | None = None
    tensorflow: Alter | None = None
    corners: Alter | None = None

    @property
    def sides(self) -> tuple[str, ...]:
        """Those that it may alter."""
        return tuple(side for side in SIDES if self.corners is not None or getattr(self, side) is not None)

    def plant(self, pair: Pair, clean: Corners | None = None) -> Corners:
        """The pair's models, in every precision, with the difference in them.

        Those of `clean`, the same pair's, serve on a side whose models as built are not altered.
        """
        builds: dict[str, Any] = {
            side: _Altered(self, side, build) for side, build in pair.builds.items() if getattr(self, side) is not None
        }
        there = replace(pair, **builds)
        altered = Corners(there) if clean is None else Beside(there, clean, pair.builds.keys() - builds.keys())
        if self.corners is not None:
            self.corners(altered)
        return altered

    def __reduce__(self) -> Any:
        """Another process finds it again by its name: what it does cannot cross over."""
        return _named, (self.name,)


@dataclass(frozen=True, kw_only=True)
class Fault(Benign):
    """A bug: the check that must fail first, the layer or stage it must be blamed on, and the cause.

    `where` is a link's path (the deepest that introduces the difference; "" is the model's own code; of
    two exchanged, both by "and"), or the stage: "tokenizer", "data", "loss", "optimizer", "files",
    "generation". `cause` is a name of `parity.diagnose.CAUSES`.
    """

    check: str
    where: str
    cause: str


def _named(name: str) -> Benign:
    from parity.faults import FAULTS
    from parity.faults.benign import TWINS

    found = next((planted for planted in (*FAULTS, *TWINS) if planted.name == name), None)
    if found is None:
        raise ParityError(f"{name!r} is no registered fault or benign twin, by which a fresh process would find it")
    return found


@dataclass(frozen=True)
class _Altered:
    """A builder whose model is altered."""

    planted: Benign
    side: str
    build: Callable[[], Any]

    def __call__(self) -> Any:
        model = self.build()
        getattr(self.planted, self.side)(model)
        return model


class Beside(Corners):
    """A pair of which some sides are those of a clean one: its models, each with verbs of its own to replace."""

    def __init__(self, pair: Pair, clean: Corners, sides: Collection[str]) -> None:
        self._clean, self._sides = clean, sides
        super().__init__(pair, clean.dtypes)

    def _model(self, side: str, dtype: str) -> Corner:
        return copy(self._clean.models[side, dtype]) if side in self._sides else super()._model(side, dtype)

    def _add(self, side: str, dtype: str) -> None:
        if side in self._sides:  # it has been probed there
            self.models[side, dtype] = self._model(side, dtype)
        else:
            super()._add(side, dtype)

    def load(self, weights: Weights) -> dict[str, Array]:
        self._clean.forget()
        self._clean.lent = self
        return super().load(weights)

    def ensure(self, weights: Weights) -> None:
        if self._clean.lent is not self:  # others have had the models meanwhile
            self.forget()
        super().ensure(weights)
