"""A classifier with a typical mistake of a port in it, for `parity demo`: read torch.py beside tensorflow.py."""

from parity import strategies
from parity.pair.pair import Pair
from parity.reference.twins import twins

NAME = "demo"
WHERE = "norm"  # the layer with the mistake


def pair() -> Pair:
    """The pair of both classifiers, which are not the same."""
    return Pair(NAME, **twins(__name__, "Classifier"), inputs=strategies.arrays(11))
