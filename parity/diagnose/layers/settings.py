"""Hyper-parameters that stand otherwise on the two sides, each given the other side's value in turn.

Only this runs a layer of either side again: it reaches what no operation of torch's has, as Keras's mask_zero.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from parity.canonical.formulas import FORMULAS, layer
from parity.compare.square import NAMES
from parity.diagnose import Cause
from parity.diagnose.constants import told
from parity.diagnose.locate.segment import Segment
from parity.diagnose.search import apart, gap, holds, needed
from parity.dtypes import Array
from parity.errors import ParityError

# A setting's canonical name -> the cause.
SETTINGS = {
    "epsilon": "epsilon",
    "groups": "groups",
    "activation": "activation",
    "recurrent_activation": "activation",
    "slope": "slope",
    "reset_after": "reset_after",
    "mask_zero": "mask of the inputs",
    "padding": "padding",
    "stride": "stride",
    "dilation": "dilation",
    "go_backwards": "time shift",
    "stateful": "state kept",
    "dropout": "dropout",
}
# What a side has by mistake, not by choice: the fix is to leave it off.
OFF = ("mask_zero", "go_backwards", "stateful", "dropout")
KERAS = {
    "embedding": "Embedding",
    "dense": "Dense",
    "lstm": "LSTM",
    "gru": "GRU",
    "rnn": "SimpleRNN",
    **{f"conv{d}d": f"Conv{d}D" for d in (1, 2, 3)},
    **{f"conv{d}d_transposed": f"Conv{d}DTranspose" for d in (1, 2, 3)},
    "layer_norm": "LayerNormalization",
    "rms_norm": "RMSNormalization",
    "batch_norm": "BatchNormalization",
    "group_norm": "GroupNormalization",
    "attention": "MultiHeadAttention",
}
ARGUMENTS = {"stride": "strides", "dilation": "dilation_rate", "slope": "negative_slope"}


def settings(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Explain a layer by the settings that differ: those that close the gap alone, or else the fewest together.

    Where none do, says what each one alone leaves of the difference.
    """
    names = differing(segment)
    before, left = apart(segment), {name: _left(segment, [name]) for name in names}
    closing = [name for name in names if holds(segment, partial(_left, names=[name]))]
    if closing:
        return [caused(segment, name, before, left[name]) for name in closing], []
    if len(names) > 1 and holds(segment, partial(_left, names=names)):
        names = needed(names, lambda fewer: holds(segment, partial(_left, names=fewer)))
        without = {name: _left(segment, [other for other in names if other != name]) for name in names}
        return [caused(segment, name, without[name], _left(segment, names)) for name in names], []
    known = [ARGUMENTS.get(name, name) for name in SETTINGS if all(name in side for side in segment.settings)]
    alike = [f"equal settings: {', '.join(known)}"] if known else []
    return [], [f"{_both(segment, name)}: made equal, {left[name]:.1e} is left" for name in names] or alike


def differing(segment: Segment) -> list[str]:
    """The settings of a known meaning that the sides have different values of."""
    ours, theirs = segment.settings
    return [name for name in SETTINGS if name in ours and name in theirs and ours[name] != theirs[name]]


def _left(segment: Segment, names: list[str]) -> float:
    """The difference with these settings made equal: on TensorFlow's side, or else on torch's."""
    left = [float("inf")]
    # TensorFlow's side first: the fix is told for it.
    for place in (1, 0):
        values = {name: segment.settings[1 - place][name] for name in names}
        outputs = run(segment, place, settings=values)
        if outputs is None:
            outputs = _by_formula(segment, place, values)
        elif not repeats(segment, place, {"dropout", "stateful"} & {*names}):
            continue
        left += [] if outputs is None else [gap(outputs, segment.found[1 - place])]
    return min(left)


def computed(segment: Segment, place: int, weights: Mapping[str, Array] = {}, **options: Any) -> Array | None:
    """A side's output by the layer's formula, with its own settings and weights but for these; None without one."""
    if segment.kind not in FORMULAS:
        return None
    settings = {**segment.settings[place], **options}
    return layer(segment.kind, segment.given["input"], {**segment.weights, **weights}, settings)


def _by_formula(segment: Segment, place: int, values: Mapping[str, Any]) -> Array | None:
    """A side's output with other settings by the layer's formula, where that gives what the side made with its own."""
    own = computed(segment, place)
    right = own is not None and gap(own, segment.found[place]) <= segment.limit
    return computed(segment, place, **values) if right else None


def repeats(segment: Segment, place: int, restless: Collection[str] = ()) -> bool:
    """Whether a side run again makes what it made: else what is run is not what differs, and proves nothing.

    A layer that is restless makes something else each time, but not what the other side made.
    """
    outputs = run(segment, place)
    if outputs is None:
        return False
    if restless:
        return gap(outputs, segment.found[1 - place]) > segment.limit
    return gap(outputs, segment.found[place]) <= segment.limit


def run(segment: Segment, place: int, **changes: Mapping[str, Any]) -> Array | None:
    """A side's output with other settings or weights, by the layer itself; None where it cannot have them."""
    if segment.again is None:
        return None
    try:
        return segment.again(segment.sides[place], **changes)
    except (ParityError, ValueError):  # a value that this side cannot have
        return None


def _both(segment: Segment, name: str) -> str:
    ours, theirs = (told(side[name]) for side in segment.settings)
    return f"torch {name} {ours}, tensorflow {name} {theirs}"


def caused(segment: Segment, name: str, before: float, after: float) -> Cause:
    """A setting that differs, with the argument in the words of the framework in which it is to be changed."""
    ours, theirs = (side[name] for side in segment.settings)
    argument = ARGUMENTS.get(name, name)
    layer = f"{KERAS.get(segment.kind, segment.kind)} {segment.path}"
    if segment.sides != NAMES:  # classes and arguments may be either framework's
        layer, argument = f"{segment.path} of {segment.sides[1]}", name
    fix = f"{argument}={told(ours)} in {layer}"
    if name in OFF and ours and not theirs:
        fix = "model.eval() in torch" if name == "dropout" else f"{argument}={told(theirs)} in torch's {segment.path}"
    cause = (
        "slope" if name == "activation" and all("leaky" in str(value) for value in (ours, theirs)) else SETTINGS[name]
    )
    return Cause(cause, segment.path, _both(segment, name), fix, before, after)
