"""Faults of what is saved: the model's values on disk, and the optimizer's state.

They are planted in what is written, not in what is read: the file is then wrong for whoever reads it. A check reads it
in the same process (`reload`) or goes on with a training (`resume`).
"""

from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from parity.dtypes import Array, Module
from parity.pair.models import PairModels
from parity.selftest.faults.fault import Fault, side_of
from parity.selftest.faults.inject_layers import after
from parity.selftest.faults.inject_stages import Alter, built, replaced

Values = dict[str, Array]


def _fault(name: str, check: str, cause: str, alter: Alter, pair: str = "conv") -> Fault:
    return Fault(name, pair, corners=alter, check=check, where="files", cause=cause)


def _values(side: str, change: Callable[[Values], Mapping[str, Array]]) -> Alter:
    """What one side saves, in every format, are other values than the model has."""

    def alter(corners: PairModels) -> None:
        model = corners.models[side_of(side), "float32"]

        def saving(verb: Any, *arguments: Any) -> None:
            values = model.read()
            model.write({**values, **change({name: array.copy() for name, array in values.items()})})
            try:
                verb(*arguments)
            finally:
                model.write(values)

        for verb in ("save", "export"):
            replaced(model, verb, saving)

    return alter


def _statistics(values: Values) -> Mapping[str, Array]:
    """Running means and variances as they begin."""
    means = {name: array * 0 for name, array in values.items() if name.endswith(".mean")}
    return means | {name: array * 0 + 1 for name, array in values.items() if name.endswith(".variance")}


def _through(dtype: str) -> Callable[[Values], Mapping[str, Array]]:
    """All values rounded to a lower precision on the way, in their own dtype again."""

    def change(values: Values) -> Mapping[str, Array]:
        return {name: array.astype(dtype).astype(array.dtype) for name, array in values.items()}

    return change


def _one_bit(values: Values) -> Mapping[str, Array]:
    """The last number of the head's bias is the next larger one."""
    bias = values["head.bias"]
    bias[-1] = np.nextafter(bias[-1], np.inf, dtype=bias.dtype)
    return {"head.bias": bias}


def _exchanged(values: Values) -> Mapping[str, Array]:
    """The queries' layers and the keys' have each other's values."""
    names = {name: name.replace("query", "key") for name in values if "query" in name}
    return {first: values[second] for pair in names.items() for first, second in (pair, pair[::-1])}


def _stale(corners: PairModels) -> None:
    """What is saved is what the model was before its values were set last."""
    model = corners.models["torch", "float32"]
    set_to, before = model.write, [model.read()]

    def written(write: Any, values: Values) -> None:
        before[0] = model.read()
        write(values)

    def saving(save: Callable[..., Any], path: Path) -> None:
        now = model.read()
        set_to(before[0])
        save(path)
        set_to(now)

    replaced(model, "write", written)
    replaced(model, "save", saving)


def _key_lost(corners: PairModels) -> None:
    """torch's own file lacks a key."""
    model = corners.models["torch", "float32"]

    def saving(save: Callable[..., Any], path: Path) -> None:
        save(path)
        if path.suffix == ".pth":
            import torch

            state = torch.load(path, weights_only=True)
            torch.save({name: value for name, value in state.items() if name != "head.bias"}, path)

    replaced(model, "save", saving)


def _cut_short(corners: PairModels) -> None:
    """A file whose end is missing."""
    model = corners.models[side_of("keras"), "float32"]

    def saving(save: Callable[..., Any], path: Path) -> None:
        save(path)
        if path.name.endswith(".weights.h5"):
            path.write_bytes(path.read_bytes()[:-100])

    replaced(model, "save", saving)


def _other_scale(model: Module) -> None:
    """Another scale of the attention, which the model's constructor does not know."""
    model.attention.scale = 0.25


def _state(side: str, change: Callable[[Values], Values]) -> Alter:
    """The arrays of an optimizer's state pass through `change` on their way to disk."""

    def plant(model: Module) -> None:
        replaced(model, "trainer", lambda trainer, recipe: learning(trainer(recipe)))

    def learning(trainer: Any) -> Any:
        replaced(trainer, "save", saving)
        return trainer

    def saving(save: Callable[..., Any], path: Path) -> None:
        import safetensors.numpy

        save(path)
        safetensors.numpy.save_file(change(safetensors.numpy.load_file(path)), path)

    return built(side, plant)


def _moments(change: Callable[[Array], Array]) -> Callable[[Values], Values]:
    """A change of every moment; the count of steps stays."""
    return lambda arrays: {name: array if name == "step" else change(array) for name, array in arrays.items()}


def _moments_exchanged(arrays: Values) -> Values:
    """Two layers' moments stand in each other's place, as far as their shapes allow: of each pair of equal shape."""
    exchanged = dict(arrays)
    for first, second in combinations(arrays, 2):
        if arrays[first].shape == arrays[second].shape and first != "step":
            exchanged[first], exchanged[second] = exchanged[second], exchanged[first]
    return exchanged


def _before_the_step(side: str) -> Alter:
    """The model is saved with the values that it had before the last step."""

    def plant(model: Module) -> None:
        replaced(model, "trainer", lambda trainer, recipe: learning(model, trainer(recipe)))

        def saving(save: Callable[..., Any], path: Path) -> None:
            now = model.read()
            model.write(model.before)
            save(path)
            model.write(now)

        replaced(model, "save", saving)

    def learning(model: Module, trainer: Any) -> Any:
        def remembering(step: Any, batches: Any) -> Array:
            model.before = model.read()
            losses: Array = step(batches)
            return losses

        replaced(trainer, "step", remembering)
        return trainer

    return built(side, plant)


FAULTS: tuple[Fault, ...] = (
    # Saved in half for its size, or as text with too few digits.
    _fault("float16 on torch's disk", "reload", "saved precision", _values("torch", _through("float16"))),
    _fault("float16 on keras's disk", "reload", "saved precision", _values("keras", _through("float16"))),
    _fault("one bit of one value", "reload", "saved precision", _values("torch", _one_bit)),
    _fault(
        "two layers exchanged on disk",
        "reload",
        "weights swapped",
        _values("keras", _exchanged),
        "transformer",
    ),
    # A save that was cut off; one that ran before the last assignment, as a cached copy or moved averages do.
    _fault("a key lost", "reload", "saved incompletely", _key_lost),
    _fault("a file cut short", "reload", "saved incompletely", _cut_short),
    _fault("values of before", "reload", "saved incompletely", _stale),
    _fault(
        "a bias saved as zero",
        "reload",
        "saved incompletely",
        _values("keras", lambda values: {"head.bias": values["head.bias"] * 0}),
    ),
    # named_parameters() for state_dict(): buffers, as a batch norm's running statistics, are no parameters.
    _fault("running statistics not saved", "reload", "saved incompletely", _values("torch", _statistics), "image"),
    # What is set behind the constructor is not in get_config(), from which Keras builds the model anew.
    Fault(
        "a factor that no configuration holds",
        "sentence",
        after("head", lambda z: z * 2),
        after("head", lambda z: z * 2),  # Keras makes the model anew from its class
        check="reload",
        where="files",
        cause="saved incompletely",
    ),
    Fault(
        "a configuration lost",
        "sentence",
        _other_scale,
        _other_scale,
        check="reload",
        where="files",
        cause="saved incompletely",
    ),
    # An optimizer is resumed without its moments or its count, or with those of another parameter: torch's state goes
    # by the order of the parameters, not by names.
    _fault(
        "moments in float16",
        "resume",
        "saved precision",
        _state("torch", _moments(lambda array: array.astype(np.float16).astype(array.dtype))),
    ),
    _fault(
        "moments a bit smaller",
        "resume",
        "saved precision",
        _state("keras", _moments(lambda array: np.nextafter(array, np.float32(0)))),
    ),
    _fault("moments not saved", "resume", "saved incompletely", _state("torch", _moments(np.zeros_like))),
    _fault(
        "the count of steps not saved",
        "resume",
        "saved incompletely",
        _state("keras", lambda arrays: {**arrays, "step": np.array(1)}),
    ),
    _fault("moments exchanged", "resume", "weights swapped", _state("torch", _moments_exchanged), "transformer"),
    _fault(
        "a moment left out",
        "resume",
        "saved incompletely",
        _state("keras", lambda arrays: {n: a for n, a in arrays.items() if not n.endswith("head.bias")}),
    ),
    # Saved by a callback that runs in front of the update.
    _fault("weights of the step before", "resume", "saved incompletely", _before_the_step("torch")),
)
