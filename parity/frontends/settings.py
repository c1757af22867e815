"""Settings of a source that a converter drops: each field of config.json has another value in turn, and both follow.

The weights stay: a field that other weights would go with is left out. Where the source's outputs move, the port that
is converted from the same folder has to move alike, or to refuse.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np

from parity import backends
from parity.backends.build import Build
from parity.backends.protocol import Backend
from parity.dtypes import Array
from parity.errors import ERRORS, ParityError, reason
from parity.frontends.ported import CONFIG, Origin, configuration
from parity.pair.pair import Pair
from parity.scratch import scratch

FOLLOWED, IGNORED, OTHERWISE, REFUSED = "followed", "ignored", "followed otherwise", "refused"
WITHOUT = "without effect"
SHARE = 8  # a port follows where what is left of the move is so many times less, and ignores what moves it so little
SEEN = 2.0**-14  # of the largest output, 512 eps32: what moves less is not told from rounding
ACTIVATIONS = ("relu", "gelu", "silu", "gelu_new", "tanh")
EPSILONS = (1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3)  # that libraries have by default
LARGE = 0.05  # for an epsilon: with the usual ones nothing is seen
NAMES = ("architectures", "model_type", "transformers_version", "torch_dtype", "dtype")  # what no model computes by

Values = Mapping[str, Array]


@dataclass(frozen=True)
class Field:
    """A field of a configuration by its path, its value and the other one, and what the port made of that.

    `assumed` is the value with which the source gives what the port does, where that is another than its own.
    """

    path: tuple[str, ...]
    value: Any
    other: Any
    verdict: str
    told: str = ""
    assumed: Any = None

    @property
    def name(self) -> str:
        """The path as it is told: "rope.theta"."""
        return ".".join(self.path)

    @property
    def fails(self) -> bool:
        """Whether the port leaves out what the source heeds."""
        return self.verdict in (IGNORED, OTHERWISE)


def survey(pair: Pair, sides: tuple[str, str]) -> list[Field]:
    """Each field of the source's configuration that has another legal value, and whether the port follows it.

    Raises ParityError where the port is not converted from a Hugging Face folder.
    """
    source, port = (pair.builds[side].make for side in sides)
    hugging = isinstance(source, Origin) and source.kind == "huggingface"
    if not (hugging and isinstance(port, Origin) and port.source and port.converts):
        raise ParityError("--settings needs a Hugging Face folder, and a PORT that converts it: module:function")
    assert isinstance(source, Origin)  # as was just seen
    config = configuration(Path(source.path))
    before = _outputs(pair, sides[0], source), _outputs(pair, sides[1], port)
    rows = []
    for path, value in _fields(config):
        for other in _others(path[-1], value):
            with _altered(Path(source.path), config, path, other) as folder:
                field = _tried(pair, sides, (source, port), folder, before, Field(path, value, other, ""))
            if field is not None:
                rows.append(field)
                break
    # A port that gives what its source does computes by the source's own values: none is assumed.
    if not _gap(*before) > SEEN**2 * _size(before[0]):
        return rows
    return [_as_if(pair, sides[0], source, config, before, field) if field.fails else field for field in rows]


def _as_if(
    pair: Pair, side: str, source: Origin, config: Mapping[str, Any], before: tuple[Values, Values], field: Field
) -> Field:
    """A field with the value with which the source gives what the port does, if there is one.

    `before` are both sides' outputs by the values that the folder has. A value is taken if it brings the source
    `SHARE` times nearer to the port.
    """
    last = field.path[-1]
    gaps: dict[Any, float] = {}
    for value in EPSILONS if "eps" in last else (*ACTIVATIONS, *_others(last, field.value)):
        if value != field.value and type(value) is type(field.value):
            with contextlib.suppress(*ERRORS), _altered(Path(source.path), config, field.path, value) as folder:
                gaps[value] = _gap(_outputs(pair, side, replace(source, path=folder)), before[1])
    best = min(gaps, key=gaps.__getitem__, default=None)
    if best is None or SHARE * gaps[best] > _gap(*before):
        return field
    text = (
        f"{field.told}; with {best!r} the source is {gaps[best]:.1e} from the port, in the place of {_gap(*before):.1e}"
    )
    return replace(field, assumed=best, told=text)


def _tried(
    pair: Pair,
    sides: tuple[str, str],
    origins: tuple[Origin, Origin],
    folder: str,
    before: tuple[Values, Values],
    field: Field,
) -> Field | None:
    """What another value of a field does; None where the source does not take it, or draws what the files lack.

    `folder` is the source's with that value, and `before` both sides' outputs by its own.
    """
    try:
        # From two seeds: weights that the files lack are drawn, and would move the outputs by themselves.
        moved, again = (_outputs(pair, sides[0], replace(origins[0], path=folder), seed) for seed in (0, 1))
    except ERRORS:
        return None
    if not all(array.shape == moved[name].shape for name, array in before[0].items()) or _gap(moved, again):
        return None
    move = _gap(before[0], moved)
    if not move > SEEN * _size(before[0]):
        return replace(field, verdict=WITHOUT)
    try:
        outputs = _outputs(pair, sides[1], replace(origins[1], source=folder))
    except ERRORS as error:
        return replace(field, verdict=REFUSED, told=reason(error))
    if any(array.shape != outputs[name].shape for name, array in moved.items()):
        return replace(field, verdict=OTHERWISE, told="the port's outputs have another shape")
    left = max(np.abs(outputs[n] - before[1][n] - (moved[n] - before[0][n])).max(initial=0.0) for n in moved)
    own = _gap(before[1], outputs)
    verdict = FOLLOWED if SHARE * left <= move else IGNORED if SHARE * own <= move else OTHERWISE
    return replace(field, verdict=verdict, told=f"source moves {move:.1e}, port {own:.1e}")


def _outputs(pair: Pair, side: str, make: Any, seed: int = 0) -> dict[str, Array]:
    """What a model gives for one of the pair's inputs, in float32 as float64: place -> array; integers are left out.

    Raises what building or running it raises.
    """
    backend: Backend = backends.load()[pair.roles[side].backend]
    backend.seed(seed)
    build: Build = replace(pair.builds[side], make=make)
    outputs = backend.Model(build, "float32", None).outputs(pair.plainest, eager=True)
    return {name: array.astype(np.float64) for name, array in outputs.items() if array.dtype.kind == "f"}


def _size(values: Values) -> float:
    """The largest magnitude in all arrays."""
    return max(float(np.abs(array).max(initial=0.0)) for array in values.values())


def _gap(one: Values, other: Values) -> float:
    """The largest difference between arrays of one name. Raises KeyError where `other` lacks one."""
    return max(float(np.abs(array - other[name]).max(initial=0.0)) for name, array in one.items())


def _fields(config: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every field of the configuration, or of an object anywhere in it, by its path: ("rope", "theta") -> its value.

    Fields by which no model computes are left out.
    """
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _fields(value, (*before, name))
        elif name not in NAMES and not name.startswith("_"):
            yield (*before, name), value


def _others(name: str, value: Any) -> list[Any]:
    """Other values that may be legal, the likeliest first."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, float):
        return [LARGE] if "eps" in name else [2 * value] if value else [0.5]
    if isinstance(value, int):
        return [of for of in (value // 2, 2 * value, value + 1, value - 1) if of != value and of > 0]
    if (isinstance(value, str) and value in ACTIVATIONS) or name in ("hidden_act", "hidden_activation", "activation"):
        return [of for of in ACTIVATIONS if of != value][:2]
    return []


@contextlib.contextmanager
def _altered(folder: Path, config: Mapping[str, Any], path: tuple[str, ...], value: Any) -> Iterator[str]:
    """Give the folder once more, in a temporary place, with another value of one field; its other files are links."""
    changed: Any = json.loads(json.dumps(config))  # a copy, deep enough to change
    reduce(getitem, path[:-1], changed)[path[-1]] = value
    with scratch() as place:
        for file in folder.iterdir():
            if file.name != CONFIG:
                (place / file.name).symlink_to(file)
        (place / CONFIG).write_text(json.dumps(changed))
        yield str(place)
