"""Random twins: a stack of layers, drawn as a value, and both of its sides built from it."""

from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.stack.config import Stack
from parity.reference.twins import twins


def pair(stack: Stack, tokenizer: Tokenizer) -> Pair:
    """A stack's twins, over a tokenizer's vocabulary."""
    return Pair("stack", **twins(__name__, "Stacked", stack, tokenizer.vocab), tokenizer=tokenizer)
