"""What one side of a pair gives, as arrays in a file: for an environment that has the other framework, or neither.

Beside the arrays stands what tells whether two files belong together: a digest of the inputs and one of the weights,
which are told as a seed and a scale for each example, and the layers that they are drawn for.

Names of arrays, with N the number of an example: `N/inputs...` its inputs, `N/mask` the mask of its tokens,
`N/DTYPE/PLACE` an output in a dtype; `parity` is everything else, JSON as bytes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from parity.canonical.flow import Flow
from parity.canonical.layer import Layout
from parity.canonical.weights import OWN, Weights, draw
from parity.compare.judge import judge
from parity.compare.square import PrecisionSquare
from parity.compare.verdict import Verdict
from parity.dtypes import PRECISIONS, Array, Inputs
from parity.errors import ParityError, reason
from parity.pair import stored
from parity.pair.comparison import Comparison
from parity.pair.one_side import Example, Given
from parity.pair.sides import Side

KEY = "parity"  # of the array that holds all but arrays, as JSON
SCHEMA = 1
Values = Mapping[str, Array]


@dataclass(frozen=True)
class Dumped:
    """A file that `parity dump` has written: its JSON `document` and its `arrays` by name."""

    path: Path
    document: Mapping[str, Any]
    arrays: Values

    @property
    def side(self) -> str:
        """The side that it is of."""
        return str(self.document["side"])

    @cached_property
    def layout(self) -> Layout:
        """The parameters of that side, by its own names; none where the models keep their own weights."""
        return {name: (kind, tuple(shape)) for name, kind, shape in self.document["layout"]}

    @property
    def layers(self) -> Side:
        """The side's layers and flow, from which links are found."""
        flow = Flow()
        flow.before = {name: set(sources) for name, sources in self.document["flow"].items()}
        flow.ends = set(self.document["ends"])
        return Side(signatures(self.layout, flow), flow, bare=frozenset(self.document["bare"]), name=self.side)

    @cached_property
    def examples(self) -> list[Example]:
        """The examples that the side was run on, without their outputs."""
        examples = []
        for number, (weights, inputs) in enumerate(self.document["examples"]):
            drawn = Weights(*weights) if weights else OWN
            examples.append(Example(drawn, self._inputs(inputs), self.arrays.get(f"{number}/mask")))
        return examples

    def _inputs(self, layout: Any) -> Any:
        """Inputs in their nesting: the reverse of `_spread`."""
        if isinstance(layout, str):
            return self.arrays[layout]
        kind, parts = next(iter(layout.items()))
        if kind == "dict":
            return {name: self._inputs(part) for name, part in parts.items()}
        return tuple(map(self._inputs, parts)) if kind == "tuple" else [*map(self._inputs, parts)]

    def runs(self, number: int) -> dict[str, dict[str, Array]]:
        """The side's outputs for an example: dtype -> place -> array."""
        places = self.document["places"]
        names = {dtype: {place: f"{number}/{dtype}/{place}" for place in places} for dtype in PRECISIONS}
        return {d: {p: self.arrays[n] for p, n in of.items() if n in self.arrays} for d, of in names.items()}

    def moved(self, number: int, place: str) -> Sequence[float]:
        """Largest change of an example's float64 array, for each random move of the weights by float32's rounding."""
        changes: Sequence[float] = self.document["moved"][number].get(place, ())
        return changes


def signatures(layout: Layout, flow: Flow) -> dict[str, Any]:
    """The layers of a layout, their kinds and parameters, in the order of their calls."""
    parameters: dict[str, list[Any]] = {}
    kinds = {name.rpartition(".")[0]: kind for name, (kind, _) in layout.items()}
    for name, (_, shape) in layout.items():
        path, _, parameter = name.rpartition(".")
        parameters.setdefault(path, []).append((parameter, shape))
    place = {path: number for number, path in enumerate(flow.before)}
    ordered = sorted(parameters, key=lambda path: place.get(path, len(place)))
    return {path: (kinds[path], tuple(parameters[path])) for path in ordered}


def write(path: Path, about: Mapping[str, Any], examples: Sequence[Example], runs: Sequence[Given]) -> None:
    """Write what a side gave of each example. `about` is its side, pair, layers and weights' digest."""
    arrays: dict[str, Array] = {}
    entries = []
    for number, example in enumerate(examples):
        inputs = _spread(example.inputs, f"{number}/inputs", arrays)
        entries.append(([example.weights.seed, example.weights.scale] if example.weights != OWN else None, inputs))
        arrays |= {} if example.mask is None else {f"{number}/mask": example.mask}
    drawn = digest(arrays)
    for number, of in enumerate(runs):
        arrays |= {f"{number}/{dtype}/{place}": a for dtype, run in of.runs.items() for place, a in run.items()}
    places = list(dict.fromkeys(place for of in runs for run in of.runs.values() for place in run))
    moved = [of.moved for of in runs]
    document = {"schema": SCHEMA, **about, "inputs": drawn, "examples": entries, "places": places, "moved": moved}
    text = json.dumps(document).encode()
    stored.write(path, {KEY: np.frombuffer(text, np.uint8), **arrays})


def _spread(inputs: Inputs, name: str, arrays: dict[str, Array]) -> Any:
    """Put the arrays of inputs among `arrays`; return their nesting as JSON, with names in the arrays' places."""
    if isinstance(inputs, Mapping):
        return {"dict": {key: _spread(part, f"{name}/{key}", arrays) for key, part in inputs.items()}}
    if isinstance(inputs, tuple | list):
        parts = [_spread(part, f"{name}/{place}", arrays) for place, part in enumerate(inputs)]
        return {"tuple" if isinstance(inputs, tuple) else "list": parts}
    arrays[name] = inputs
    return name


def digest(arrays: Values) -> str:
    """The SHA-256 of the arrays' names, dtypes, shapes and bytes, in order of names."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape};".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def weights_digest(layout: Layout, examples: Iterable[Example]) -> str:
    """The `digest` of the weights drawn for all examples; "own" where the models keep their own."""
    drawn = {str(example.weights): example.weights for example in examples if example.weights != OWN}
    if not drawn:
        return "own"
    values = {f"{key} {name}": array for key, of in drawn.items() for name, array in draw(layout, of).items()}
    return digest(values)


def of(path: Path, arrays: Any) -> Dumped | None:
    """Read a file that `parity dump` wrote; None of other arrays. Raises ParityError where it is damaged."""
    if not isinstance(arrays, Mapping) or KEY not in arrays:
        return None
    try:
        document = json.loads(arrays[KEY].tobytes())
        dumped = Dumped(path, document, arrays)
        known = document["schema"] == SCHEMA and {"inputs", "weights", "side", "weaker"} <= set(document)
        if not known or not dumped.examples or len(document["moved"]) != len(dumped.examples):
            raise ValueError("it is of another version")
        len(dumped.layers.layers)
    except Exception as error:  # damage: text, names and shapes that are not what they say raise anything
        raise ParityError(f"{path}: is no file of parity dump ({reason(error)})") from error
    return dumped


@dataclass(frozen=True)
class _Kept:
    """A `Perturbation` of runs that are over: how far each side moved then, draw by draw, in float32 alone."""

    moved: tuple[Sequence[float], Sequence[float]]

    def largest_change(self, dtype: str, draw: int) -> float | None:
        """As `Perturbation`."""
        changes = [of[draw] for of in self.moved if draw < len(of)] if dtype == "float32" else []
        return min(changes, default=None)


def compared(files: tuple[Dumped, Dumped]) -> Comparison:
    """A verdict for every array of every example, as `parity check` has it of its forward check.

    Raises ParityError unless both files are of the same inputs and weights.
    """
    first, second = files
    sides = (first.side, second.side) if first.side != second.side else (str(first.path), str(second.path))
    for what in ("inputs", "weights"):
        if first.document[what] != second.document[what]:
            raise ParityError(
                f"{first.path} and {second.path} have different {what}: write the second by --weights {first.path}"
            )
    lacking = [file.document["weaker"] for file in files]
    if all(lacking):
        raise ParityError(f"{'; '.join(lacking)}; without one float64 run there is nothing to measure against")
    own, reasons = first.document["weights"] == "own", "; ".join(filter(None, lacking))
    verdicts = []
    for number in range(len(first.examples)):
        runs = first.runs(number), second.runs(number)
        several = f", example {number + 1}" if len(first.examples) > 1 else ""
        for place in dict.fromkeys((*first.document["places"], *second.document["places"])):
            moved = first.moved(number, place), second.moved(number, place)
            verdicts.append(_judged(f"{place}{several}", place, runs, sides, reasons, own, moved))
    return Comparison(tuple(verdicts))


def _judged(
    name: str,
    place: str,
    runs: tuple[Mapping[str, Values], Mapping[str, Values]],
    sides: tuple[str, str],
    lacking: str,
    own: bool = False,
    moved: tuple[Sequence[float], Sequence[float]] = ((), ()),
) -> Verdict:
    """The verdict of one array: `name` in messages, `place` in both runs, which are dtype -> place -> array."""
    having = [place in run["float32"] for run in runs]
    if not all(having):
        text = f"{name} is only in {sides[having.index(True)]}"
        return Verdict(name, "different", 0, np.inf, 0.0, "equal structure", text)
    rows = {d: (runs[0].get(d, {}).get(place), runs[1].get(d, {}).get(place)) for d in ("float32", "float64")}
    return judge(name, PrecisionSquare(rows, sides, lacking, own), rerun=_Kept(moved))


def agree(first: Mapping[str, Values], second: Mapping[str, Values]) -> bool:
    """Whether two runs, dtype -> place -> array, are of models that mean the same."""
    places = dict.fromkeys((*first["float32"], *second["float32"]))
    return not any(_judged("", place, (first, second), ("a", "b"), "one float64 run").fails for place in places)
