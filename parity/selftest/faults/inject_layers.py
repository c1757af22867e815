"""How a difference is planted: around a layer's call, in a model's own code, in how weights are read or written.

Everything here takes a model of either framework. A path is a link's, "blocks.0.attention"; "" is the
model itself, whose own code is its `advance`, where it has one. Changes that only calculate serve both frameworks; what
else they need of torch or Keras they import themselves.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.dtypes import Module, Tensor
from parity.selftest.faults import reached
from parity.selftest.faults.fault import Alter, Fault, side_of

Change = Callable[[Any], Any]


def fault(side: str, pair: str, name: str, alter: Alter, where: str, cause: str, check: str = "forward") -> Fault:
    """A fault of one side, or of what `corners` has.

    `side` is "torch", "keras" or "corners": whose `alter` it is; `where`, `cause` and `check` are those of `Fault`.
    """
    planted: dict[str, Any] = {side: alter}
    return Fault(name, pair, **planted, check=check, where=where, cause=cause)


def at(model: Module, path: str) -> Any:
    """The layer or container at a path."""
    for step in path.split(".") if path else ():
        model = model[int(step)] if step.isdigit() else getattr(model, step)
    return model


def around(path: str, altered: Callable[..., Any]) -> Alter:
    """What is at `path` runs as `altered(run, *given)`, `run` being what it was."""

    def plant(model: Module) -> None:
        layer = at(model, path)
        # The first that it has: a model's own code is its `advance`, which its forward or call runs.
        name = next(verb for verb in ("advance", "forward", "call") if hasattr(layer, verb))
        words = f"{name} of {path or 'the model'}"
        setattr(layer, name, reached.Noted(words, partial(altered, getattr(layer, name))))

    return plant


def before(path: str, change: Change) -> Alter:
    """The layer's input passes through `change`."""
    return around(path, lambda run, x, *arguments, **named: run(change(x), *arguments, **named))


def after(path: str, change: Change) -> Alter:
    """The layer's output passes through `change`: the first of several."""

    def altered(run: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        result = run(*arguments, **named)
        if not isinstance(result, tuple | list):
            return change(result)
        return type(result)([change(result[0]), *result[1:]])

    return around(path, altered)


def during(path: str, module: str, **names: Any) -> Alter:
    """While it runs, names of a module have other values: in its own thread, for another may run its twin."""
    words = {name: f"{name} of {module} in {path or 'the model'}" for name in names}

    def altered(run: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        owner = importlib.import_module(module)
        with contextlib.ExitStack() as stack:
            for name, value in names.items():
                stack.enter_context(reached.standing_in(owner, name, (words[name], value)))
            return run(*arguments, **named)

    def plant(model: Module) -> None:
        around(path, altered)(model)
        for name in names:
            reached.expect(words[name])

    return plant


def holding(path: str, **changes: Change) -> Alter:
    """While a container's own code runs, a layer in it is something made of that layer, which stays as it is."""

    def plant(model: Module) -> None:
        owner = at(model, path)
        # torch's modules are found in a table of their own, and not among a module's attributes.
        table = owner._modules if hasattr(owner, "_modules") else vars(owner)

        def altered(run: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            with _set(table, {name: make(table[name]) for name, make in changes.items()}):
                return run(*arguments, **named)

        around(path, altered)(model)

    return plant


def then(change: Change) -> Change:
    """For `holding`: a layer, and what its container makes of its output."""
    return lambda layer: lambda *arguments, **named: change(layer(*arguments, **named))


def given(change: Change) -> Change:
    """For `holding`: a layer, and what its container makes of its input."""
    return lambda layer: lambda x, *rest, **named: layer(change(x), *rest, **named)


def exchanging(path: str, one: str, other: str) -> Alter:
    """A container's own code takes one layer for another."""

    def plant(model: Module) -> None:
        first, second = (getattr(at(model, path), name) for name in (one, other))
        holding(path, **{one: lambda _: second, other: lambda _: first})(model)

    return plant


def setting(path: str, **values: Any) -> Alter:
    """A layer's attributes have other values."""

    def plant(model: Module) -> None:
        layer = at(model, path)
        for name, value in values.items():
            getattr(layer, name)  # an attribute that a later version renamed would be set, and read by nobody
            setattr(layer, name, value)

    return plant


def reading(path: str, **changes: Change) -> Alter:
    """The layer computes with its variables as changed; what they hold stays."""

    def plant(model: Module) -> None:
        layer = at(model, path)
        owner = getattr(layer, "cell", layer)

        def altered(run: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            if hasattr(layer, "_parameters"):
                table = layer._parameters
                with _set(table, {name: change(table[name]) for name, change in changes.items()}):
                    return run(*arguments, **named)
            from parity.backends.keras.policy import holding as holding_values

            variables = [getattr(owner, name) for name in changes]
            changed = [change(of.value) for of, change in zip(variables, changes.values(), strict=True)]
            with holding_values(variables, changed):
                return run(*arguments, **named)

        around(path, altered)(model)

    return plant


def writing(side: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Alter:
    """For `corners`: of the canonical values that a side is given, `change` says which are written instead."""

    def plant(corners: Any) -> None:
        for (of, _), model in corners.models.items():
            if of == side_of(side):
                model.write = partial(_write, model.write, change)

    return plant


def values(changes: dict[str, Change]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """For `writing`: a copy of each named parameter's value, changed."""
    return lambda values_read: {n: changes[n](np.array(v)) if n in changes else v for n, v in values_read.items()}


def exchanged(one: str, other: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """For `writing`: the parameters of two layers, or two parameters, in each other's place."""

    def place(name: str) -> str:
        for first, second in ((one, other), (other, one)):
            if name == first or name.startswith(f"{first}."):
                return second + name.removeprefix(first)
        return name

    return lambda values_read: {name: values_read.get(place(name), value) for name, value in values_read.items()}


def blocks(x: Tensor, count: int) -> list[Any]:
    """The gates' parts of a variable: along torch's and the canonical form's first axis, and Keras's last."""
    if isinstance(x, np.ndarray):
        return np.split(x, count)
    if is_torch(x):
        return list(x.chunk(count))
    return list(library(x).split(x, count, -1))


def joined(parts: Sequence[Any]) -> Any:
    """The way back from `blocks`."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return library(parts[0]).concatenate(list(parts), 0 if is_torch(parts[0]) else -1)


def ordered(*order: int) -> Change:
    """A variable's gates in another order."""

    def change(x: Tensor) -> Tensor:
        parts = blocks(x, len(order))
        return joined([parts[place] for place in order])

    return change


def library(x: Tensor) -> Any:
    """torch or Keras's operations, whichever a tensor is of."""
    return importlib.import_module("torch" if is_torch(x) else "keras.ops")


def is_torch(x: Tensor) -> bool:
    """Whether a tensor is torch's, without an import of it: Keras's have no `detach` on any of its backends here."""
    return hasattr(x, "detach")


def stopped(x: Tensor) -> Tensor:
    """The same value, through which no gradient passes."""
    return x.detach() if is_torch(x) else library(x).stop_gradient(x)


def unit(x: Tensor, place: int) -> Tensor:
    """An array like `x`, one in a single place and zero elsewhere."""
    size = int(np.prod(x.shape))
    lib = library(x)
    one = np.zeros(size)
    one[place % size] = 1
    if is_torch(x):
        return lib.tensor(one, dtype=x.dtype).reshape(x.shape)
    return lib.convert_to_tensor(one.reshape(x.shape), x.dtype)


def nudged(amount: float, place: int = 7) -> Change:
    """One number of a variable is off."""
    return lambda x: x + amount * unit(x, place)


@contextlib.contextmanager
def _set(table: dict[str, Any], changes: dict[str, Any]) -> Iterator[None]:
    """Inside, some entries of a table have other values; afterwards those of before, whatever was raised."""
    rows = {name: table[name] for name in changes}
    table.update(changes)
    try:
        yield
    finally:
        table.update(rows)


def _write(write: Callable[[dict[str, Any]], None], change: Callable[..., Any], values_read: dict[str, Any]) -> None:
    write(change(values_read))
