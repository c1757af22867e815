"""Links: which TensorFlow layer is the twin of which torch layer, found from names, kinds, shapes and calls.

In this order: what the pair says; the same path; the only ones of a kind and shape; and where several
have one kind and shape, those whose last names are alike, each in the order of calls. The last is a
guess, which is proved by running the pair: see `parity.corners`.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations, permutations
from typing import Any

from parity.backends import SIDES, Corner
from parity.errors import ParityError
from parity.explain import dims
from parity.layers import CUSTOM, Array, Layer

Signature = tuple[str, tuple[tuple[str, tuple[int, ...]], ...]]
Signatures = Mapping[str, Signature]
FEW = 4  # layers of one container, of which every order is tried
SOME = 8  # layers, of which every two are tried in each other's place


@dataclass(frozen=True)
class Link:
    """A torch layer and its TensorFlow twin, by the paths that each has in its own model.

    `how` is "given", "name", "shape" (the only ones of theirs) or "order" (of calls), and then `rivals` are
    the TensorFlow paths of the same kind and shape.
    """

    torch: str
    tensorflow: str
    kind: str
    how: str
    rivals: tuple[str, ...] = ()


def signed(model: Corner, sample: Any) -> dict[str, Signature]:
    """A model's layers that hold parameters of their own, in the order in which they are first called."""
    values, order = model.read(), _called(model, sample)
    found = {layer.path: _signature(layer, values) for layer in model.layers if layer.parts}
    place = {path: number for number, path in enumerate(order)}
    return {path: found[path] for path in sorted(found, key=lambda path: place.get(path, len(place)))}


@dataclass
class _Calls:
    """Remembers the order in which layers are first called."""

    order: list[str] = field(default_factory=list)

    def enter(self, path: str, _: list[Array]) -> None:
        if path not in self.order:
            self.order.append(path)

    def leave(self, _: Any) -> None:
        pass


def _called(model: Corner, sample: Any) -> list[str]:
    watch = _Calls()
    try:
        model.replay(sample, list(model.nodes()), watch)
    except Exception:  # noqa: BLE001 what does not run is told of when it is probed
        return []
    return watch.order


def _signature(layer: Layer, values: Mapping[str, Array]) -> Signature:
    shapes = ((part.parameter, values[f"{layer.path}.{part.parameter}"].shape) for part in layer.parts)
    return layer.kind, tuple(shapes)


def find(torch: Signatures, tensorflow: Signatures, given: Mapping[str, str]) -> list[Link]:
    """The links of two sides, in torch's order. Layers without a twin are in none.

    Raises ParityError for a given path that there is not.
    """
    ours, theirs = dict(torch), dict(tensorflow)
    links = [_given(ours, theirs, *pair) for pair in given.items()]
    named = [path for path in ours if path in theirs and shared(ours[path][0], theirs[path][0])]
    links += [Link(path, path, shared(ours.pop(path)[0], theirs.pop(path)[0]), "name") for path in named]
    having = _by_shapes(theirs)
    for shapes, own in _by_shapes(ours).items():
        for signature in dict.fromkeys(ours[path] for path in own):
            first = [path for path in own if ours[path] == signature]
            left = [path for path in having.get(shapes, ()) if path in theirs]
            second = [path for path in left if theirs[path] == signature]
            second = second or [path for path in left if _alike(signature, theirs[path])]
            if len(first) == len(second):
                links += _group(first, second, shared(signature[0], theirs[second[0]][0]))
                for path in second:
                    del theirs[path]
    place = {path: number for number, path in enumerate(torch)}
    return sorted(links, key=lambda link: place[link.torch])


def shared(one: str, other: str) -> str:
    """The kind of twins of these kinds, empty if they are none: a layer of the user's own may be one of any kind."""
    return one if other in (one, CUSTOM) else other if one == CUSTOM else ""


def _alike(one: Signature, other: Signature) -> bool:
    return bool(shared(one[0], other[0])) and sorted(one[1]) == sorted(other[1])


def _by_shapes(side: Signatures) -> dict[Any, list[str]]:
    """Only layers whose parameters have the same names and shapes can be twins."""
    found: dict[Any, list[str]] = {}
    for path, (_, shapes) in side.items():
        found.setdefault(tuple(sorted(shapes)), []).append(path)
    return found


def _given(ours: dict[str, Signature], theirs: dict[str, Signature], path: str, twin: str) -> Link:
    for side, name, having in ((SIDES[0], path, ours), (SIDES[1], twin, theirs)):
        if name not in having:
            close = difflib.get_close_matches(name, having, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ParityError(f"links: {side} has no layer {name!r}; {hint}there is {', '.join(having) or 'none'}")
    if not _alike(ours[path], theirs[twin]):
        told = " and ".join(f"{name} is {describe(of)}" for name, of in ((path, ours[path]), (twin, theirs[twin])))
        raise ParityError(f"links: {told}; they are no twins")
    kind = shared(ours.pop(path)[0], theirs.pop(twin)[0])
    return Link(path, twin, kind, "given")


def _group(first: Sequence[str], second: Sequence[str], kind: str) -> list[Link]:
    """Links of layers of one kind and shape, both lists in order of calls."""
    if len(first) == 1:
        return [Link(first[0], second[0], kind, "shape")]
    for name in (_tail, lambda path: _tail(path)[:1]):
        if sorted(map(name, first)) == sorted(map(name, second)):
            first, second = sorted(first, key=name), sorted(second, key=name)
            break
    pairs = zip(first, second, strict=True)
    return [Link(one, other, kind, "order", tuple(path for path in second if path != other)) for one, other in pairs]


def _tail(path: str) -> str:
    return path.rpartition(".")[2].lower()


def describe(signature: Signature) -> str:
    """A layer in a few words: "dense kernel (5, 3), bias (5)"."""
    kind, shapes = signature
    return f"{kind} {', '.join(f'{name} {dims(shape)}' for name, shape in shapes)}"


def others(links: Sequence[Link]) -> Iterable[list[Link]]:
    """The same links with the TensorFlow layers of one ambiguous group in another order, one group at a time."""
    groups: dict[frozenset[str], list[Link]] = {}
    for link in links:
        if link.how == "order":
            groups.setdefault(frozenset((link.tensorflow, *link.rivals)), []).append(link)
    for group in groups.values():
        for order in _orders(group):
            changed = {link.torch: twin for link, twin in zip(group, order, strict=True)}
            yield [_with_twin(link, changed.get(link.torch, link.tensorflow)) for link in links]


def _with_twin(link: Link, twin: str) -> Link:
    rivals = (path for path in (link.tensorflow, *link.rivals) if path != twin)
    return replace(link, tensorflow=twin, rivals=tuple(rivals))


def _orders(group: Sequence[Link]) -> Iterable[list[str]]:
    """One order for the layers of each container, the same in all; and then every two layers exchanged."""
    twins = [link.tensorflow for link in group]
    each = sum(_parent(link.torch) == _parent(group[0].torch) for link in group)
    if 1 < each <= FEW and len(twins) % each == 0:
        blocks = [twins[start : start + each] for start in range(0, len(twins), each)]
        for order in permutations(range(each)):
            yield list(chain.from_iterable([block[place] for place in order] for block in blocks))
    if len(twins) <= SOME:
        for one, other in combinations(range(len(twins)), 2):
            changed = list(twins)
            changed[one], changed[other] = changed[other], changed[one]
            yield changed


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def layer_kinds(layers: Iterable[Layer], links: Sequence[Link], side: str) -> tuple[str, ...]:
    """For each layer of a side, in order, the kind of its link."""
    kinds = {getattr(link, side): link.kind for link in links}
    return tuple(kinds.get(layer.path, layer.kind) for layer in layers)


def layer_paths(theirs: Iterable[str], links: Sequence[Link]) -> tuple[str, ...]:
    """For each path of a TensorFlow layer, in order, the one of its torch twin."""
    names = {link.tensorflow: link.torch for link in links}
    return tuple(names.get(path, path) for path in theirs)


def node_paths(ours: Mapping[str, str], theirs: Mapping[str, str], links: Sequence[Link]) -> tuple[str, ...]:
    """The same for every node: a container is the twin of the one that holds the twins of its layers."""
    names = {link.tensorflow: link.torch for link in links}
    twins = {link.torch: link.tensorflow for link in links}
    # The outermost of several that hold the same: a wrapper around one layer is no twin of that layer.
    held = {_within(path, twins): path for path in reversed([path for path in ours if path not in twins])}
    for path in theirs:
        inside = frozenset(names[of] for of in _within(path, names))
        if path in names or path in ours or not inside:
            continue
        twin = held.pop(inside, None)
        if twin is not None and twin not in theirs:
            names[path] = twin
    taken = set(names.values())
    return tuple(names.get(path) or (f"{path} of {SIDES[1]}" if path in taken else path) for path in theirs)


def _within(path: str, layers: Iterable[str]) -> frozenset[str]:
    return frozenset(of for of in layers if of.startswith(f"{path}."))
