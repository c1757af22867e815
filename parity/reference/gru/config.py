"""The GRU language model's dimensions. All differ, so that no wrong axis or transposition can hide."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Dimensions of the GRU language model; both frameworks' builders take one."""

    vocab: int  # pieces of the tokenizer
    width: int = 56  # of a token's embedding
    units: int = 104  # of the GRU's state
