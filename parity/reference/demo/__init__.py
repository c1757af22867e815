"""A classifier with a typical mistake of a port in it, for `parity demo`: read torch.py beside tensorflow.py."""

from parity import strategies
from parity.dtypes import Module
from parity.pair.pair import Pair

NAME = "demo"
WHERE = "norm"  # the layer with the mistake


def pair() -> Pair:
    """The pair of both classifiers, which are not the same."""
    return Pair(NAME, torch=_torch, tensorflow=_tensorflow, inputs=strategies.arrays(11))


def _torch() -> Module:
    from parity.reference.demo.torch import Classifier

    return Classifier()


def _tensorflow() -> Module:
    from parity.reference.demo.tensorflow import Classifier

    return Classifier()
