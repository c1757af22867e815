"""What a model takes and gives, any nesting of tensors: its leaves by their places, and the same nesting with others.

Ports rarely share classes: one returns a dataclass, the other a dict. Both have the same places if they have the same
names, and only those are compared.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any

import optree

from parity.dtypes import Inputs, Outputs

FEW = 6  # arrays of an output that a message names


def places(output: Outputs) -> dict[str, Any]:
    """Place -> leaf of what a model gives: "" for a lone tensor, "[0]", "['logits']".

    A dataclass, a named tuple and a dict with the same names have the same places.
    """
    accessors, leaves, _ = optree.tree_flatten_with_accessor(_plain(output))
    names = ("".join(f"[{entry.entry!r}]" for entry in accessor) for accessor in accessors)
    return dict(zip(names, leaves, strict=True))


def put(output: Outputs, leaves: Mapping[str, Any], at: str = "") -> Any:
    """Copy an output, of the same classes, with the leaves of these places replaced; `at` is the place of `output`."""
    if is_dataclass(output) and not isinstance(output, type):
        changes = {of.name: put(getattr(output, of.name), leaves, f"{at}[{of.name!r}]") for of in fields(output)}
        return replace(output, **changes)
    if optree.is_namedtuple_instance(output):
        changes = {name: put(getattr(output, name), leaves, f"{at}[{name!r}]") for name in output._fields}
        return output._replace(**changes)
    if isinstance(output, dict):
        changed = copy(output)
        changed.update({name: put(value, leaves, f"{at}[{name!r}]") for name, value in output.items()})
        return changed
    if isinstance(output, list | tuple):
        return type(output)(put(item, leaves, f"{at}[{place!r}]") for place, item in enumerate(output))
    return leaves.get(at, output)


def tensors_only(
    output: Outputs, is_tensor: Callable[[Any], bool], unread: tuple[str, ...] = ()
) -> tuple[Any, dict[str, str]]:
    """Put None in the place of each leaf that is no tensor, such as a cache, or that is at or within a place `unread`.

    Returns the output, and place -> class's name of what was taken out.
    """
    leaves = places(output).items()
    others = {p: type(leaf).__name__ for p, leaf in leaves if not is_tensor(leaf) or p.startswith(unread)}
    return put(output, dict.fromkeys(others)) if others else output, others


def described(arrays: Mapping[str, Any]) -> str:
    """The shapes of what a model gives, arrays by their places: "(2, 5)", "{'logits': (2, 5), 'loss': ()}"."""
    if list(arrays) == [""]:
        return str(arrays[""].shape)
    shapes = [f"{place[1:-1] if place.count('[') == 1 else place}: {array.shape}" for place, array in arrays.items()]
    return f"{{{', '.join(shapes[:FEW] + ['...'] * (len(shapes) > FEW))}}}"


def _plain(output: Outputs) -> Any:
    """Dataclasses and named tuples as dicts of their fields, at any depth."""
    if is_dataclass(output) and not isinstance(output, type):
        return {of.name: _plain(getattr(output, of.name)) for of in fields(output)}
    if optree.is_namedtuple_instance(output):
        return {name: _plain(getattr(output, name)) for name in output._fields}
    # A library's output classes are dicts whose constructors may do anything: a copy keeps the class without calling
    # it.
    if isinstance(output, dict):  # and its subclasses, such as model outputs
        return {name: _plain(value) for name, value in output.items()}
    if isinstance(output, list | tuple):
        return tuple(_plain(item) for item in output)
    return output


def spread(
    inputs: Inputs, function: Callable[..., Any], others: Sequence[str] = ()
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Turn inputs into (args, kwargs): a tuple's by place and a dict's by name, or either whole, as one argument.

    The function's signature decides; where Python knows none, by place and by name. `others` are arguments of the
    function that are no inputs.
    """
    if not isinstance(inputs, tuple | dict):
        return (inputs,), {}
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    # A function of one argument takes a tuple whole; Python's signature decides, not a guess.
    whole = not _fits(function, others, args, kwargs) and _fits(function, others, (inputs,), {})
    return ((inputs,), {}) if whole else (args, kwargs)


def _fits(
    function: Callable[..., Any], others: Sequence[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> bool:
    """Whether a function can be called with these arguments, as far as Python knows."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    inputs = [parameter for name, parameter in signature.parameters.items() if name not in others]
    try:
        signature.replace(parameters=inputs).bind(*args, **kwargs)
    except TypeError:
        return False
    return True
