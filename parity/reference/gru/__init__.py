"""The next-token language model: Embedding 56, GRU 104, Dense to the vocabulary."""

from functools import partial

from parity.dtypes import Module
from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.gru.config import Config


def pair(tokenizer: Tokenizer) -> Pair:
    """The GRU pair over a tokenizer's vocabulary."""
    config = Config(vocab=tokenizer.vocab)
    return Pair("gru", torch=partial(_torch, config), tensorflow=partial(_tensorflow, config), tokenizer=tokenizer)


def _torch(config: Config) -> Module:
    from parity.reference.gru.torch import LanguageModel

    return LanguageModel(config)


def _tensorflow(config: Config) -> Module:
    from parity.reference.gru.tensorflow import LanguageModel

    return LanguageModel(config)
