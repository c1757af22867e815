"""Random twins: a stack of layers, drawn as a value, and both of its sides built from it."""

from functools import partial

from parity.dtypes import Module
from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.stack.config import Stack


def pair(stack: Stack, tokenizer: Tokenizer) -> Pair:
    """A stack's twins, over a tokenizer's vocabulary."""
    arguments = stack, tokenizer.vocab
    return Pair(
        "stack", torch=partial(_torch, *arguments), tensorflow=partial(_tensorflow, *arguments), tokenizer=tokenizer
    )


def _torch(stack: Stack, vocab: int) -> Module:
    from parity.reference.stack.torch import Stacked

    return Stacked(stack, vocab)


def _tensorflow(stack: Stack, vocab: int) -> Module:
    from parity.reference.stack.tensorflow import Stacked

    return Stacked(stack, vocab)
