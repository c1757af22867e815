"""How far two arrays are apart: what every proof is measured by."""

from parity.compare import divergence
from parity.layers import Array
from parity.segment import Segment


def gap(first: Array, second: Array) -> float:
    """The largest absolute difference; infinite for arrays of different shapes, or a NaN on one side only."""
    return divergence(first * 1.0, second * 1.0).worst if first.shape == second.shape else float("inf")


def apart(segment: Segment) -> float:
    """How far what torch and TensorFlow made is apart."""
    return gap(*segment.found)
