"""The next-token language model: Embedding 56, GRU 104, Dense to the vocabulary."""

from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.gru.config import Config
from parity.reference.twins import twins


def pair(tokenizer: Tokenizer) -> Pair:
    """The GRU pair over a tokenizer's vocabulary."""
    config = Config(vocab=tokenizer.vocab)
    return Pair("gru", **twins(__name__, "LanguageModel", config), tokenizer=tokenizer)
