"""The next-token language model: Embedding 44, two causal convolutions over 3 tokens, Dense to the vocabulary."""

from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.conv.config import Config
from parity.reference.twins import twins


def pair(tokenizer: Tokenizer) -> Pair:
    """The convolution pair over a tokenizer's vocabulary."""
    config = Config(vocab=tokenizer.vocab)
    return Pair("conv", **twins(__name__, "LanguageModel", config), tokenizer=tokenizer)
