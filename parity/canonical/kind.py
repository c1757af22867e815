"""Layer kinds: the canonical names and axes of their parameters.

To add one is an entry of `KINDS` here, its formula in `formulas`, and how each framework holds it in
`backends/*/layers.py`; `docs/adding.md` shows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A layer's canonical type: the parameters that it may have, each with its axes, in transfer order.

    An axis' name says what it counts: "out" and "in" of a product, "time", "height" and "width" of a kernel, or an axis
    that stacks several things ("gates", "part"), whose order a comment at the kind says.
    """

    name: str
    axes: Mapping[str, tuple[str, ...]]


def _recurrent(name: str, rows: str, bias: tuple[str, ...], *places: str) -> Kind:
    """A recurrent kind whose kernels have rows of this name: "gates" of several stacked, or "out" of a plain cell.

    `places` are the last axes of a kernel that is a convolution's.
    """
    kernels = {"input_kernel": (rows, "in", *places), "recurrent_kernel": (rows, "units", *places)}
    return Kind(name, {**kernels, "bias": bias})


def _kernel(name: str, *axes: str) -> Kind:
    """A kind of one kernel with these axes, and a bias for each output."""
    return Kind(name, {"kernel": axes, "bias": ("out",)})


NORM = {"gain": ("width",), "bias": ("width",)}

SPLIT = ("heads", "head_width", "in")  # the axes of an attention's query, key or value kernel

KINDS = {
    kind.name: kind
    for kind in (
        Kind("embedding", {"table": ("vocab", "width")}),
        _kernel("dense", "out", "in"),
        # "gates" stacks input, forget, cell and output, in this order: 4 * units rows.
        _recurrent("lstm", "gates", ("gates",)),
        # "gates" stacks reset, update and new: 3 * units rows. Of the biases the first acts on the
        # input's part and the second on the state's; the new gate's second one is behind the reset
        # gate, so they are not a sum.
        _recurrent("gru", "gates", ("part", "gates")),
        _recurrent("rnn", "out", ("out",)),
        # Keras alone has these, with the gates of an LSTM; elsewhere they are written by convolutions.
        _recurrent("conv_lstm1d", "gates", ("gates",), "time"),
        _recurrent("conv_lstm2d", "gates", ("gates",), "height", "width"),
        _recurrent("conv_lstm3d", "gates", ("gates",), "depth", "height", "width"),
        # "in" is a group's, where channels are in groups; a depthwise one has as many groups as channels.
        _kernel("conv1d", "out", "in", "time"),
        _kernel("conv2d", "out", "in", "height", "width"),
        _kernel("conv3d", "out", "in", "depth", "height", "width"),
        _kernel("conv1d_transposed", "in", "out", "time"),
        _kernel("conv2d_transposed", "in", "out", "height", "width"),
        _kernel("conv3d_transposed", "in", "out", "depth", "height", "width"),
        Kind("layer_norm", NORM),
        Kind("rms_norm", {"gain": ("width",)}),
        Kind("group_norm", NORM),
        # The mean and the variance are what evaluation divides by; nothing trains them.
        Kind("batch_norm", {**NORM, "mean": ("width",), "variance": ("width",)}),
        # "part" stacks query, key and value, whose kernels are apart where their inputs are of other widths.
        Kind(
            "attention",
            {
                "input_kernel": ("part", *SPLIT),
                **dict.fromkeys(("query_kernel", "key_kernel", "value_kernel"), SPLIT),
                "input_bias": ("part", "heads", "head_width"),
                "output_kernel": ("out", "from_heads", "from_width"),
                "output_bias": ("out",),
            },
        ),
        Kind("prelu", {"slope": ("width",)}),
    )
}

# Axes along which a kernel's outputs lie; its fan-in is the size of all others.
OUTPUTS = {"vocab", "out", "gates", "part", "heads", "head_width"}
