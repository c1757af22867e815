"""The next-token language model: Embedding 64, LSTM 128, Dense to the vocabulary."""

from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.lstm.config import Config
from parity.reference.twins import twins


def pair(tokenizer: Tokenizer) -> Pair:
    """The LSTM pair over a tokenizer's vocabulary."""
    config = Config(vocab=tokenizer.vocab)
    return Pair("lstm", **twins(__name__, "LanguageModel", config), tokenizer=tokenizer)
