"""What stands in a padding: zeros, the edge, a reflection or the other end, by `pad` or joined by hand.

torch's `pad` has no word for a doubled edge, and for inner axes none but zeros; what is joined by hand has none at all.
NumPy's modes have all of them: https://numpy.org/doc/stable/reference/generated/numpy.pad.html
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.proposal import Proposal, Spot, always, passed
from parity.dtypes import Array

# NumPy's mode -> what the padding holds then, in words, and as torch and TensorFlow have it.
MODES = {
    "constant": ("zeros", "constant", "CONSTANT"),
    "edge": ("the edge's own values", "replicate", "a repeated edge and concat"),
    "reflect": ("a reflection without the edge", "reflect", "REFLECT"),
    "symmetric": ("a reflection with the edge doubled", "flip and cat", "SYMMETRIC"),
    "wrap": ("what stands at the other end", "circular", "concat of the other end"),
}
JOINS = ("cat", "concat", "concatenate")


def padded_by(spot: Spot) -> Iterator[Proposal]:
    """Propose that the padding of torch's `pad` holds something else, or as much stands at other ends."""
    width = [*spot.plain("pad").values()]
    if len(spot.operands) != 1 or not all(type(one) is int and one >= 0 for one in width):
        return
    [leaf], rank = spot.operands, len(spot.values[spot.operation.operands[0]].shape)
    pairs = [(0, 0)] * (rank - len(width) // 2) + [*zip(width[::2], width[1::2], strict=True)][::-1]
    own = spot.operation.settings.get("mode", "constant")
    for mode, (_, name, _) in MODES.items():
        if name != own:
            padded: Any = partial(np.pad, pad_width=pairs, mode=mode)
            yield pads_with(spot, "argument", f"with mode={own}", mode, passed(spot.number, leaf, padded))
    value, source = spot.operation.settings.get("value") or 0, spot.origin(spot.operation.operands[0])
    for other in _at_other_ends(pairs) if own == "constant" and isinstance(value, int | float) else ():
        ours, theirs = ([of for of in pairs if any(of)] for pairs in (pairs, other))
        padded = partial(np.pad, pad_width=other, constant_values=value)
        yield Proposal(
            always(passed(spot.number, leaf, padded)),
            "padding",
            f"torch's {spot.here} pads {source} {_ends(ours)}, and tensorflow {_ends(theirs)}{spot.by}",
            f"pad the same ends on both sides: {_ends(ours)}, or {_ends(theirs)}",
            subject=f"padding of {_ends(theirs)} in tensorflow",
        )


def _at_other_ends(pairs: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """As much padding of each axis, all of it at one end, or at both with the odd one at the other."""
    ways = (lambda a, b: (0, a + b), lambda a, b: (a + b, 0), lambda a, b: ((a + b) // 2, (a + b + 1) // 2))
    others = [[way(*of) for of in pairs] for way in (*ways, lambda a, b: ((a + b + 1) // 2, (a + b) // 2))]
    return [other for n, other in enumerate(others) if other not in ([*pairs], *others[:n])]


def _ends(pairs: Sequence[tuple[int, int]]) -> str:
    """How much stands before and behind each axis that is padded."""
    return ", ".join(f"{before} before and {behind} behind" for before, behind in pairs)


def joined(spot: Spot) -> Iterator[Proposal]:
    """Propose that what is joined to an array as its padding holds something else."""
    axis = spot.operation.settings.get("dim", 0)
    for at, inner in permutations(spot.arrays, 2):
        mine, array = spot.arrays[at], spot.arrays[inner]
        if abs(at - inner) != 1 or not mine.size or mine.ndim != array.ndim:
            continue
        changes = {mode: partial(_beside, inner, axis, mine.shape[axis], at < inner, mode) for mode in MODES}
        own = [mode for mode, change in changes.items() if np.array_equal(change({inner: array}), mine)]
        for mode, change in changes.items() if own else ():
            if mode not in own:
                yield pads_with(spot, "padding value", f"with {MODES[own[0]][0]}", mode, Edit(spot.number, at, change))


def pads_with(spot: Spot, name: str, own: str, mode: str, *edits: Edit) -> Proposal:
    """The proposal that a padding, which torch fills as `own` says, holds what one of `MODES` does in TensorFlow."""
    words, ours, theirs = MODES[mode]
    return Proposal(
        always(*edits),
        name,
        f"torch pads {own}{spot.place}, and tensorflow with {words}{spot.by}",
        f"pad with the same on both sides: {words} is {ours} in torch, {theirs} in tensorflow",
        subject=f"padding with {words} in tensorflow",
    )


def _beside(inner: int, axis: int, width: int, before: bool, mode: Any, arguments: Any) -> Array:
    """What pads operand `inner` along an axis by `width` places, before or behind it, without the operand itself."""
    array: Array = arguments[inner]
    widths = [(0, 0)] * array.ndim
    widths[axis] = (width, 0) if before else (0, width)
    start = 0 if before else array.shape[axis]
    return np.pad(array, widths, mode=mode).take(range(start, start + width), axis)
