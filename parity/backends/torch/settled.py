"""What torch has settled before any operation."""

import torch


def prepare() -> str:
    """As `Backend.prepare`."""
    torch.set_num_threads(1)
    return ""
