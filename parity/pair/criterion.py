"""The losses of a pair's own, given the same outputs: where they differ, they do, and not the models.

A loss of outputs that differ already differs too, and says nothing of itself. So every corner's loss is given one
array, an exact float32 in each of them.
"""

import numpy as np

from parity.backends.protocol import BackendModel
from parity.dtypes import EPS, Array, Inputs, transport_dtype
from parity.pair.answer import Answer
from parity.pair.models import PairModels

Outputs = dict[str, Array]  # place (`nesting.places`) -> array


def outputs_of(corners: PairModels, inputs: Inputs) -> Outputs:
    """One side's outputs in float64, rounded to float32, which every corner can hold."""
    # Rounded to float32, so that the float32 corners hold the very same numbers as the float64 ones.
    exact = next(model for (_, dtype), model in corners.models.items() if dtype == "float64")
    outputs = exact.outputs(inputs).items()
    return {place: array.astype(np.float32) if array.dtype.kind == "f" else array.copy() for place, array in outputs}


def loss(corners: PairModels, inputs: Inputs, outputs: Outputs) -> Answer:
    """Both sides' losses of these outputs: a square of scalars, shape ()."""
    return _squares(corners, inputs, outputs, backward=False)["loss"]


def gradients(corners: PairModels, inputs: Inputs, outputs: Outputs) -> dict[str, Answer]:
    """Gradients of both sides' losses by each floating-point output: place -> square of its shape."""
    return _squares(corners, inputs, outputs, backward=True)


def _squares(corners: PairModels, inputs: Inputs, outputs: Outputs, backward: bool) -> dict[str, Answer]:
    """The losses, or their gradients, of every corner that has a loss, by name, as answers that can be asked again.

    A loss has no weights to move: what rounding does to it is shown by moving the outputs that it is given.
    """

    def run(model: BackendModel, outputs: Outputs) -> dict[str, Array]:
        values = model.own_loss(inputs, outputs, backward).items()
        with np.errstate(over="ignore"):  # float16 ends at 65,504
            return {name: array.astype(transport_dtype(model.dtype), copy=False) for name, array in values}

    runs = {corner: run(corners.models[corner], outputs) for corner in corners.learning()}

    def again(place: int, dtype: str, draw: int) -> dict[str, Array]:
        corner = corners.sides[place], "float64"
        return run(corners.models[corner], _moved(outputs, EPS[dtype], draw)) if corner in runs else {}

    return {name: corners.answer(runs, name, again) for name in dict.fromkeys(n for of in runs.values() for n in of)}


def _moved(outputs: Outputs, reach: float, draw: int) -> Outputs:
    """The floating-point outputs, each number times a random one within `reach` of 1; the others as they are."""
    random = np.random.default_rng(draw)
    return {
        place: array * random.uniform(1 - reach, 1 + reach, array.shape) if array.dtype.kind == "f" else array
        for place, array in outputs.items()
    }
