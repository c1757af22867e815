"""Faults in lines of code: what a step of a model does, written otherwise on one side; and the same as a twin.

The lines are those of `parity.selftest.faults.pairs.code`: one function on both sides, of which one calls it otherwise.
A model of these pairs has one such step between its layers, `code`: the function's name and its options. No layer of
the pair is wrong, so that the place is the code between layers, "", but where a layer is in the step.

`pairs.terms` has more steps: terms, masks, orders of operations. `pairs.otherwise` has torch's of `pairs.code` by other
operations, for the twins, which no check may flag.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from parity.dtypes import Module
from parity.selftest.faults.fault import Alter, BenignTwin, Fault

Options = Mapping[str, Any]


def writing(name: str, options: Options) -> Alter:
    """The model's own step is this function, called with these."""

    def plant(model: Module) -> None:
        assert model.code is not None  # the model reads its step from there
        model.code = [name, dict(options)]

    return plant


def own(
    pair: str, name: str, step: str, torch: Options, tensorflow: Options, cause: str, where: str = "", also: str = ""
) -> Fault:
    """A fault in a step that both sides have by one name, called with other options on each: `torch` and `tensorflow`.

    Options that are empty are the defaults of the function, which compute the same on both sides. `also` is a cause as
    true as the other.
    """
    ours, theirs = writing(step, torch), writing(step, tensorflow)
    others = (also,) if also else ()
    return Fault(name, pair, ours, theirs, check="forward", where=where, cause=cause, also=others)


def alike(pair: str, name: str, step: str) -> BenignTwin:
    """torch has the step by other operations."""
    return BenignTwin(name, pair, writing(f"otherwise.{step}", {}), writing(step, {}))


picture, series, reader = (partial(own, pair) for pair in ("picture", "series", "reader"))
ARGUMENT, ORDER, EXTRA, OPERAND, OPERATION = "argument", "order", "extra operation", "operand", "operation"
LAYOUT = "flatten order"
MORE: Options = {}
FAULTS: tuple[Fault, ...] = (
    # Pooling and resizing. An odd size shows ceil_mode (https://github.com/PINTO0309/onnx2tf/issues/207), a smaller one
    # whether a library smooths first (https://github.com/mindee/doctr/issues/402).
    picture("a last row that is not pooled", "max_pooled", {"ceil_mode": True}, MORE, ARGUMENT),
    picture("another stride of a pooling", "max_pooled", {"kernel": 3, "stride": 1}, {"kernel": 3}, ARGUMENT),
    picture("padding counted in a mean of neighbours", "mean_pooled", {"counted": True}, MORE, ARGUMENT),
    picture("the mean of neighbours for their maximum", "strongest", {"mean": True}, MORE, OPERATION),
    picture("another rounding of nearest neighbours", "resized", {"mode": "nearest"}, {"method": "nearest"}, ARGUMENT),
    picture("nearest neighbours for a bilinear resizing", "resized", MORE, {"method": "nearest"}, ARGUMENT),
    picture("corners aligned in a resizing", "resized", {"align_corners": True}, MORE, ARGUMENT),
    picture("smoothed before it is made smaller", "resized", MORE, {"antialias": True}, ARGUMENT),
    picture("pictures beside each other for larger ones", "doubled", {"tiled": True}, MORE, ORDER),
    picture("the mean of a channel for its maximum", "with_peaks", {"mean": True}, MORE, OPERATION),
    # Padding and slices: torch names pads from the last axis on, TensorFlow from the first; what a transposed
    # convolution has too much is cut from one end (https://github.com/PINTO0309/onnx2tf/issues/56). Channels are dealt
    # out to groups or from them (https://github.com/megvii-model/ShuffleNet-Series/issues/17).
    picture("reflected for a padding of zeros", "padded", {"mode": "reflect"}, MORE, ARGUMENT),
    picture("the edge doubled for reflected", "padded", {"mode": "reflect"}, {"mode": "SYMMETRIC"}, ARGUMENT),
    picture("rows padded as columns", "padded", {"pad": (1, 1, 2, 2)}, MORE, ARGUMENT),
    picture(
        "padding at the other end", "padded", {"pad": (0, 2, 0, 1)}, {"rows": (1, 0), "columns": (2, 0)}, "padding"
    ),
    picture("padded by ones", "padded", {"value": 1.0}, MORE, ARGUMENT),
    picture("cropped one row further", "cropped", MORE, {"start": 0, "end": 8}, ARGUMENT),
    picture("the odd rows for the even", "every_second", MORE, {"start": 1}, ARGUMENT),
    picture("upside down for the other way round", "flipped", {"axis": 2}, MORE, ARGUMENT),
    picture("rows for columns", "turned", MORE, {"turn": False}, EXTRA, also=ORDER),
    picture("two halves in each other's place", "halves_joined", {"first": 1}, MORE, OPERAND),
    picture("the gate for what it lets pass", "gated", MORE, {"gate": 0}, ORDER),
    # another shape of a reshape is another order of what it lays out
    picture("channels dealt out by the other number", "dealt", MORE, {"groups": 3}, ARGUMENT, also=LAYOUT),
    # the filter is an operand, which is told to be reversed
    picture("a filter turned round", "edges", MORE, {"turned": True}, ORDER, also=OPERAND),
    # Norms and functions: the statistics are over other axes (https://github.com/keras-team/keras/issues/16507), a
    # default is another.
    picture("the variance of a sample", "normed", {"unbiased": True}, MORE, "variance"),
    picture("a larger epsilon in a norm of one's own", "normed", MORE, {"epsilon": 1e-3}, "epsilon"),
    picture("a norm over the channels, too", "normed", MORE, {"axes": (1, 2, 3)}, ARGUMENT),
    picture("centred over all channels at once", "centred", {"axes": (1, 2, 3)}, MORE, ARGUMENT),
    picture("of length one along the rows", "of_length_one", {"axis": 2}, MORE, ARGUMENT),
    picture("shares of a row for those of the channels", "shares", {"axis": -1}, MORE, "softmax axis"),
    picture("another bound", "clipped", {"bound": 0.5}, MORE, "clipped"),
    picture("another slope of one's own", "leaky", {"slope": 0.01}, MORE, "slope"),
    picture("another exponent", "brighter", MORE, {"gamma": 2.0}, ARGUMENT),
    picture("pixels that are not shifted", "centred_pixels", MORE, {"shift": False}, "offset"),
    picture("rounded down", "in_steps", MORE, {"down": True}, OPERATION),
    picture("a step in float16", "in_half", {"half": True}, MORE, "lower precision"),
    # Positions and attention: sines and cosines in halves or in turn
    # (https://github.com/tensorflow/tensor2tensor/issues/1423), rotated pairs
    # (https://github.com/huggingface/transformers/issues/25199), a bias that all rounds share and the port adds once
    # (https://github.com/huggingface/transformers/issues/10221).
    series("waves that begin at one", "with_positions", {"start": 1}, MORE, "offset"),
    series("waves of another base", "with_positions", {"base": 1e3}, MORE, ARGUMENT),
    # the axis along which two are stacked is how they lie once it is flattened
    series("sine and cosine in turn", "with_positions", MORE, {"paired": True}, ARGUMENT, also=LAYOUT),
    series("pairs turned that are no neighbours", "rotated", {"paired": True}, MORE, ARGUMENT, also="rotary halves"),
    series("another scale of one's own scores", "attended", {"scale": 12**-0.5}, {"scale": 0.5}, "attention scale"),
    series("the place itself hidden", "attended", {"diagonal": 0}, MORE, "mask offset"),
    series("what is seen hidden", "attended", MORE, {"hidden": False}, OPERAND),
    series("shares over the other axis", "attended", {"axis": -2}, MORE, "softmax axis"),
    series("heads dealt out in lines of code", "in_heads", MORE, {"heads_first": False}, "head split"),
    # an addition that is missing, whatever is added
    series("a shared bias in the first round alone", "biased_twice", MORE, {"rounds": (0,)}, "residual", also="offset"),
    series("another epsilon three times", "normed_thrice", {"epsilon": 1e-5}, MORE, "epsilon"),
    # sums, slices and terms along time
    series("summed from the end", "summed", {"backwards": True}, MORE, EXTRA),
    series("rolled the other way", "rolled", {"by": -1}, MORE, "time shift"),
    series("two steps back", "before", MORE, {"by": 2}, ARGUMENT),
    series("the first for the last", "with_last", {"place": 0}, MORE, ARGUMENT),
    series("the inverse of a permutation", "reordered", {"order": (1, 3, 5, 0, 6, 4, 2)}, MORE, ORDER),
    series("scores that are not cooled", "weighed", MORE, {"heat": 1.0}, "scale"),
    series("squared distances", "distances", MORE, {"root": False}, EXTRA),
    series("a mean that is not squared", "spread", {"squared": False}, MORE, OPERAND),
    series("a product the other way round", "related", MORE, {"equation": "btc,bsc->bst"}, ORDER),
    series("a residual that is dropped", "with_residual", {"residual": False}, MORE, "residual"),
    series("a residual not by half", "with_residual", {"factor": 0.5}, MORE, "scale"),
    series("another share of a mixture", "mixed", {"share": 0.25}, MORE, "scale"),
    series("the loudest of all times", "loudest", {"axis": 1}, MORE, ARGUMENT),
    # Ids with padding, packed or masked (https://github.com/kermitt2/delft/pull/231), and states of two directions
    # (https://github.com/spro/practical-pytorch/issues/81).
    reader("padding read by a recurrence", "read", {"packed": False}, MORE, "mask missing", "encoder"),
    reader("no mask for a recurrence", "read", MORE, {"masked": False}, "mask missing"),
    reader("the states of two directions exchanged", "read", {"backward_first": True}, MORE, ORDER, "head"),
    reader("padding counted in a mean of states", "mean_read", {"counted": True}, MORE, "mask missing"),
    # Terms, masks, orders of operations. A deviation for a variance, as of a VAE whose half is missing, is
    # https://github.com/alecGraves/BVAE-tf/issues/7
    picture("cut behind the pooling", "terms.pooled_and_cut", {"cut_first": False}, MORE, "activation"),
    picture("cubic for linear", "terms.resized", {"mode": "bicubic"}, MORE, ARGUMENT),
    picture("places from zero to one", "terms.with_places", MORE, {"centred": False}, EXTRA),
    picture("shares that are not softened", "terms.weighed_channels", MORE, {"softened": False}, "activation"),
    picture("another number of groups of one's own", "terms.by_groups", {"groups": 2}, MORE, "groups"),
    picture("another power inside a root", "terms.crossed", {"power": 4}, MORE, ARGUMENT),
    picture("the variance for the deviation", "terms.deviation", MORE, {"root": False}, EXTRA),
    # scores without the bias are symmetric: of the other sign it is the other way round
    series("a bias by distance of the other sign", "terms.by_distance", MORE, {"sign": -1}, ARGUMENT, also=ORDER),
    series("a bias by distance of another slope", "terms.by_distance", {"slope": 0.25}, MORE, "scale"),
    series("a wider window", "terms.in_a_window", {"width": 3}, MORE, "mask window"),
    series("the norm behind the sum in own code", "terms.normed_before", MORE, {"before": False}, "norm placement"),
    series("the share and its rest exchanged", "terms.smoothed", {"share": 0.1}, MORE, "scale"),
    series("differences the other way round", "terms.differences", MORE, {"forward": False}, ORDER),
    series("what is to come seen by a convolution", "terms.causal", {"left": 1, "right": 1}, MORE, "padding"),
    series("inputs that are not enlarged", "terms.enlarged", MORE, {"factor": 1.0}, "scale"),
    series("the other branch made smaller", "terms.scaled_branch", {"branch": False}, MORE, OPERAND),
    series("a logarithm of one more", "terms.logarithm", MORE, {"one": False}, OPERATION),
    series("progress by the count", "terms.progress", {"last": 7}, MORE, "scale"),
    series("another number of heads of one's own", "terms.counted_heads", {"heads": 4}, MORE, "head split"),
    reader("padding in a maximum of states", "terms.largest", {"hidden": False}, MORE, "mask missing"),
    reader("the last place for the last word", "terms.last_read", {"valid": False}, MORE, "positions"),
    reader("padding in a sum of states", "terms.summed_read", MORE, {"mask": False}, "mask missing"),
)
TWINS: tuple[BenignTwin, ...] = (
    alike("picture", "pooling by windows", "max_pooled"),
    alike("picture", "a mean of neighbours as a convolution", "mean_pooled"),
    alike("picture", "rows and columns doubled by resizing", "doubled"),
    alike("picture", "padding by concatenation", "padded"),
    alike("picture", "a gated unit of torch's own", "gated"),
    alike("picture", "channels dealt out by an index", "dealt"),
    alike("picture", "a convolution as a product", "edges"),
    alike("picture", "a norm of one's own as a layer's", "normed"),
    alike("picture", "centred with the channels last", "centred"),
    alike("series", "one's own attention by the fused kernel", "attended"),
    alike("series", "heads by einsum", "in_heads"),
    alike("series", "a bias in the product's own call", "biased_twice"),
    alike("series", "a norm by the length", "normed_thrice"),
    alike("series", "a running sum as a product", "summed"),
    alike("series", "a softmax by logarithms", "weighed"),
    alike("series", "distances of torch's own", "distances"),
    alike("series", "einsum as a product", "related"),
    alike("series", "a mixture by interpolation", "mixed"),
)
