"""Why a side does not hold the weights that were drawn: by which relation its parameters come from them."""

from collections.abc import Mapping
from itertools import chain

import numpy as np

from parity.diagnose import Cause
from parity.diagnose.gaps import gap
from parity.diagnose.layers.orders import ordered
from parity.diagnose.layers.weight_relations import Relation, changed, estimated, of_parameter, scaled, swaps
from parity.dtypes import EPS, Array

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
    "kernel backwards": "keep the order of the kernel in time: neither framework reverses it",
}


def explain_weights(
    drawn: Mapping[str, Array],
    found: Mapping[str, Array],
    kinds: Mapping[str, str],
    side: str,
    limit: float = 0.0,
    initial: Mapping[str, Array] | None = None,
    before_that: str = "as it was before",
) -> tuple[list[Cause], list[str]]:
    """Which layers' parameters a side holds otherwise than drawn, and how; and what has no known relation.

    `drawn` and `found` are by "layer.parameter" in canonical form, `kinds` the layers' kinds by the
    same names; `initial` is what the side held before the weights were written, where that is known, and
    `before_that` says so. A relation that several parameters of a layer share is one cause.
    """
    proved: dict[tuple[str, str, str], list[str]] = {}
    gaps: dict[str, tuple[float, float]] = {}
    ruled_out = []
    for name, values in drawn.items():
        there = found.get(name)
        if there is None or (before := gap(values, there)) <= limit:
            continue
        relation = _related(name, drawn, there, kinds[name], limit)
        kept = (initial or {}).get(name)
        missing = relation is not None and relation.cause == "bias missing"
        if kept is not None and gap(kept, there) <= limit and not missing:
            relation = Relation("weights not copied", before_that, kept)
        if relation is None:
            ruled_out.append(f"{name} in {side}: {before:.1e} from what it should be, and none of: {', '.join(TRIED)}")
            continue
        gaps[name] = before, gap(relation.made, there)
        proved.setdefault((name.rpartition(".")[0], relation.cause, relation.told), []).append(name)
    causes = [_cause(*key, names, gaps, side) for key, names in proved.items()]
    causes = _initial(causes)
    return sorted(causes, key=lambda cause: -cause.before), ruled_out


TRIED = (
    "transposed",
    "another order of gates",
    "zeros or ones",
    "doubled or another factor",
    "a constant added",
    "rounded through bfloat16, float16 or float32",
    "another parameter's place",
    "rows exchanged, moved or in another order",
    "few elements changed",
)


def _related(name: str, drawn: Mapping[str, Array], found: Array, kind: str, limit: float) -> Relation | None:
    values = drawn[name]
    parameter = name.rpartition(".")[2]
    whole = values.astype(np.result_type(values, found))
    known = chain(of_parameter(kind, parameter, values), of_parameter(kind, parameter, whole))
    orders = ordered(kind, parameter, values, found)
    for relation in chain(known, swaps(drawn, name, found, limit), orders, estimated(values, found)):
        if relation.made.shape == found.shape and gap(relation.made, found) <= limit:
            return relation
    rounding = EPS["float32"] * float(np.abs(found).max(initial=0.0))  # of a product that was computed in another order
    for relation in scaled(values, found) if values.shape == found.shape else ():
        if relation.cause == "scale" and gap(relation.made, found) <= rounding:
            return relation
    return changed(values, found, limit) if values.shape == found.shape else None


def _cause(
    layer: str, cause: str, told: str, names: list[str], gaps: Mapping[str, tuple[float, float]], side: str
) -> Cause:
    before, after = (max(gaps[name][i] for name in names) for i in (0, 1))
    return Cause(cause, layer, f"{side} has {_listed(names)} {told}", f"{FIXES[cause]} ({side})", before, after)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _initial(causes: list[Cause]) -> list[Cause]:
    """A bias of zeros is not left out where the whole layer has its initial values: it was not copied either."""
    fresh = {cause.where for cause in causes if cause.name == "weights not copied"}
    return [
        Cause(
            "weights not copied",
            cause.where,
            cause.told,
            cause.fix.replace(FIXES["bias missing"], FIXES["weights not copied"]),
            cause.before,
            cause.after,
        )
        if cause.name == "bias missing" and cause.where in fresh and cause.told.endswith("all zeros")
        else cause
        for cause in causes
    ]
