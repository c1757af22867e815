"""Why a side does not hold the weights that were drawn: by which relation its parameters come from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from parity.diagnose import Cause
from parity.diagnose.layers.functions import by_channel, of_each, owner
from parity.diagnose.layers.orders import FEWEST, ordered, rearranged
from parity.diagnose.layers.weight_relations import GATES, Relation, changed, estimated, of_parameter, scaled, swaps
from parity.diagnose.search import gap
from parity.dtypes import EPS, Array
from parity.pair.orders import permuted

FIXES = {
    "transposed": "exchange the axes as the canonical layout has them when the weights are copied",
    "gate order": "put the gates' blocks into the canonical order when the weights are copied",
    "bias missing": "copy the bias",
    "bias doubled": "count the bias once: where a side has two, let one be zero",
    "offset": "copy the values as they are: nothing is added to them",
    "scale": "copy the values as they are: nothing is multiplied",
    "weights rounded": "copy the weights in full precision",
    "weights swapped": "copy each parameter to its own place",
    "weights not copied": "copy the parameter: it has its initial value",
    "weights changed": "copy the parameter again: single values were altered",
    "biases summed": "keep the two biases apart (reset_after=True): they are not a sum",
    "head split": "split the heads along the same axis when the weights are copied",
    "rotary halves": "lay the halves of each head out as the layer's rotation reads them, when the weights are copied",
    "query key value": "copy query, key and value each to its own place",
    "flatten order": "order the inputs as the array before them is flattened, when the weights are copied",
    "weights transformed": "copy the values as they are: no function is applied to them",
    "order": "put all that goes together into one order when the weights are copied",
    "batch norm folded": (
        "multiply the kernel by gain / sqrt(variance + epsilon), and make the bias (bias - mean) times that plus the "
        "norm's bias"
    ),
    "kernel backwards": "keep the order of the kernel in time and space: neither framework reverses it",
}

PARTS = ("query", "key", "value")  # of an attention, as they are stacked


@dataclass(frozen=True)
class Happened:
    """What happened to parameters of a layer on their way to a side: the cause it stands for, and how it is told.

    `before` and `after` are the largest differences from what was made of them; `zero` is whether that is all zeros.
    """

    side: str
    layer: str
    cause: str
    how: str
    names: tuple[str, ...]
    before: float
    after: float
    zero: bool

    @property
    def blamed(self) -> Cause:
        """The cause that this is, in a layer, with its advice."""
        *most, last = self.names
        names = f"{', '.join(most)} and {last}" if most else last
        description, fix = f"{self.side} has {names} {self.how}", f"{FIXES[self.cause]} ({self.side})"
        return Cause(self.cause, self.layer, description, fix, self.before, self.after)


def what_happened(
    drawn: Mapping[str, Array],
    actual: Mapping[str, Array],
    kinds: Mapping[str, str],
    side: str,
    initial: Mapping[str, Array] | None = None,
    before_that: str = "as it was before",
) -> tuple[list[Happened], list[str]]:
    """Which layers' parameters a side holds otherwise than drawn, and how; and what has no known relation.

    `drawn` and `actual` are by "layer.parameter" in canonical form, `kinds` the layers' kinds by the
    same names; `initial` is what the side held before the weights were written, where that is known, and
    `before_that` says so. A relation that several parameters of a layer share is one change.
    """
    proved: dict[tuple[str, str, str], list[tuple[str, float, float, bool]]] = {}
    ruled_out = []
    for name, values in drawn.items():
        there = actual.get(name)
        if there is None or not (before := gap(values, there)):
            continue
        relation = _related(name, drawn, there, kinds[name])
        start = (initial or {}).get(name)
        missing = relation is not None and relation.cause == "bias missing"
        if start is not None and not gap(start, there) and not missing:
            relation = Relation("weights not copied", before_that, start)
        if relation is None:
            ruled_out.append(f"{name} in {side}: {before:.1e} from what it should be, and none of: {', '.join(TRIED)}")
            continue
        key = owner(name), relation.cause, relation.told
        proved.setdefault(key, []).append((name, before, gap(relation.made, there), not relation.made.any()))
    changes = []
    for key, of in proved.items():
        names, befores, afters, zero = zip(*of, strict=True)
        changes.append(Happened(side, *key, names, max(befores), max(afters), all(zero)))
    return sorted(_initial(changes), key=lambda change: -change.before), ruled_out


TRIED = (
    "transposed",
    "another order of gates",
    "zeros or ones",
    "doubled or another factor",
    "a constant added",
    "rounded through bfloat16, float16 or float32",
    "another parameter's place",
    "rows exchanged, moved or in another order",
    "reshaped where it should be transposed",
    "a root, a reciprocal, an exponential or a logarithm",
    "a factor for each place along an axis",
    "few elements changed",
)


def _related(name: str, drawn: Mapping[str, Array], actual: Array, kind: str) -> Relation | None:
    """The first relation by which a parameter comes from the one that was drawn for it, None if no known one does.

    Simple ones first, then an estimated factor within float32's rounding, functions of each number, and the same of
    one part of several that are stacked; then few changed elements, and factors along an axis.
    """
    values = drawn[name]
    parameter = name.rpartition(".")[2]
    whole = values.astype(np.result_type(values, actual))
    known = chain(of_parameter(kind, parameter, values), of_parameter(kind, parameter, whole))
    orders = chain(ordered(kind, parameter, values, actual), rearranged(values, actual))
    for relation in chain(known, swaps(drawn, name, actual), orders, estimated(values, actual)):
        if not gap(relation.made, actual):
            return relation
    if values.shape != actual.shape:
        return None
    vectors = {other: array for other, array in drawn.items() if array.ndim == 1}
    rounding = EPS["float32"] * float(np.abs(actual).max(initial=0.0))  # of a product in another order
    factors = (of for of in scaled(values, actual) if of.cause == "scale" and gap(of.made, actual) <= rounding)
    functions = (Relation(*of) for of in of_each(values, actual))
    channels = (Relation("scale", of.told, of.made) for of in by_channel(values, actual, vectors))
    return (
        next(chain(factors, functions, _of_part(kind, parameter, values, actual)), None)
        or changed(values, actual)  # before the factors, of which all but a few may be 1
        or next(channels, None)
        or _reordered(values, actual)
    )


def _reordered(values: Array, actual: Array) -> Relation | None:
    """What stands along an axis in an order that no usual layout makes; of two or few numbers nothing is told."""
    move = permuted(values, actual) if len(np.unique(values)) >= FEWEST else None
    return (
        None if move is None else Relation("order", f"with what stands along axis {move[0]} in another order", actual)
    )


def _of_part(kind: str, parameter: str, values: Array, actual: Array) -> Iterator[Relation]:
    """What became of one of several arrays that are stacked along the first axis, the others being as they were.

    Query, key and value, or the gates of a cell.
    """
    names = PARTS if kind == "attention" and parameter.startswith("input") else GATES.get(kind, ())
    if not names or values.ndim < 2 or len(values) % len(names):
        return
    ours, theirs = (np.split(array, len(names)) for array in (values, actual))
    differ = [place for place, part in enumerate(ours) if gap(part, theirs[place])]
    if len(differ) != 1:
        return
    of, there = ours[differ[0]], theirs[differ[0]]
    of, there = (of[0], there[0]) if kind == "attention" else (of, there)
    name = names[differ[0]]
    relation = _related(name, {name: of}, there, "dense")
    if relation is not None and relation.cause != "weights changed":
        whole = np.concatenate([*ours[: differ[0]], relation.made.reshape(ours[0].shape), *ours[differ[0] + 1 :]])
        yield Relation(relation.cause, f"with its part for {name} {relation.told}", whole)


def _initial(changes: list[Happened]) -> list[Happened]:
    """A bias of zeros is not left out where the whole layer has its initial values: it was not copied either."""
    fresh = {change.layer for change in changes if change.cause == "weights not copied"}
    return [
        replace(change, cause="weights not copied")
        if change.cause == "bias missing" and change.layer in fresh and change.zero
        else change
        for change in changes
    ]
