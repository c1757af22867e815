"""Does a model run as the corner it was built for: takes every id, gives its dtype, computes in float64?

A model that computes a part in float32 gives float64 arrays all the same, and then the lower edge of the square would
hold rounding that `judge` takes for a bug. So it is found by moving each parameter by 2^-36 of itself: less than
float32 can see (2^-23), far more than float64's rounding (2^-52). In float64 the outputs, and a loss that is the pair's
own, follow, in proportion to what a larger move does; behind an operation that computes in float32 whatever it is given
they stand still, or jump by one of its units.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optree

from parity.backends.nesting import described
from parity.backends.protocol import BackendModel
from parity.canonical.weights import Each
from parity.dtypes import Array, Inputs, transport_dtype
from parity.errors import ParityError, reason, users_own
from parity.inputs.arrays import ADAPT, accept, like

# 2^-36 is far below float32's spacing (2^-23) and far above float64's (2^-52); the others check proportion.
LARGE, MIDDLE, NEAR, SMALL = -10, -14, -18, -36  # powers of two, of the parameter
LEAST_SEEN = 256 * 2.0**-52  # of an output's scale: what a small move of one parameter has to come to, to tell anything
CALMER = 2.0**-3  # of the weights, under which no function is saturated that the drawn ones saturate
UNSEEN = LEAST_SEEN / 2  # less than what one that stands still takes from a small move of all
UNCAST = "build it without a cast, parity sets the precision"
LEAST = 13  # of a pair's length; `strategies.LENGTH`


def answers(side: str, model: BackendModel, vocab: int, pad: int) -> dict[str, Array]:
    """The logits (1, 2, vocab), by place, of the largest id and of padding.

    Raises ParityError unless the model takes both and gives one tensor of that shape, in its own dtype.
    """
    ids = np.array([[vocab - 1, pad]])
    with users_own(f"the {side} model cannot be called on ids (batch, time) up to {ids.max()}"):
        outputs = model.outputs(ids)
    if list(outputs) != [""]:
        raise ParityError(
            f"the {side} model returns {described(outputs)} for ids (1, 2): select the logits with "
            f'call={{"{side}": function}}'
        )
    logits = outputs[""]
    actual, wanted = f"{logits.shape} {logits.dtype}", transport_dtype(model.dtype)
    if logits.dtype != wanted or logits.ndim != 3 or logits.shape[:2] != (1, 2):
        raise ParityError(f"the {side} model gives {actual} for ids (1, 2), but should give (1, 2, vocab) {wanted}")
    if logits.shape[2] != vocab:
        raise ParityError(f"the {side} model gives {actual} for ids (1, 2), but the tokenizer has {vocab} pieces")
    return outputs


def gives(side: str, model: BackendModel, inputs: Inputs, own_loss: bool) -> dict[str, Array]:
    """Place -> output of the model for inputs of the pair.

    Raises ParityError unless it takes them and gives arrays of as many rows, at least one floating-point, those in its
    own dtype; and, of a float32 model with a loss of its own, unless the loss can be called.
    """
    rows = accept(inputs)
    with users_own(f"the {side} model cannot be called on {like(inputs)}", _advice(model, inputs)):
        outputs = model.outputs(inputs)
    if not any(array.dtype.kind == "f" for array in outputs.values()):
        raise ParityError(f"the {side} model has no floating-point output; there is nothing to compare")
    for place, array in outputs.items():
        if array.shape[:1] not in ((), (rows,)):  # without axes, as a loss beside the rest, it is of all rows
            raise ParityError(
                f"the {side} model gives output{place} {array.shape} for {rows} rows; the first axis of an output "
                "is the batch: give call= to choose or turn it"
            )
        if array.dtype.kind == "f" and array.dtype != transport_dtype(model.dtype):
            wanted = transport_dtype(model.dtype)
            text = f"the {side} model gives output{place} as {array.dtype}"
            raise ParityError(f"{text}, but was built as {wanted}; {UNCAST}")
    if own_loss and model.dtype == "float32":
        with users_own(f"the loss of {side} cannot be called on the model's output and {like(inputs)}"):
            model.loss(inputs, inputs)
    return outputs


def _advice(model: BackendModel, inputs: Inputs) -> str:
    """Advice for a model that cannot be called on inputs: what its builder cast, or how to draw ids for its tables."""
    if not hasattr(model, "layers"):  # one that can only run
        return ADAPT
    values = model.parameters()
    cast = {str(array.dtype) for array in values.values()} - {str(transport_dtype(model.dtype))}
    if cast:
        return f"its builder casts parameters to {', '.join(sorted(cast))}: {UNCAST}"
    tables = {
        layer.path: len(values[f"{layer.path}.table"])
        for layer in model.layers
        if layer.kind == "embedding" and layer.parts
    }
    if not tables:
        return ADAPT
    largest = max(tables, key=tables.__getitem__)
    rows, ids = tables[largest], [array for array in optree.tree_leaves(inputs) if array.dtype.kind in "iu"]
    ways = f"strategies.ids(length, {rows}) or strategies.arrays(..., below={rows})"
    if not ids:
        return f"{largest} is an embedding, which takes ids: draw them by {ways}"
    highest = max(int(array.max()) for array in ids)
    if highest >= rows:
        return f"ids are up to {highest}, and {largest}, the largest table, has {rows} rows: draw them by {ways}"
    return ADAPT


def alike(outputs: Mapping[str, Mapping[str, Array]]) -> None:
    """Raise ParityError unless both sides give arrays in the same places; `outputs` is side -> place -> array."""
    if len({frozenset(arrays) for arrays in outputs.values()}) > 1:
        text = ", ".join(f"{side} returns {described(arrays)}" for side, arrays in outputs.items())
        functions = ", ".join(f'"{side}": function' for side in outputs)
        raise ParityError(f"{text}: select the output to compare with call={{{functions}}}")


def takes(side: str, model: BackendModel, length: int | None) -> None:
    """Raise ParityError unless the model takes `length` ids, and those are enough for every check."""
    if length is None:
        return
    if length < LEAST:
        raise ParityError(f"length is {length}, but the checks draw texts of up to {LEAST} ids")
    with users_own(f"the {side} model cannot be called on {length} ids, the pair's length"):
        model.logits(np.ones((1, length), np.int64))


def narrow(
    model: BackendModel,
    values: Mapping[str, Array],
    tokenizer: Any,
    batch: Callable[[], tuple[Any, Any]],
    own_loss: bool,
) -> tuple[str, str]:
    """Find out whether a float64 model, or its loss, computes in float32 inside: a text for each, "" if it does not.

    `values` are written to its parameters. It is run on ids of the tokenizer or, without one, on the inputs and targets
    that `batch` gives. Only a loss of the user's own is tried: parity's compute in float64 what they are given in it.
    A user's loss that fails in float64 is told by its error.
    """
    if tokenizer:
        ids = np.array([[tokenizer.pad, tokenizer.vocab - 1]])
        return leaks(model, values, {"logits": lambda: model.logits(ids)}).get("logits", ""), ""
    inputs, targets = batch()
    functions, failing = {"output": lambda: floating(model.outputs(inputs))}, ""
    if own_loss:
        try:
            model.loss(inputs, targets)
            for backward in (False, True):
                model.own_loss(inputs, model.outputs(inputs), backward)  # of other outputs, and outside a graph
            functions["loss"] = lambda: model.loss(inputs, targets)
        except Exception as error:  # noqa: BLE001 an operation that has no float64 need not be in the model
            failing = reason(error)
    leaking = leaks(model, values, functions)
    return leaking.get("output", ""), failing or leaking.get("loss", "")


def floating(arrays: Mapping[str, Array]) -> Array:
    """The floating-point arrays, raveled and joined: (n,)."""
    return np.concatenate([array.ravel() for array in arrays.values() if array.dtype.kind == "f"])


def leaks(
    model: BackendModel, values: Mapping[str, Array], outputs: Mapping[str, Callable[[], Array]]
) -> dict[str, str]:
    """Find those of `outputs`, functions by name, that compute in float32 inside: name -> how that shows.

    A parameter tells nothing where its large move hardly shows, or not in proportion to the middle one. All parameters
    are moved together first, each by another factor: what follows exactly has none that stands still, and only the
    others are halved, down to single ones. That takes as many runs for a deep model as for a small one.
    """
    moves = _Moves(model, values, outputs)
    problems: dict[str, str] = {}
    if not moves.repeats:
        return problems  # which the checks find
    for output in filter(moves.finite, outputs):
        name = moves.standing_still(output, list(values))
        if name is not None and _calmly(model, values, outputs[output], name):
            problems[output] = (
                f"it computes in float32 inside, since moving {name} by 2^{SMALL} does not move its {output}"
            )
    return problems


def _calmly(model: BackendModel, values: Mapping[str, Array], output: Callable[[], Array], name: str) -> bool:
    """Whether something stands still under smaller weights, too: this parameter, or another.

    Where all is saturated, a derivative, say, is the rest of numbers that cancel: rounding moves that more than a
    small move does, in float64 as well. What computes in float32 does so under any weights.
    """
    moves = _Moves(model, Each(values, lambda name: CALMER * values[name]), {"": output})
    calm = moves.repeats and moves.finite("")
    still = not calm or any(moves.standing_still("", names) is not None for names in ([name], list(values)))
    model.write(values)
    return still


class _Moves:
    """A model's outputs when its float64 parameters move; they are put back after each move.

    `repeats` says whether two runs without a move give the same bits: without that a move shows nothing.
    """

    def __init__(
        self, model: BackendModel, values: Mapping[str, Array], outputs: Mapping[str, Callable[[], Array]]
    ) -> None:
        self._model, self._outputs = model, outputs
        self._values = Each(values, lambda name: values[name].astype(np.float64, copy=False))
        random = np.random.default_rng(0)
        self._factors = {name: random.choice((-1, 1)) * random.uniform(1, 2) for name in values}
        model.write(self._values)
        self._before = {output: run() for output, run in outputs.items()}
        self._scales = {output: float(np.abs(array).max()) for output, array in self._before.items()}
        self.repeats = all(np.array_equal(run(), self._before[output]) for output, run in outputs.items())
        self._known: dict[tuple[str, ...], dict[str, bool]] = {}

    def finite(self, output: str) -> bool:
        """Whether an output is finite throughout; of others no move tells anything."""
        return bool(np.isfinite(self._scales[output]))

    def standing_still(self, output: str, names: Sequence[str]) -> str | None:
        """The first of these parameters that an output does not follow, if any, found by halving the group."""
        if len(names) == 1:
            return names[0] if self._alone(output, names[0]) else None
        if self._follows(tuple(names))[output]:
            return None
        halves = names[: len(names) // 2], names[len(names) // 2 :]
        return next((name for half in halves if (name := self.standing_still(output, half)) is not None), None)

    def _follows(self, names: tuple[str, ...]) -> dict[str, bool]:
        """Whether each output is moved by a small move of all these as by a middle one, to `UNSEEN` of its scale.

        Both ways, so that what is square in the middle move is no part of it.
        """
        if names not in self._known:
            factors = {name: self._factors[name] for name in names}
            # Half the difference of both ways has no second-order term, which the small move's would be compared with.
            up, down, small = (self._moved(factors, step) for step in (2.0**NEAR, -(2.0**NEAR), 2.0**SMALL))
            self._known[names] = {
                at: bool(
                    np.abs((up[at] - down[at]) * 2.0 ** (SMALL - NEAR - 1) - (small[at] - self._before[at])).max()
                    <= UNSEEN * self._scales[at]
                )
                for at in self._outputs
            }
        return self._known[names]

    def _alone(self, output: str, name: str) -> bool:
        """Whether an output does not follow this one parameter: a small move is out of proportion to a middle one.

        A large move must be in proportion, so that the function is smooth there and proportion means something.
        """
        middle, small = (self._distance(name, 2.0**power)[output] for power in (MIDDLE, SMALL))
        if not _still(middle, small, self._scales[output]):
            return False
        large = self._distance(name, 2.0**LARGE)[output]
        return 0.5 < large * 2.0 ** (MIDDLE - LARGE) / middle < 2

    def _distance(self, name: str, step: float) -> dict[str, float]:
        """The largest change of each output where one parameter is moved."""
        moved = self._moved({name: 1.0}, step)
        return {output: float(np.abs(array - self._before[output]).max()) for output, array in moved.items()}

    def _moved(self, factors: Mapping[str, float], step: float) -> dict[str, Array]:
        """The outputs with each of these parameters multiplied by 1 + factor * step."""
        self._model.write(Each(factors, lambda name: np.asarray(self._values[name] * (1 + factors[name] * step))))
        moved = {output: run() for output, run in self._outputs.items()}
        self._model.write({name: self._values[name] for name in factors})
        return moved


def _still(middle: float, small: float, scale: float) -> bool:
    """Whether the small move's change is off by 16 times or more from what the middle move's predicts.

    False where the prediction is too small to be told from float64's own rounding.
    """
    expected = middle * 2.0 ** (SMALL - MIDDLE)
    return bool(expected > LEAST_SEEN * scale and not expected / 16 < small < expected * 16)
