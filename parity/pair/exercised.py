"""What a pair's checks tried of its models and what they did not: a promise that nobody exercised is none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import optree

from parity.backends.protocol import BackendModel
from parity.canonical.custom import VALUE
from parity.canonical.layer import Layout
from parity.canonical.weights import HELD, neutral
from parity.compare.messages import few
from parity.compare.square import PrecisionSquare
from parity.dtypes import Inputs
from parity.errors import ParityError, users_own
from parity.inputs.arrays import like
from parity.inputs.edges import Place, lengthened
from parity.inputs.sampling import simplest
from parity.pair.pair import Pair


@dataclass
class Tried:
    """A record of what checks tried, which can be pickled, so that another process may add it to its own.

    `seen` has the integers in each array of inputs, `moved` whether a parameter's gradient was not zero; `length` says
    why texts cannot be longer, and `left` what a check could not try -> why.
    """

    seen: dict[Place, set[int]] = field(default_factory=dict)
    moved: dict[str, bool] = field(default_factory=dict)
    length: str = ""
    left: dict[str, str] = field(default_factory=dict)


class Exercised:
    """A record of what the models of a pair were given, and what moved: checks fill it, `missing` reads it."""

    def __init__(self, pair: Pair, models: Mapping[tuple[str, str], BackendModel]) -> None:
        self._pair, self._models = pair, models
        self._tried = Tried()

    def take(self) -> Tried:
        """Return what was tried so far and forget it: another process, where the same models are, will `add` it."""
        tried, self._tried = self._tried, Tried()
        return tried

    def add(self, tried: Tried) -> None:
        """Remember what was tried in another process, after what was tried before."""
        for at, ids in tried.seen.items():
            self._tried.seen.setdefault(at, set()).update(ids)
        for name, moved in tried.moved.items():
            self._tried.moved[name] = self._tried.moved.get(name, False) or moved
        self._tried.length = tried.length or self._tried.length
        self._tried.left |= tried.left

    @cached_property
    def refused(self) -> str:
        """Why the models are not given edge cases: one cannot be called on the simplest inputs, as a text of no token.

        Empty where both can.
        """
        if self._pair.inputs is None:
            return ""
        with users_own(f"{self._pair.name}: inputs cannot be drawn"):
            inputs = simplest(self._pair.inputs)
        return self._refused(inputs)

    def one_length(self, more: int) -> str:
        """Why the texts among the inputs cannot be longer by `more` columns of padding; empty if they can."""
        self._tried.length = self._refused(lengthened(self._pair.specimens[-1], self._pair.ids, more))
        return self._tried.length

    def see(self, inputs: Inputs) -> None:
        """Remember which integers occur in each array of inputs: ids, as a rule."""
        paths, leaves, _ = optree.tree_flatten_with_path(inputs)
        for at, array in zip(paths, leaves, strict=True):
            if array.dtype.kind in "iu":
                self._tried.seen.setdefault(at, set()).update(np.unique(array).tolist())

    def moved(self, gradients: Mapping[str, PrecisionSquare]) -> None:
        """Remember which parameters have a gradient that is not zero on either side, in float64.

        One that neither side trains has no gradient at all, an empty array, and is not counted.
        """
        for name, square in gradients.items():
            runs = [array for array in square.rows["float64"] if array is not None and array.size]
            if runs:
                self._tried.moved[name] = self._tried.moved.get(name, False) or any(map(np.any, runs))

    def leave_out(self, what: str, why: str) -> None:
        """Remember what a check could not try, and why."""
        self._tried.left[what] = why

    def leave_turned(self, parameters: Mapping[str, tuple[int, ...]]) -> None:
        """Remember the parameters that are linked transposed though their shapes are equal, name -> shape."""
        how = "it is linked transposed, and both orders fit the shape; transpose it in copied weights, or read it alike"
        names = {name.removesuffix(f".{VALUE}"): shape for name, shape in parameters.items()}
        self._tried.left |= {
            f"whether both sides read {name} {shape} the same way round": how for name, shape in names.items()
        }

    def leave_layers_out(self, idle: Mapping[str, Mapping[str, str]], layout: Layout) -> None:
        """Remember what one side alone has: layers that do nothing, side -> path -> why, and parameters held."""
        for side, paths in idle.items():
            self._tried.left |= {
                f"parameters of {side}'s {path}, which the other side has not": how for path, how in paths.items()
            }
        alone: dict[float, list[str]] = {}
        for name in (name for name, (kind, _) in layout.items() if kind == HELD):
            alone.setdefault(neutral(name), []).append(name)
        self._tried.left |= {
            f"{few(names)}, which one side lacks": f"held at {value:g}" for value, names in alone.items()
        }

    def missing(self, weaker: Iterable[str]) -> tuple[str, ...]:
        """Say what was not exercised, a line each; `weaker` has the lines on what runs in float32 alone."""
        lines = [_ids(at, self._tried.seen[at], self._pair) for at in sorted(self._tried.seen, key=str)]
        still = [name for name, moved in self._tried.moved.items() if not moved]
        if still:
            lines.append(f"parameters that no example moves, their gradient is zero in all: {few(still)}")
        if self.refused:
            lines.append(f"exact zeros, ties and rows of padding alone: {self.refused}")
        if self._tried.length:
            lines.append(f"texts of another length: {self._tried.length}")
        for side, model in ((of, model) for (of, dtype), model in self._models.items() if dtype == "float32"):
            text = ", ".join(f"output{place} ({kind})" for place, kind in model.unread.items())
            lines.append(f"what {side} gives that is no tensor, or lacks a counterpart: {text}" if text else "")
            computed = getattr(model, "computed", {})  # one that only runs may have none
            text = ", ".join(f"{name} ({how})" for name, how in computed.items())
            lines.append(f"how {side} computes weights, taken as they are in evaluation: {text}" if text else "")
        lines += [f"{what}: {why}" for what, why in self._tried.left.items()]
        return (*filter(None, lines), *weaker)

    def _refused(self, inputs: Inputs) -> str:
        """Why one of the models cannot be called on inputs; empty if both can."""
        try:
            for side, model in ((side, model) for (side, dtype), model in self._models.items() if dtype == "float32"):
                with users_own(f"the {side} model cannot be called on {like(inputs)}"):
                    model.outputs(inputs)
        except ParityError as error:
            return str(error)
        return ""


def _ids(at: Place, seen: set[int], pair: Pair) -> str:
    """Say how many ids of a vocabulary were drawn, and whether its first and last were; "" if all were.

    Of integers whose range is not known only whether 0 occurred is said, which stands for padding as a rule.
    """
    name, place = ".".join(map(str, at)) or "inputs", pair.ids.get(at)
    if place is None:
        return f"integers of {name}: 0, which may be padding, never occurred" if min(seen) > 0 else ""
    # The first and the last row of a table are where an off-by-one shows.
    ends = [str(end) for end in (0, place.below - 1) if end not in seen]
    lacking = f", and {' and '.join(ends)} never" if ends else ""
    count = f"{len(seen):,} of {place.below:,} ids were drawn"
    return f"ids of {name}: {count}{lacking}" if len(seen) < place.below else ""
