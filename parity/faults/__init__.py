"""Planted bugs by family, each with the check, place and cause it must be blamed on; and benign twins.

A fault alters one side of a reference pair and nothing else: its framework's model, as built, or what
parity does with it. It is planted in a pair of its own, so that it leaves no trace. A benign twin is
planted in the same way, and must not be flagged.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from parity.corners import Corners
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

    def plant(self, pair: Pair) -> Corners:
        """The clean pair's models, in every precision, with the difference in them."""
        builds: dict[str, Any] = {
            side: _Altered(self, side, build) for side, build in pair.builds.items() if getattr(self, side) is not None
        }
        altered = Corners(replace(pair, **builds))
        if self.corners is not None:
            self.corners(altered)
        return altered


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


class _Altered:
    """A builder whose model is altered. A fresh process finds the difference again by its name."""

    def __init__(self, planted: Benign, side: str, build: Callable[[], Any]) -> None:
        self.planted, self.side, self.build = planted, side, build

    def __call__(self) -> Any:
        model = self.build()
        getattr(self.planted, self.side)(model)
        return model

    def __reduce__(self) -> Any:
        return _again, (self.planted.name, self.side, self.build)


def _again(name: str, side: str, build: Callable[[], Any]) -> _Altered:
    found = next(planted for planted in (*benign.TWINS, *FAULTS) if planted.name == name)
    return _Altered(found, side, build)


# The families need the words above.
from parity.faults import (  # noqa: E402
    attention,
    benign,
    data,
    files,
    generation,
    gradients,
    layers,
    layout,
    loss,
    modes,
    numerics,
    optimizers,
    tokenizer,
    weights,
)

FAMILIES: dict[str, tuple[Fault, ...]] = {
    "layers": layers.FAULTS,
    "modes": modes.FAULTS,
    "weights": weights.FAULTS,
    "layout": layout.FAULTS,
    "attention": attention.FAULTS,
    "gradients": gradients.FAULTS,
    "numerics": numerics.FAULTS,
    "tokenizer": tokenizer.FAULTS,
    "data": data.FAULTS,
    "loss": loss.FAULTS,
    "optimizers": optimizers.FAULTS,
    "files": files.FAULTS,
    "generation": generation.FAULTS,
}
FAULTS = tuple(fault for family in FAMILIES.values() for fault in family)
