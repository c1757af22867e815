"""The next-token language model: learned positions, two blocks of causal attention and MLP, LayerNorm before each."""

from functools import partial

from parity.dtypes import Module
from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.transformer.config import Config


def pair(tokenizer: Tokenizer) -> Pair:
    """The transformer pair over a tokenizer's vocabulary."""
    config = Config(vocab=tokenizer.vocab)
    torch, tensorflow = partial(_torch, config), partial(_tensorflow, config)
    return Pair("transformer", torch, tensorflow, tokenizer, length=config.length)


def _torch(config: Config) -> Module:
    from parity.reference.transformer.torch import LanguageModel

    return LanguageModel(config)


def _tensorflow(config: Config) -> Module:
    from parity.reference.transformer.tensorflow import LanguageModel

    return LanguageModel(config)
