"""The next-token language model: Embedding 64, LSTM 128, Dense to the vocabulary."""

from functools import partial

from parity.dtypes import Module
from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.lstm.config import Config


def pair(tokenizer: Tokenizer) -> Pair:
    """The LSTM pair over a tokenizer's vocabulary."""
    config = Config(vocab=tokenizer.vocab)
    return Pair("lstm", torch=partial(_torch, config), tensorflow=partial(_tensorflow, config), tokenizer=tokenizer)


def _torch(config: Config) -> Module:
    from parity.reference.lstm.torch import LanguageModel

    return LanguageModel(config)


def _tensorflow(config: Config) -> Module:
    from parity.reference.lstm.tensorflow import LanguageModel

    return LanguageModel(config)
