"""Weights: source -> canonical -> target, audited.

Every variable of a model but its constants belongs to exactly one canonical parameter, and both sides have the same
parameters of the same shapes. A tied weight is one parameter, the first layer's that holds it. What
does not fit is an error that names it; nothing is reshaped, cast or left over.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from parity.backends.protocol import BackendModel
from parity.canonical.layer import Layout
from parity.canonical.weights import HELD, Each
from parity.compare.messages import dims
from parity.dtypes import Array, transport_dtype
from parity.errors import ParityError

FEW = 3  # layers that a message names
# Written group by group to all corners, so that no whole copy of the weights exists beside the models.
GROUP = 1 << 20  # numbers: so many of a model's exist at once, or a single parameter's
GIVEN = 'weights="given" takes models as they are'
SIZES = f"build both with the same layers, of the same sizes; {GIVEN}"
KINDS = "these are layers of different kinds: build both of one kind, or tell both by custom="
LINKS = f"make both sides alike, or let links= match them; {GIVEN}"


def layout(side: str, model: BackendModel) -> Layout:
    """The canonical parameters of a model, name -> (kind, shape), with every variable accounted for exactly once.

    Raises ParityError where layers share a path, a variable belongs to no known layer or is tied in part, or a
    parameter is not of the model's dtype.
    """
    for path, uses in Counter(layer.path for layer in model.layers).items():
        if uses > 1:
            raise ParityError(f"{side}: {uses} layers are called {path}; give each its own name")
    claimed = Counter(id(v) for layer in model.own for part in layer.parts for v in part.variables)
    constants = model.constants()
    for name, variable in ((name, variable) for name, variable in model.variables() if name not in constants):
        uses = claimed.get(id(variable), 0)
        if uses == 0:
            raise ParityError(
                f"{side}: variable {name} belongs to no layer of a kind that parity knows; {_teach(model, name)}"
            )
        if uses > 1:
            raise ParityError(f"{side}: variable {name} is tied, but not by whole parameters; tie all of one or none")
    kinds = {
        f"{layer.path}.{part.parameter}": HELD if part.held else layer.kind
        for layer in model.layers
        for part in layer.parts
    }
    return {name: (kinds[name], shape) for name, shape in precise(side, model).items()}


def precise(side: str, model: BackendModel) -> dict[str, tuple[int, ...]]:
    """A model's parameters' shapes. Raises ParityError where one is not of the dtype that it was built in."""
    shapes = {}
    for name, array in model.parameters().items():
        if array.dtype != transport_dtype(model.dtype):
            raise ParityError(f"{side}: {name} is {array.dtype} in a model built as {model.dtype}")
        shapes[name] = array.shape
    return shapes


def _teach(model: BackendModel, name: str) -> str:
    """Advice for a variable that no known layer holds: which class to describe by custom=."""
    owner = f".{name.replace('/', '.')}".rpartition(".")[0]  # Keras puts the model's own name first
    paths = {path: kind for path, kind in model.named_modules().items() if path and f".{path}." in f"{owner}."}
    layer = max(paths, key=len, default="")
    what = f"{layer}, of type {paths[layer]}," if layer else "the layer that holds it"
    return f"teach {what} by custom=, or, if it is no weight, keep it out of what the model saves"


def agree(layouts: Mapping[str, Layout], idle: Mapping[str, Mapping[str, str]]) -> Layout:
    """The layout that both sides share; `idle` is side -> layers that do nothing -> why.

    Raises ParityError naming the layers that differ, or that one side alone has.
    """
    ours, theirs = (_layers(of) for of in layouts.values())
    unlike = [path for path in ours if path in theirs and ours[path] != theirs[path]]
    if unlike:
        path = unlike[0]
        text = ", ".join(f"{s} has {_described(of[path])}" for s, of in zip(layouts, (ours, theirs), strict=True))
        same = _kind(ours[path]) == _kind(theirs[path])
        raise ParityError(f"{path}: {text}{_more(len(unlike))}; {SIZES if same else KINDS}")
    alone = {
        side: [p for p in of if p not in (theirs, ours)[n]]
        for n, (side, of) in enumerate(zip(layouts, (ours, theirs), strict=True))
    }
    if any(alone.values()):
        counts = ", ".join(f"{side} has {len(of)} parameters" for side, of in layouts.items())
        text = " and ".join(
            f"{side}'s {_few(of, alone[side], idle[side])}" for side, of in zip(layouts, (ours, theirs), strict=True)
        )
        shapes = [
            {tuple(sorted(of[path].values())) for path in alone[side]}
            for side, of in zip(layouts, (ours, theirs), strict=True)
        ]
        if shapes[0] & shapes[1]:
            raise ParityError(f"{counts}; unmatched are {text}: {LINKS}")
        resized = _resized((ours, theirs), alone)
        advice = _advice((ours, theirs), alone)
        raise ParityError(f"{resized or f'{counts}; unmatched are {text}'}: {advice or SIZES}")
    return next(iter(layouts.values()))


def _more(count: int) -> str:
    """What is said of the layers that differ beyond the first."""
    return {1: "", 2: ", and 1 more layer differs"}.get(count, f", and {count - 1} more layers differ")


def _resized(layers: Sequence[Mapping[str, Any]], alone: Mapping[str, Sequence[str]]) -> str:
    """The first unmatched layers of both sides beside each other, where all are of the same kinds in the same order."""
    kinds = [[_kind(of[path]) for path in paths] for of, paths in zip(layers, alone.values(), strict=True)]
    if kinds[0] != kinds[1]:
        return ""
    text = ", ".join(
        f"{side}'s {paths[0]} has {_described(of[paths[0]])}"
        for (side, paths), of in zip(alone.items(), layers, strict=True)
    )
    return f"sizes differ: {text}{_more(len(kinds[0]))}"


def _advice(layers: Sequence[Mapping[str, Any]], alone: Mapping[str, Sequence[str]]) -> str:
    """Advice where one side alone has batch normalizations, or a head of the size of a table that both sides have.

    The other may have the norms folded into other layers, or the head tied to the table.
    """
    [ours, theirs] = alone.values()
    if ours and theirs:
        return ""
    paths, own = [*ours, *theirs], layers[0 if ours else 1]
    side, other = [*alone] if ours else [*alone][::-1]
    if all(_kind(own[path]) == "batch_norm" for path in paths):
        return f"if {other} has {'it' if len(paths) == 1 else 'them'} folded into the layers before, {GIVEN}"
    if len(paths) != 1:
        return ""
    head = own[paths[0]]
    tables = [path for path in layers[0] if _kind(layers[0][path]) == "embedding" and path in layers[1]]
    for path in tables:
        if {of[1] for of in layers[0][path].values()} & {of[1] for of in head.values()}:
            return f"if {other} ties it to {path}, tie it in {side} too; {GIVEN}"
    return ""


def _layers(layout: Layout) -> dict[str, dict[str, tuple[str, tuple[int, ...]]]]:
    """Layer -> parameter -> its kind and shape."""
    layers: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {}
    for name, of in layout.items():
        path, _, parameter = name.rpartition(".")
        layers.setdefault(path, {})[parameter] = of
    return layers


def _kind(layer: Mapping[str, tuple[str, tuple[int, ...]]]) -> str:
    """The kind of a layer of a layout."""
    return next(kind for kind, _ in layer.values())


def _described(layer: Mapping[str, tuple[str, tuple[int, ...]]]) -> str:
    """A layer's kind and its parameters' shapes, in words."""
    return f"{_kind(layer)} {', '.join(f'{name} {dims(shape)}' for name, (_, shape) in layer.items())}"


def _few(
    layers: Mapping[str, Mapping[str, tuple[str, tuple[int, ...]]]], paths: Sequence[str], idle: Mapping[str, str]
) -> str:
    """Layers in words, those that do nothing first: they explain themselves."""
    ordered = sorted(paths, key=lambda path: path not in idle)
    texts = [
        f"{path} ({_described(layers[path])}{f', {idle[path]}' if path in idle else ''})" for path in ordered[:FEW]
    ]
    more = [f"{len(paths) - FEW} more"] if len(paths) > FEW else []
    return ", ".join(texts + more) or "none"


def write(model: BackendModel, values: Mapping[str, Array], layout: Layout) -> None:
    """Set all parameters of a model. Raises ParityError on a missing, extra or unfitting array."""
    for name in (*layout, *values):
        if name not in values or name not in layout:
            problem = "missing from the values" if name not in values else "not a parameter of the model"
            raise ParityError(f"{name} is {problem}")
    model.write(Each(layout, partial(_fitting, model, values, layout)))


def write_all(models: Sequence[BackendModel], values: Mapping[str, Array], layout: Layout) -> None:
    """As `write`, to several models: no value is computed twice, and few exist at once, `GROUP` numbers or so."""
    for names in _groups(layout):
        some = {name: values[name] for name in names}
        for model in models:
            write(model, some, {name: layout[name] for name in names})


def _groups(layout: Layout) -> Iterator[list[str]]:
    """Split a layout's names, in order, into groups of at least `GROUP` numbers each but the last."""
    names, size = list[str](), 0
    for name, (_, shape) in layout.items():
        names.append(name)
        size += math.prod(shape)
        if size >= GROUP:
            yield names
            names, size = [], 0
    if names:
        yield names


def _fitting(model: BackendModel, values: Mapping[str, Array], layout: Layout, name: str) -> Array:
    """A parameter's value. Raises ParityError where its shape or dtype is not the model's: nothing is cast."""
    value = values[name]
    wanted, actual = (layout[name][1], transport_dtype(model.dtype)), (value.shape, str(value.dtype))
    if wanted != actual:
        raise ParityError(f"{name} is {actual[0]} {actual[1]}, but should be {wanted[0]} {wanted[1]}")
    return value


def transfer(source: BackendModel, target: BackendModel, layout: Layout) -> None:
    """Copy every parameter of `source` to `target`, which is of the same precision, bit for bit."""
    write(target, source.parameters(), layout)
