"""One precision in torch.

Line for line beside `parity/backends/tensorflow/precision.py`.
"""

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
                original = getattr(owner, name)
                stack.callback(setattr, owner, name, original)
                setattr(owner, name, patch(original))
            yield
    finally:
        torch.set_default_dtype(before)
        torch.backends.mha.set_fastpath_enabled(fast)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Inside, runs in other precisions may begin and end in any order; behind it, the settings are as they were."""
    dtype, fast = torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled()
    kernels = [(put, have()) for have, put in KERNELS]
    patched = [(owner, name, getattr(owner, name)) for owner, name in PATCHED]
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.backends.mha.set_fastpath_enabled(fast)
        for put, on in kernels:
            put(on)
        for owner, name, was in patched:
            setattr(owner, name, was)


# What `sdpa_kernel` switches: (whether it is on, how to switch it).
KERNELS: tuple[tuple[Callable[[], bool], Callable[[bool], None]], ...] = (
    (torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.enable_flash_sdp),
    (torch.backends.cuda.mem_efficient_sdp_enabled, torch.backends.cuda.enable_mem_efficient_sdp),
    (torch.backends.cuda.math_sdp_enabled, torch.backends.cuda.enable_math_sdp),
    (torch.backends.cuda.cudnn_sdp_enabled, torch.backends.cuda.enable_cudnn_sdp),
)


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
# All that a run may patch, where it stands and its name; `torch.tensor` by promotion.
PATCHED: tuple[tuple[Any, str], ...] = (
    *((owner, name) for patches in PATCHES.values() for owner, name, _ in patches),
    (torch, "tensor"),
)
