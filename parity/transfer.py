"""Weights: source -> canonical -> target, audited.

Every variable of a model but its constants belongs to exactly one canonical parameter, and both sides have the same
parameters of the same shapes. A tied weight is one parameter, the first layer's that holds it. What
does not fit is an error that names it; nothing is reshaped, cast or left over.
"""

from collections import Counter
from collections.abc import Mapping

from parity.backends import Corner
from parity.errors import ParityError
from parity.explain import dims
from parity.layers import Array, Layout, carrier

FEW = 3  # layers that a message names


def layout(side: str, model: Corner) -> Layout:
    """The canonical parameters of a model, with every variable accounted for exactly once."""
    for path, uses in Counter(layer.path for layer in model.layers).items():
        if uses > 1:
            raise ParityError(f"{side}: {uses} layers are called {path}; give each its own name")
    claimed = Counter(id(v) for layer in model.layers for part in layer.parts for v in part.variables)
    constants = model.constants()
    for name, variable in ((name, variable) for name, variable in model.variables() if name not in constants):
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
    what = f"{layer}, of type {paths[layer]}," if layer else "the layer that holds it"
    return f"teach {what} by custom=, or, if it is no weight, keep it out of what the model saves"


def agree(layouts: Mapping[str, Layout]) -> Layout:
    """The layout that both sides share. Raises ParityError naming the layers, or the first parameter, that differ."""
    ours, theirs = layouts.values()
    if set(ours) != set(theirs):
        counts = ", ".join(f"{side} has {len(of)} parameters" for side, of in layouts.items())
        alone = [
            f"{side}'s {_alone(of, other)}" for (side, of), other in zip(layouts.items(), (theirs, ours), strict=True)
        ]
        raise ParityError(
            f"{counts}; without a twin are {' and '.join(alone)}: make both sides alike, or let links= say who is whose"
        )
    for name in ours:
        if ours[name] != theirs[name]:
            told = (f"{side} has a {kinds[name][0]} of shape {kinds[name][1]}" for side, kinds in layouts.items())
            raise ParityError(f"{name}: {', '.join(told)}; build both with the same sizes")
    return ours


def _alone(layout: Layout, other: Layout) -> str:
    """The layers with a parameter that the other side has not, in words."""
    layers = dict.fromkeys(name.rpartition(".")[0] for name in layout if name not in other)
    told = []
    for layer in list(layers)[:FEW]:
        held = {name: of for name, of in layout.items() if name.rpartition(".")[0] == layer}
        shapes = ", ".join(f"{name.rpartition('.')[2]} {dims(shape)}" for name, (_, shape) in held.items())
        told.append(f"{layer} ({next(iter(held.values()))[0]} {shapes})")
    more = [f"{len(layers) - FEW} more"] if len(layers) > FEW else []
    return ", ".join(told + more) or "none"


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
