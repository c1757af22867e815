"""A factor or a constant between what the two sides made, where no recorded operation shows it.

It alone names what a side does in training mode, or eagerly and not in a graph: those runs are not recorded.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from parity.diagnose import Cause
from parity.diagnose.constants import fits
from parity.diagnose.layers.weight_relations import numbers
from parity.diagnose.locate.segment import Segment
from parity.diagnose.search import apart, gap, holds
from parity.dtypes import Array

FIXES = {
    "scale": "multiply by the same constant on both sides",
    "offset": "add the same constant on both sides",
}


def outputs(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Explain one side's output as the other's times a constant or plus one, of which the same holds everywhere."""
    first, second = (np.asarray(array, np.float64) for array in segment.found)
    if first.shape != second.shape or not fits(first, 1) or not fits(second, 1):
        return [], []
    for place, arrays in enumerate(((second, first), (first, second))):
        for cause, description, function in numbers(*arrays):
            left = partial(_left, function, place)
            if holds(segment, left):
                claim = f"{segment.sides[place]}'s {segment.place} is the other's {description}"
                return [Cause(cause, segment.path, claim, FIXES[cause], apart(segment), left(segment))], []
    return [], [f"either side's {segment.place} as the other's with {', '.join(FIXES)}"]


def _left(function: Callable[[Array], Array], place: int, segment: Segment) -> float:
    """How far a side is from a function of the other's."""
    arrays = [np.asarray(array, np.float64) for array in segment.found]
    with np.errstate(all="ignore"):
        return gap(function(arrays[1 - place]), arrays[place])
