"""One precision in torch. Line for line beside tensorflow.py."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Everything built inside is of this dtype; the setting is restored behind it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)
