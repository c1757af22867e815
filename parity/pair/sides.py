"""The sides of a pair as links are found from: layers that hold parameters, in the order of calls, and what flows.

Where one side has several layers for one of the other's, as query, key and value beside all three in one, these are
joined; where a layer's parameters stand by themselves on the other side, it is broken into them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from parity.backends.protocol import BackendModel
from parity.canonical.custom import CUSTOM, VALUE
from parity.canonical.flow import Flow
from parity.canonical.kind import KINDS
from parity.canonical.layer import Layer
from parity.dtypes import Array, Inputs
from parity.pair.related import Option, Signature, options, sizes

Signatures = Mapping[str, Signature]
Part = tuple[str, str]  # a layer and a parameter of it


@dataclass(frozen=True)
class Side:
    """A model's layers with parameters, and its flow, as links are found from. Every change gives a new one.

    `layers` is path -> (kind, parameters' names and shapes), in the order of calls. `inside` is a layer that was
    joined, broken or stacked -> parameter -> the parts that it is made of; `former` has the layers that they are of.
    `bare` are the kinds of the layers without parameters; `longer` is table -> how many more rows it has than its
    counterpart; `stacks` are the paths of layers that stack several. `gates` is parameter -> the axis, counted from the
    last, along which it stacks a cell's gates, and how many. `name` is the side's.
    """

    layers: Signatures
    flow: Flow
    inside: Mapping[str, Mapping[str, tuple[Part, ...]]] = field(default_factory=dict)
    former: Signatures = field(default_factory=dict)
    bare: Collection[str] = ()
    longer: Mapping[str, int] = field(default_factory=dict)
    stacks: Collection[str] = ()
    gates: Mapping[Part, tuple[int, int]] = field(default_factory=dict)
    name: str = ""

    @property
    def idle(self) -> dict[str, str]:
        """The layers that do nothing for the model's output, and why."""
        # Without a run every layer would look idle.
        if not self.flow.ends:  # it did not run
            return {}
        after = self.flow.after()
        uses = {path: "never called" if path not in after else "used by nothing" for path in self.layers}
        return {path: how for path, how in uses.items() if not after.get(path)}

    def parts(self, path: str, parameter: str) -> tuple[Part, ...]:
        """The model's own parameters that a parameter is made of: itself, unless its layer was changed."""
        return self.inside.get(path, {}).get(parameter, ((path, parameter),))

    def shape(self, part: Part) -> tuple[int, ...]:
        """The shape of one of the model's own parameters."""
        return dict((self.former.get(part[0]) or self.layers[part[0]])[1])[part[1]]

    def joined(self, groups: Iterable[Sequence[str]]) -> "Side":
        """Join each group of layers, of one kind, into one: its parameters' rows are theirs, one after the other."""
        side = self
        for group in groups:
            kind, shapes = self.layers[group[0]]
            every = [dict(self.layers[path][1]) for path in group]
            rows = {name: (sum(of[name][0] for of in every), *shape[1:]) for name, shape in shapes}
            parts = {name: tuple(part for path in group for part in side.parts(path, name)) for name in rows}
            name = _together(group)
            side = side._with({path: [name] for path in group}, {name: (kind, tuple(rows.items()))}, {name: parts})
        return side

    def broken(self, paths: Iterable[str]) -> "Side":
        """Break these layers into their parameters, each a layer by itself; joined layers into those of all parts."""
        side = self
        for path in paths:
            parts = [part for name, _ in self.layers[path][1] for part in side.parts(path, name)]
            if parts == [(path, VALUE)]:
                continue
            names = {f"{of}.{name}": (of, name) for of, name in parts}
            layers = {name: (CUSTOM, ((VALUE, side.shape(part)),)) for name, part in names.items()}
            side = side._with({path: list(layers)}, layers, {name: {VALUE: (part,)} for name, part in names.items()})
        return side

    def stacked(self, name: str, paths: Sequence[str], shape: tuple[int, ...]) -> "Side":
        """Stack layers of one parameter each, of one shape, as the layer `name` with one parameter of this `shape`."""
        parts = tuple(part for path in paths for (of, _) in self.layers[path][1] for part in self.parts(path, of))
        layers = {name: (CUSTOM, ((VALUE, shape),))}
        side = self._with({path: [name] for path in paths}, layers, {name: {VALUE: parts}})
        return replace(side, stacks=[*side.stacks, name])

    def turned(self, name: str, order: Sequence[int]) -> "Side":
        """Reorder a stack: every run of `len(order)` parts alike, as the gates of each of two biases."""
        parts, count = self.inside[name][VALUE], len(order)
        turned = tuple(parts[at - at % count + order[at % count]] for at in range(len(parts)))
        return replace(self, inside={**self.inside, name: {VALUE: turned}})

    def _with(self, names: Mapping[str, list[str]], layers: Signatures, inside: Mapping[str, Any]) -> "Side":
        """Replace layers: `names` is old path -> new paths, `layers` and `inside` describe the new ones.

        The flow goes by the new paths, and new layers stand where the first of their old ones stood.
        """

        def put(paths: Iterable[str]) -> list[str]:
            return list(dict.fromkeys(new for path in paths for new in names.get(path, [path])))

        flow = Flow()
        flow.ends = self.flow.ends
        for path, sources in self.flow.before.items():
            for new in put([path]):
                flow.before.setdefault(new, set()).update(put(sources))
        known = {**self.layers, **layers}
        left = {path: known[path] for path in put(self.layers)}
        former = {**self.layers, **self.former}
        return replace(self, layers=left, flow=flow, inside={**self.inside, **inside}, former=former)


def side_of(name: str, model: BackendModel, sample: Inputs) -> Side:
    """Read a model's layers and, from one run on the sample, their flow; an empty flow where it does not run.

    Layers are in the order of first calls, those that no call reached behind the others.
    """
    values = model.parameters()
    signatures = {layer.path: _signature(layer, values) for layer in model.layers if layer.parts}
    try:
        flow = model.flow(sample)
    except Exception:  # noqa: BLE001 a user's model may raise anything; the probe tells it
        flow = Flow()
    place = {path: number for number, path in enumerate(flow.before)}
    ordered = sorted(signatures, key=lambda path: place.get(path, len(place)))
    bare = {layer.kind for layer in model.layers if not layer.parts}
    gates = {
        (layer.path, part.parameter): (_gates_axis(layer.kind, part.parameter), part.gates)
        for layer in model.layers
        for part in layer.parts
        if part.gates > 1
    }
    return Side({path: signatures[path] for path in ordered}, flow, bare=bare, gates=gates, name=name)


def _gates_axis(kind: str, parameter: str) -> int:
    """The axis, -1 the last, along which a parameter has gates: its rows, where a cell is read as dense layers."""
    axes = KINDS[kind].axes[parameter]
    return axes.index("gates" if "gates" in axes else "out") - len(axes)


def _signature(layer: Layer, values: Mapping[str, Array]) -> Signature:
    """A layer's kind, and each parameter's name and shape."""
    shapes = ((part.parameter, values[f"{layer.path}.{part.parameter}"].shape) for part in layer.parts)
    return layer.kind, tuple(shapes)


def aligned(ours: Side, theirs: Side, twins: Mapping[str, str]) -> tuple[Side, Side]:
    """Join layers of one side where the other has one for several: those that have the same sources and sizes.

    `twins` are the links so far, the first side's path -> the second's; linked layers stay as they are.
    """
    names = {theirs: ours for ours, theirs in twins.items()}
    groups: tuple[dict[Any, list[str]], dict[Any, list[str]]] = ({}, {})
    for side, groups_of, taken in zip((ours, theirs), groups, (twins, names), strict=True):
        for path in (path for path in side.layers if path not in taken):
            sources = side.flow.before.get(path, set()) - around(side.flow, path)
            groups_of.setdefault(
                frozenset(sources if side is ours else (names.get(of, of) for of in sources)), []
            ).append(path)
    joined: tuple[list[list[str]], list[list[str]]] = ([], [])
    for sources, paths in groups[0].items():
        for first, second in _cut(ours, paths, theirs, groups[1].get(sources, [])):
            joined[0].extend([first] if len(first) > 1 else [])
            joined[1].extend([second] if len(second) > 1 else [])
    return ours.joined(joined[0]), theirs.joined(joined[1])


def around(flow: Flow, path: str) -> set[str]:
    """A layer's sources that are also given its output: in a recurrence, a cell's gates by way of its state."""
    return {of for of in flow.before.get(path, ()) if path in flow.before.get(of, ())}


def cropped(ours: Side, theirs: Side, twins: Mapping[str, str]) -> tuple[Side, Side]:
    """Shorten unlinked tables to the rows of the other side's of the same width: a padded vocabulary, as a rule."""
    sides = [ours, theirs]
    tables = [
        {path: of for path in paths if (of := _table(side.layers[path]))}
        for side, paths in zip(sides, loose(ours, theirs, twins), strict=True)
    ]
    for path, (rows, *width) in tables[0].items():
        twin = next((of for of, (count, *same) in tables[1].items() if same == width and count != rows), None)
        if twin is not None:
            count = tables[1].pop(twin)[0]
            place, name = (0, path) if rows > count else (1, twin)
            kind, ((parameter, shape),) = sides[place].layers[name]
            layers = {name: (kind, ((parameter, (min(rows, count), *shape[1:])),))}
            sides[place] = replace(
                sides[place]._with({}, layers, {}), longer={**sides[place].longer, name: abs(rows - count)}
            )
    return sides[0], sides[1]


def _table(signature: Signature) -> tuple[int, ...]:
    """The shape of a layer's only parameter, if it may be a table of several rows."""
    kind, shapes = signature[0], [shape for _, shape in signature[1]]
    table = kind in ("embedding", CUSTOM) and len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][0] > 1
    return shapes[0] if table else ()


def apart(ours: Side, theirs: Side, twins: Mapping[str, str], by_user: Collection[str] = ()) -> tuple[Side, Side]:
    """Break every layer without a counterpart, or with one of other parameters, into single parameters.

    Layers that are linked `by_user` stay whole.
    """
    whole = {
        path: twin for path, twin in twins.items() if path in by_user or _whole(ours.layers[path], theirs.layers[twin])
    }
    first, second = loose(ours, theirs, whole)
    return ours.broken(first), theirs.broken(second)


def loose(ours: Side, theirs: Side, twins: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The layers that have no twin, side by side."""
    return [path for path in ours.layers if path not in twins], [p for p in theirs.layers if p not in twins.values()]


def _whole(one: Signature, other: Signature) -> bool:
    """Whether linked layers are of one known kind, or have as many parameters."""
    return one[0] == other[0] != CUSTOM or len(one[1]) == len(other[1])


def _cut(ours: Side, first: list[str], theirs: Side, second: list[str]) -> list[tuple[list[str], list[str]]]:
    """Cut two sequences of layers, in order, into pairs of pieces that hold as many numbers.

    Only pairs are given in which one piece is a single layer and the other's can be joined. What is left over at the
    end is in none.
    """
    groups: list[tuple[list[str], list[str]]] = []
    left = list(first), list(second)
    while all(left):
        pieces: tuple[list[str], list[str]] = ([left[0].pop(0)], [left[1].pop(0)])
        while (gap := _count(ours, pieces[0]) - _count(theirs, pieces[1])) != 0:
            place = int(gap > 0)
            if not left[place]:
                return groups
            pieces[place].append(left[place].pop(0))
        if min(map(len, pieces)) == 1 and all(_joins(s, of) for s, of in zip((ours, theirs), pieces, strict=True)):
            groups.append(pieces)
    return groups


def _count(side: Side, paths: Iterable[str]) -> int:
    """How many numbers these layers hold, of the largest parameter of each."""
    return sum(max(sizes(side.layers[path])) for path in paths)


def _joins(side: Side, paths: Sequence[str]) -> bool:
    """Whether layers can be joined by their rows: one kind, whose kernel's first axis is "out", and equal parameters.

    Shapes may differ in the first axis alone.
    """
    if len(paths) == 1:
        return True
    kinds = {side.layers[path][0] for path in paths}
    others = {tuple((name, shape[1:]) for name, shape in side.layers[path][1]) for path in paths}
    axes = KINDS[next(iter(kinds))].axes.get("kernel", ("",)) if kinds <= set(KINDS) else ("",)
    return len(kinds) == 1 and len(others) == 1 and axes[0] == "out"


def _together(paths: Sequence[str]) -> str:
    """A path for several layers joined: "block.query+key+value", or their whole paths where they lie apart."""
    holders = {path.rpartition(".")[0] for path in paths}
    tails = "+".join(path.rpartition(".")[2] for path in paths)
    return ".".join(filter(None, (holders.pop(), tails))) if len(holders) == 1 else "+".join(paths)


def choices(sides: tuple[Side, Side], paths: tuple[str, str]) -> list[Option]:
    """The ways to read two linked layers, the likeliest first; none where only their paths link them."""
    parts = [
        max((side.parts(path, name) for name, _ in side.layers[path][1]), key=len)
        for side, path in zip(sides, paths, strict=True)
    ]
    several = int(len(parts[1]) > 1)
    rows = [sides[several].shape(part)[0] for part in parts[several]] if max(map(len, parts)) > 1 else []
    stack = [path in side.stacks for side, path in zip(sides, paths, strict=True)]
    lead = 1 - several if any(stack) else None
    rows = [] if any(stack) else rows
    # A longer table may hold the shorter one's rows at its end or at its beginning.
    choices_of = options((sides[0].layers[paths[0]], sides[1].layers[paths[1]]), rows, several, lead)
    more = max(side.longer.get(path, 0) for side, path in zip(sides, paths, strict=True))
    return [replace(option, start=start) for start in dict.fromkeys((more, 0)) for option in choices_of]
