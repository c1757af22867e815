"""Whatever two models return -> verdicts: tuples, lists, dicts, dataclasses and named tuples of arrays.

Structure first: both sides must hold arrays at the same places, by index or by name. A named tuple,
a dataclass and a dict with the same names are the same structure, since ports seldom share classes.
Then every array by itself, as `compare.judge` does: dtype, shape, finiteness, values.
"""

from typing import Any

import numpy as np

from parity.backends.nesting import places
from parity.compare import messages
from parity.compare.judge import Verdict, judge
from parity.compare.square import NAMES, PrecisionSquare
from parity.dtypes import Array, Outputs, transport_dtype
from parity.errors import ParityError

Leaves = dict[tuple[str, str], dict[str, Array]]  # (dtype, side) -> place -> array


def judge_outputs(subject: str, *, sides: tuple[str, str] = NAMES, **runs: tuple[Any, Any]) -> list[Verdict]:
    """One verdict for every array in what two sides returned; what fails among them fails the whole.

    `judge_outputs("encoder", float32=(t32, k32), float64=(t64, k64))`: dtype = (first side, second
    side), each an array, a tensor or any nesting of them. A side that has no float64 is None there.
    Raises ParityError on a leaf that is no array, and without both float32 runs and one float64 run.
    """
    of_side = {
        (dtype, side): _leaves(subject, run, dtype)
        for dtype, pair in runs.items()
        for side, run in zip(sides, pair, strict=True)
        if run is not None
    }
    lacking = [side for side in sides if ("float64", side) not in of_side]
    if not all(("float32", side) in of_side for side in sides) or len(lacking) == len(sides):
        raise ParityError(f"{subject}: give float32 of both sides, and float64 of one at the least")
    names = list(dict.fromkeys(name for leaves in of_side.values() for name in leaves))
    problem = _unlike(subject, of_side, names)
    if problem:
        return [Verdict(subject, "different", 0, np.inf, 0.0, "equal structure", f"{subject}: {problem}")]
    reason = f"{lacking[0]} has no float64 run" if lacking else ""

    def square(name: str) -> PrecisionSquare:
        def run(dtype: str, side: str) -> Array | None:
            return of_side[dtype, side][name] if (dtype, side) in of_side else None

        return PrecisionSquare({dtype: (run(dtype, sides[0]), run(dtype, sides[1])) for dtype in runs}, sides, reason)

    return [judge(f"{subject}{name}", square(name)) for name in names]


def _unlike(subject: str, of_side: Leaves, names: list[str]) -> str:
    """In words, the first place that some run has and another has not, or that there is none; "" if all agree."""
    for name in names:
        having = [messages.corner(side, dtype) for (dtype, side), leaves in of_side.items() if name in leaves]
        if len(having) < len(of_side):
            lacking = [messages.corner(side, dtype) for (dtype, side), leaves in of_side.items() if name not in leaves]
            return f"structures differ: {subject}{name} is in {', '.join(having)}, but not in {', '.join(lacking)}"
    return "" if names else "holds no array; that proves nothing"


def _leaves(subject: str, output: Outputs, dtype: str) -> dict[str, Array]:
    """Place -> array."""
    return {place: array_of(f"{subject}{place}", leaf, dtype) for place, leaf in places(output).items()}


def array_of(place: str, leaf: Any, dtype: str = "float32") -> Array:
    """A leaf as NumPy holds it: tensors of either framework too, bfloat16 widened.

    Raises ParityError naming the place where it is no array of numbers.
    """
    # By their methods: this module imports neither framework. NumPy takes no torch tensor that has a gradient.
    if hasattr(leaf, "detach"):
        leaf = leaf.detach()
    if "bfloat16" in str(getattr(leaf, "dtype", "")):
        leaf = leaf.float() if hasattr(leaf, "float") else np.asarray(leaf).astype(transport_dtype(dtype))
    array: Array = np.asarray(leaf)
    if array.dtype.kind not in "biuf":
        raise ParityError(f"{place} is a {type(leaf).__name__}, but should be an array of numbers")
    return array
