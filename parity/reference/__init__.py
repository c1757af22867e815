"""Twin models to learn from and to test the instrument on: one folder each, config.py torch.py tensorflow.py.

Read a folder's torch.py beside its tensorflow.py: `diff` shows just what the frameworks do differently. Every size is
distinct and no weight is square, so that no transposition can hide.

    lstm, gru, transformer, conv      next-token models; `twins` builds both sides of one from its folder
    stack         random architectures of many kinds of layers
    demo          a small pair with a fault, for `parity demo`
    train         trains a reference pair, for `parity train`
"""

from parity.errors import ParityError
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference import conv, demo, gru, lstm, transformer

PAIRS = {"lstm": lstm.pair, "gru": gru.pair, "transformer": transformer.pair, "conv": conv.pair}


def pair(name: str, tokenizer: Tokenizer | None = None) -> Pair:
    """A reference pair by name, over `tokenizer` or the 64,000-piece specimen; or that of `parity demo`."""
    if name == demo.NAME:
        return demo.pair()
    if name not in PAIRS:
        raise ParityError(f"unknown reference pair {name!r}; available: {', '.join(PAIRS)}")
    return PAIRS[name](tokenizer or Tokenizer.load(fixture("tokenizer/stdlib-64000.model")))
