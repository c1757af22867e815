"""The next-token language model: Embedding 44, two causal convolutions over 3 tokens, Dense to the vocabulary."""

from functools import partial

from parity.dtypes import Module
from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.conv.config import Config


def pair(tokenizer: Tokenizer) -> Pair:
    """The convolution pair over a tokenizer's vocabulary."""
    config = Config(vocab=tokenizer.vocab)
    return Pair("conv", torch=partial(_torch, config), tensorflow=partial(_tensorflow, config), tokenizer=tokenizer)


def _torch(config: Config) -> Module:
    from parity.reference.conv.torch import LanguageModel

    return LanguageModel(config)


def _tensorflow(config: Config) -> Module:
    from parity.reference.conv.tensorflow import LanguageModel

    return LanguageModel(config)
