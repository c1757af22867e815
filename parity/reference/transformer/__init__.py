"""The next-token language model: learned positions, two blocks of causal attention and MLP, LayerNorm before each."""

from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.transformer.config import Config
from parity.reference.twins import twins


def pair(tokenizer: Tokenizer) -> Pair:
    """The transformer pair over a tokenizer's vocabulary."""
    config = Config(vocab=tokenizer.vocab)
    models = twins(__name__, "LanguageModel", config)
    return Pair("transformer", **models, tokenizer=tokenizer, length=config.length)
