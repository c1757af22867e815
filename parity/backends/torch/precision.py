"""One precision in torch. Line for line beside tensorflow.py."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Build or run everything inside in this dtype, attention by its formula; settings are restored behind it."""
    before, fast = torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled()
    torch.set_default_dtype(getattr(torch, dtype))
    torch.backends.mha.set_fastpath_enabled(False)  # one kernel for a whole transformer layer: an exported one has none
    try:
        with contextlib.ExitStack() as stack, sdpa_kernel(SDPBackend.MATH):
            for owner, name, patch in PATCHES.get(dtype, ()):
                kept = getattr(owner, name)
                stack.callback(setattr, owner, name, kept)
                setattr(owner, name, patch(kept))
            yield
    finally:
        torch.set_default_dtype(before)
        torch.backends.mha.set_fastpath_enabled(fast)


def _hard_sigmoid(_: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel of its derivative holds 1 / 6 as a float32, in float64 too: 5e-9 off.

    https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/cpu/Activation.cpp
    """
    return lambda x: nn.functional.relu6(x + 3) / 6


def _hard_sigmoid_in_place(_: Callable[..., Any]) -> Callable[..., Any]:
    """As `_hard_sigmoid`, of the form that writes its argument."""
    return lambda x: nn.functional.relu6(x.add_(3), inplace=True).div_(6)


# dtype -> what a library does less exactly in it than the dtype can: (where it stands, its name, what makes another).
PATCHES: dict[str, tuple[tuple[Any, str, Callable[..., Any]], ...]] = {
    "float64": (
        (torch._C._nn, "hardsigmoid", _hard_sigmoid),
        (torch._C._nn, "hardsigmoid_", _hard_sigmoid_in_place),
    ),
}
