"""Where a difference comes from and why, as data: what `diagnose` finds and a report shows."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A linked layer in the order of calls: how far its outputs are apart, running `freely`, and given the same.

    `alone` and `limit` are None of one that was compared with nothing; `mark` is "introduces", "amplifies",
    "inherits" or "clean".
    """

    path: str
    kind: str
    depth: int
    calls: int
    mark: str
    freely: float
    alone: float | None = None
    limit: float | None = None


def branch(layers: Sequence[Layer], place: int) -> str:
    """The lines of a tree in front of a layer."""
    depth, drawn = layers[place].depth, ""
    for level in range(1, depth + 1):
        later = (layer.depth for layer in layers[place + 1 :])
        more = next((d == level for d in later if d <= level), False)
        drawn += ("├ " if more else "└ ") if level == depth else ("│ " if more else "  ")
    return drawn


def label(layers: Sequence[Layer], place: int) -> str:
    """A layer's name inside the one that holds it; the model itself has its kind."""
    layer = layers[place]
    if not layer.depth:
        return layer.kind
    parent = next(other for other in reversed(layers[:place]) if other.depth < layer.depth)
    return layer.path.removeprefix(f"{parent.path}.")


@dataclass(frozen=True)
class Cause:
    """What makes the difference, proved: undoing it takes the difference from `before` to `after`.

    `name` is one of `parity.diagnose.CAUSES`, `where` the linked layer or the stage, `told` what each side does, and
    `fix` what to change, in the user's own terms.
    """

    name: str
    where: str
    told: str
    fix: str
    before: float
    after: float

    @property
    def text(self) -> str:
        """The cause, how it is proved and what to change, as a person reads it."""
        where = self.where or "the model's own code"
        return (
            f"{where}: {self.name}: {self.told}\n"
            f"  undone, the difference falls from {self.before:.1e} to {self.after:.1e}\n"
            f"  {self.fix}"
        )


@dataclass(frozen=True)
class Diagnosis:
    """The layers or stages that introduce a difference, the causes that are proved, and what was ruled out.

    `layers` is the tree of linked layers, where the models were run side by side to find them; `errors` is what
    kept parity from looking for a cause, each on one line; `weaker` says why a place was found in float32.
    """

    where: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    ruled_out: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    errors: tuple[str, ...] = ()
    weaker: str = ""

    @property
    def unsearched(self) -> tuple[str, ...]:
        """What kept parity from looking for a cause, as a person reads it."""
        return tuple(f"the cause was not looked for: {error}" for error in self.errors)


def weaker(reason: str) -> str:
    """What is said of a place that was found in float32."""
    return f"located in float32: {reason}"
