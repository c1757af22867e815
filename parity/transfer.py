"""Weights: source -> canonical -> target, audited.

Every variable of a model belongs to exactly one canonical parameter, and both sides have the same
parameters of the same shapes. A tied weight is one parameter, the first layer's that holds it. What
does not fit is an error that names it; nothing is reshaped, cast or left over.
"""

from collections import Counter
from collections.abc import Mapping

from parity.backends import Corner
from parity.errors import ParityError
from parity.layers import Array, Layout, carrier


def layout(side: str, model: Corner) -> Layout:
    """The canonical parameters of a model, with every variable accounted for exactly once."""
    for path, uses in Counter(layer.path for layer in model.layers).items():
        if uses > 1:
            raise ParityError(f"{side}: {uses} layers are called {path}; give each its own name")
    claimed = Counter(id(v) for layer in model.layers for part in layer.parts for v in part.variables)
    for name, variable in model.variables():
        uses = claimed.get(id(variable), 0)
        if uses == 0:
            raise ParityError(
                f"{side}: variable {name} belongs to no layer of a kind that parity knows; {_teach(model, name)}"
            )
        if uses > 1:
            raise ParityError(f"{side}: variable {name} is tied, but not by whole parameters; tie all of one or none")
    kinds = {f"{layer.path}.{part.parameter}": layer.kind for layer in model.layers for part in layer.parts}
    values = model.read()
    for name, array in values.items():
        if array.dtype != carrier(model.dtype):
            raise ParityError(f"{side}: {name} is {array.dtype} in a model built as {model.dtype}")
    return {name: (kinds[name], array.shape) for name, array in values.items()}


def _teach(model: Corner, name: str) -> str:
    """What to do about a variable that no known layer holds."""
    held = f".{name.replace('/', '.')}".rpartition(".")[0]  # Keras puts the model's own name first
    paths = {path: kind for path, kind in model.nodes().items() if path and f".{path}." in f"{held}."}
    layer = max(paths, key=len, default="")
    return f"teach {layer}, of type {paths[layer]}, by custom=" if layer else "teach the layer that holds it by custom="


def agree(layouts: Mapping[str, Layout]) -> Layout:
    """The layout that both sides share. Raises ParityError naming the first parameter that differs."""
    (first, ours), (second, theirs) = layouts.items()
    for name in {**ours, **theirs}:
        if name not in ours or name not in theirs:
            side, other = (first, second) if name in ours else (second, first)
            raise ParityError(
                f"{name} of {side} has no twin in {other}, which has "
                f"{', '.join(layouts[other]) or 'no parameters'}; links= can say which layer is its twin"
            )
        if ours[name] != theirs[name]:
            told = (f"{side} has a {kinds[name][0]} of shape {kinds[name][1]}" for side, kinds in layouts.items())
            raise ParityError(f"{name}: {', '.join(told)}")
    return ours


def write(model: Corner, values: Mapping[str, Array], layout: Layout) -> None:
    """Set all parameters of a model. Raises ParityError on a missing, extra or unfitting array."""
    for name in {**layout, **values}:
        if name not in values or name not in layout:
            problem = "missing from the values" if name not in values else "not a parameter of the model"
            raise ParityError(f"{name} is {problem}")
        wanted, given = (layout[name][1], carrier(model.dtype)), (values[name].shape, str(values[name].dtype))
        if wanted != given:
            raise ParityError(f"{name} is {given[0]} {given[1]}, but should be {wanted[0]} {wanted[1]}")
    model.write(dict(values))


def transfer(source: Corner, target: Corner, layout: Layout) -> None:
    """Copy every parameter of `source` to `target`, which is of the same precision, bit for bit."""
    write(target, source.read(), layout)
