"""The transformer's dimensions. All differ, so that no wrong axis or transposition can hide."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Dimensions of the transformer language model; both frameworks' builders take one."""

    vocab: int  # pieces of the tokenizer
    length: int = 40  # positions, so ids in a text at most
    width: int = 48  # of a token's embedding, and of what runs through the blocks
    blocks: int = 2
    heads: int = 3
    head_width: int = 20  # the heads together are 60 wide, not `width`: no projection is square
    inner: int = 112  # of the MLP
