"""Random twins: a stack of layers, drawn as a value, and both of its sides built from it.

`config` says what a stack is, `strategies` draw one, and torch.py and tensorflow.py build it.
"""

from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.stack.config import Stack
from parity.reference.twins import twins


def pair(stack: Stack, tokenizer: Tokenizer) -> Pair:
    """A stack's twins, over a tokenizer's vocabulary."""
    return Pair("stack", **twins(__name__, "Stacked", stack, tokenizer.vocab), tokenizer=tokenizer)
