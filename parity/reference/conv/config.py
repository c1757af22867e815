"""The convolutions' dimensions. All differ, so that no wrong axis or transposition can hide."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Dimensions of the convolutional language model; both frameworks' builders take one."""

    vocab: int  # pieces of the tokenizer
    width: int = 44  # of a token's embedding
    inner: int = 92  # channels between the two convolutions
    outer: int = 76  # channels after them
    kernel: int = 3  # tokens that a convolution sees: its own and those before it
