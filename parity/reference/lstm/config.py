"""The LSTM language model's dimensions. All differ, so that no wrong axis or transposition can hide."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Dimensions of the LSTM language model; both frameworks' builders take one."""

    vocab: int  # pieces of the tokenizer
    width: int = 64  # of a token's embedding
    units: int = 128  # of the LSTM's state
