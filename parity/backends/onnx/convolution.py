"""A convolution by NumPy's windows: the reference implementation copies each number in a loop, a second a layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from parity.dtypes import Array


class Conv(OpRun):
    """ONNX's Conv of any rank, in the precision of its operands: https://onnx.ai/onnx/operators/onnx__Conv.html"""

    op_domain = ""

    def _run(
        self,
        x: Array,
        kernel: Array,
        bias: Array | None = None,
        auto_pad: str = "NOTSET",
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,  # noqa: ARG002 the kernel has it
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        # x (batch, channels, *sizes), kernel (filters, channels / group, *sizes) -> (batch, filters, *sizes)
        rank = x.ndim - 2
        steps, gaps = strides or [1] * rank, dilations or [1] * rank
        spans = [gap * (size - 1) + 1 for gap, size in zip(gaps, kernel.shape[2:], strict=True)]
        ends = _pads(auto_pad, x.shape[2:], spans, steps, pads or [0] * 2 * rank)
        padded = np.pad(x, [(0, 0), (0, 0), *ends])
        axes = tuple(range(2, 2 + rank))
        windows: Any = np.lib.stride_tricks.sliding_window_view(padded, spans, axes)
        every = slice(None)
        # (batch, channels, *positions, *spans): every step-th position, and every gap-th number of its span.
        windows = windows[(every, every, *(slice(None, None, n) for n in (*steps, *gaps)))]
        outputs = [
            np.tensordot(part, weights, ((1, *range(2 + rank, 2 + 2 * rank)), tuple(range(1, 2 + rank))))
            for part, weights in zip(np.split(windows, group, 1), np.split(kernel, group), strict=True)
        ]
        result = np.moveaxis(np.concatenate(outputs, -1), -1, 1)
        return (result if bias is None else result + bias.reshape(-1, *[1] * rank),)


def _pads(
    way: str, sizes: Sequence[int], spans: Sequence[int], steps: Sequence[int], pads: Sequence[int]
) -> list[tuple[int, int]]:
    """How many zeros to put before and behind each axis, by auto_pad; SAME_UPPER puts the odd one behind."""
    if way in ("NOTSET", ""):
        return [*zip(pads[: len(sizes)], pads[len(sizes) :], strict=True)]
    amounts = []
    for size, span, step in zip(sizes, spans, steps, strict=True):
        whole = 0 if way == "VALID" else max(0, (-(-size // step) - 1) * step + span - size)
        less = whole // 2
        amounts.append((less, whole - less) if way != "SAME_LOWER" else (whole - less, less))
    return amounts
