"""What a baseline holds of a pair: its report, its layers, and golden values, which a later run has to give again.

Golden values are what each side computes in float64 of fixed inputs with fixed weights, because that
holds across processors, threads and versions, where float32 bits do not. They see what parity alone
cannot: a change that is made to both sides. What float32 loses is not a value to be kept; it is
measured over several weights, as a range.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optree

from parity.backends.protocol import Trainable
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import Weights
from parity.compare.square import PrecisionSquare, norm
from parity.dtypes import EPS, Array, number
from parity.errors import ERRORS, reason
from parity.gate.baseline import SCHEMA, Baseline
from parity.inputs.arrays import Sample
from parity.inputs.batch import Batch, batch, rows_of
from parity.pair import decoding
from parity.pair.models import PairModels

# Words, an indented line of code, letters of other scripts, repeated spaces.
TEXTS = ("import os", "def double(x):\n    return 2 * x", "Zażółć gęślą jaźń, 東京 ☃", "  a  b  a  b  ")
WEIGHTS = Weights(0, 1.0)
LENGTH, TOKENS, STEPS = 12, 8, 3  # ids of a text, greedy tokens, steps of a training
RECIPE = Recipe("sgd", 0.1)
SAMPLE = 512  # elements that are kept of an output; its norm stands for the others
SEEDS = 8  # of weights that the noise is measured with
INPUT = "input "  # how the names of inputs begin among a baseline's arrays
TOLD = 160  # letters of what a model raises

Figures = dict[str, dict[str, Any]]
Arrays = dict[str, Array]


def compute(corners: PairModels, target: str, report: dict[str, Any], old: Baseline | None) -> Baseline:
    """Measure a pair's golden values and noise, and put them together with the report of its checks.

    The inputs are those of an `old` baseline, if they fit the models. `target` is what the command line calls the pair.
    Raises nothing: what the golden values raise is the run's `error`.
    """
    figures, arrays, noises, misfit, failed = Figures(), Arrays(), dict[str, Any](), "", ""
    try:
        figures, arrays, inputs, misfit = _fitting(corners, old)
        noises = noise(corners, inputs)
    except ERRORS as error:
        corners.forget()  # weights that were half written, say: the next to run begins anew
        failed = reason(error)
    document = {
        "schema": SCHEMA,
        "baseline": target,
        "dtypes": list(corners.dtypes),
        "report": report,
        "layers": {name: [kind, *shape] for name, (kind, shape) in corners.layout.items()},
        "texts": {text: corners.tokenizer.encode(text) for text in TEXTS} if corners.tokenizer else {},
        "golden": figures,
        "noise": noises,
        "history": [],
    }
    return Baseline(document, arrays, misfit=misfit, error=failed)


def _fitting(corners: PairModels, old: Baseline | None) -> tuple[Figures, Arrays, Arrays, str]:
    """Golden figures and arrays, inputs among these; the inputs, a baseline's if they fit; and why they do not."""
    inputs, misfit = (recorded(old) if old else fresh(corners)), ""
    try:
        figures, arrays = golden(corners, inputs)
    except Exception as error:  # whatever a model raises of inputs that were made for another
        if old is None:
            raise
        misfit = reason(error)[:TOLD]
        inputs = fresh(corners)
        figures, arrays = golden(corners, inputs)
    return figures, arrays | {f"{INPUT}{name}": array for name, array in inputs.items()}, inputs, misfit


def recorded(old: Baseline) -> Arrays:
    """The inputs that a baseline's golden values were computed of, by name."""
    return {name.removeprefix(INPUT): array for name, array in old.arrays.items() if name.startswith(INPUT)}


def fresh(corners: PairModels) -> Arrays:
    """The inputs of a first baseline: `TEXTS` as ids, targets and mask, (4, time) each; or the last of the pair's
    specimens, by the places of its leaves.
    """
    if corners.tokenizer:
        length = min(LENGTH, corners.pair.length or LENGTH)
        return vars(batch(rows_of(TEXTS, corners.tokenizer, length + 1), corners.tokenizer.pad)).copy()
    leaves = optree.tree_leaves(corners.pair.specimens[-1])
    return {str(place): leaf for place, leaf in enumerate(leaves)}


def _batch(corners: PairModels, inputs: Mapping[str, Array]) -> Batch:
    """A baseline's inputs as a batch. Raises KeyError, TypeError or ValueError for those of another kind of pair."""
    if corners.tokenizer:
        return Batch(**inputs)
    structure = optree.tree_structure(corners.pair.specimens[-1])
    leaves = [inputs[str(place)] for place in range(len(inputs))]
    return corners.batch(Sample(WEIGHTS, optree.tree_unflatten(structure, leaves)))


def golden(corners: PairModels, inputs: Mapping[str, Array]) -> tuple[Figures, Arrays]:
    """Name -> what a value is judged by, and the value: float64, of every side that runs in it.

    A value's `scale` is the magnitude that its rounding goes by, and its `noise` its own float32 error, both in its own
    unit; `labels` name its elements, where they have names. The names begin with the side's. Loads `WEIGHTS`.
    """
    batch = _batch(corners, inputs)
    corners.load(WEIGHTS)
    figures, arrays = _greedy(corners, batch) if corners.tokenizer else (Figures(), Arrays())
    for name, square, scales, labels in _values(corners, batch):
        for place, side in enumerate(corners.sides):
            exact = square.rows["float64"][place]
            if exact is not None:
                noise = square.noise[place].max_abs_diff if exact.dtype.kind == "f" else 0.0
                figures[f"{side} {name}"] = {"scale": number(scales[place]), "noise": number(noise), "labels": labels}
                arrays[f"{side} {name}"] = np.ascontiguousarray(exact)
    return figures, arrays


def _values(corners: PairModels, batch: Batch) -> Iterator[tuple[str, PrecisionSquare, Sequence[float], list[str]]]:
    """(Name, values, either side's scale, what each element is called) of all that both sides compute: outputs, their
    norms, the norms of gradients, and the losses of a short training.
    """
    outputs, trained = corners.outputs(batch), not corners.pair.lacking((Trainable,))
    for name, square in outputs.items():
        yield name, square.map(_sampled), _scales(square), []
        if square.reference.dtype.kind == "f":
            norms = square.map(_norm)
            yield f"norm of {name}", norms, _scales(norms), []
    if not trained:
        return
    gradients = corners.gradients(batch.ids, batch.targets)
    together = _together(square.map(_norm) for square in gradients.values())
    yield "gradient norms", together, [norm(gradients)] * 2, list(gradients)
    losses = corners.train(WEIGHTS, RECIPE, [[(batch.ids, batch.targets)]] * STEPS).squares["losses"][""]
    # A loss is a small difference of large outputs: their rounding is its rounding.
    yield "losses", losses, _scales(losses, *outputs.values()), []


def _scales(*squares: PrecisionSquare) -> list[float]:
    """Each side's largest magnitude in float64 in any of these; 0 of a side that has no float64."""
    runs = [[square.rows["float64"][place] for square in squares] for place in (0, 1)]
    return [max((_largest(run) for run in side if run is not None), default=0.0) for side in runs]


def _largest(array: Array) -> float:
    return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))


def _greedy(corners: PairModels, batch: Batch) -> tuple[Figures, Arrays]:
    """The ids that each side with float64 goes on with, from those of the first text, chosen greedily."""
    prompt = batch.ids[0, batch.mask[0]].tolist()
    # The last token is never given to a model, so that one more than there is room for can be asked for.
    tokens = min(TOKENS, (corners.pair.length or len(prompt) + TOKENS) - len(prompt) + 1)
    models = {side: corners.models.get((side, "float64")) for side in corners.sides}
    tokens_of = {f"{s} greedy tokens": decoding.again(model, prompt, tokens) for s, model in models.items() if model}
    return {name: {"labels": []} for name in tokens_of}, {
        name: np.array(ids, np.int64) for name, ids in tokens_of.items()
    }


def noise(corners: PairModels, inputs: Mapping[str, Array]) -> dict[str, list[float | str]]:
    """Side, and outputs or gradients -> the least, the middle and the most that float32 loses, over drawn weights.

    In units of float32's rounding: the mean square of the errors over that of the values, rooted. A mean
    over many elements is steady where the worst of them is not. Infinity and NaN come as text, as JSON holds them.
    """
    batch = _batch(corners, inputs)
    figures: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        corners.load(Weights(seed, 1.0))
        measured: dict[str, Mapping[str, PrecisionSquare]] = {"outputs": corners.outputs(batch)}
        if not corners.pair.lacking((Trainable,)):
            measured["gradients"] = corners.gradients(batch.ids, batch.targets)
        for what, squares in measured.items():
            for place, side in enumerate(corners.sides):
                figures.setdefault(f"{side} {what}", []).append(_lost(squares, place))
    return {name: [number(v) for v in (min(f), float(np.median(f)), max(f))] for name, f in figures.items()}


def _lost(squares: Mapping[str, PrecisionSquare], place: int) -> float:
    """What one side loses in float32, over all arrays together: the relative error's root mean square over eps32.

    Elements that are not finite in either run are left out; 0 where nothing is left.
    """
    errors = values = 0.0
    for square in squares.values():
        rough, exact = square.rows["float32"][place], square.rows["float64"][place]
        exact = square.reference if exact is None else exact
        if rough is not None and rough.dtype.kind == "f" and rough.shape == exact.shape:
            finite = np.isfinite(rough) & np.isfinite(exact)
            values += float(np.square(exact[finite]).sum())
            errors += float(np.square(rough[finite] - exact[finite]).sum())
    return float(np.sqrt(errors / values)) / EPS["float32"] if values else 0.0


def _sampled(array: Array) -> Array:
    """At most `SAMPLE` elements of an array, in even steps, as a vector."""
    flat = array.reshape(-1)
    # The double minus rounds up: a step that is rounded down would keep too many.
    return flat[:: max(1, -(-flat.size // SAMPLE))]


def _norm(array: Array) -> Array:
    """The Euclidean norm of the finite elements, a scalar array in the array's dtype."""
    return np.array(np.sqrt(np.sum(np.square(array[np.isfinite(array)], dtype=np.float64))), array.dtype)


def _together(squares: Iterable[PrecisionSquare]) -> PrecisionSquare:
    """Squares of scalars as one square of vectors, in their order."""
    every = list(squares)

    def row(dtype: str, place: int) -> Array | None:
        arrays = [square.rows[dtype][place] for square in every]
        return None if arrays[0] is None else np.array(arrays)

    return PrecisionSquare({dtype: (row(dtype, 0), row(dtype, 1)) for dtype in every[0].rows}, every[0].sides)
