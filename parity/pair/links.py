"""Links: which TensorFlow layer is the twin of which torch layer, found from names, kinds, shapes and flow.

In this order: what the pair says; the same path; and of those that have one kind and shape: the only ones; those that
what flows in and out of them tells apart; those whose last names differ; and at last the order of calls, all groups
together. What can be doubted is proved by running the pair: see `parity.pair.link_proof`.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, permutations, product
from typing import Any

from parity.backends import SIDES
from parity.backends.protocol import Corner
from parity.canonical.custom import CUSTOM
from parity.canonical.flow import Flow
from parity.canonical.layer import Layer
from parity.compare.messages import dims
from parity.dtypes import Array
from parity.errors import ParityError
from parity.pair.alike import Alike

Signature = tuple[str, tuple[tuple[str, tuple[int, ...]], ...]]
Signatures = Mapping[str, Signature]
Turns = Mapping[Any, tuple[int, ...]]  # a group's shapes and size -> the order of its TensorFlow layers
FEW = 4  # layers that nothing tells apart, of which every order is tried
MOST = 60  # sets of links that are tried


@dataclass(frozen=True)
class Link:
    """A torch layer and its TensorFlow twin, by the paths that each has in its own model.

    `how` is "given", "name", "shape" (the only ones of theirs), "flow" or "order" (of calls), and then `rivals` are
    the TensorFlow paths of the same kind and shape.
    """

    torch: str
    tensorflow: str
    kind: str
    how: str
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Side:
    """What links are found from: a model's layers that hold parameters, in the order of calls, and its flow."""

    layers: Signatures
    flow: Flow

    @property
    def idle(self) -> dict[str, str]:
        """The layers that do nothing for the model's output, and why."""
        if not self.flow.ends:  # it did not run
            return {}
        after = self.flow.after()
        uses = {path: "never called" if path not in after else "used by nothing" for path in self.layers}
        return {path: how for path, how in uses.items() if not after.get(path)}


def side_of(model: Corner, sample: Any) -> Side:
    """A model as `find` needs it; what does not run is told of when it is probed."""
    values = model.read()
    found = {layer.path: _signature(layer, values) for layer in model.layers if layer.parts}
    try:
        flow = model.flow(sample)
    except Exception:  # noqa: BLE001 as above
        flow = Flow()
    place = {path: number for number, path in enumerate(flow.before)}
    return Side({path: found[path] for path in sorted(found, key=lambda path: place.get(path, len(place)))}, flow)


def _signature(layer: Layer, values: Mapping[str, Array]) -> Signature:
    shapes = ((part.parameter, values[f"{layer.path}.{part.parameter}"].shape) for part in layer.parts)
    return layer.kind, tuple(shapes)


def found(ours: Side, theirs: Side, given: Mapping[str, str]) -> Iterator[list[Link]]:
    """Sets of links, the likeliest first: each is another. Raises ParityError for a given path that there is not.

    Names that some layers alone share may be those of others, as Keras counts its layers; what flows may mislead
    where the sides compute the same in other ways; and of what nothing tells apart every order is tried.
    """
    seen = []
    for links in islice(_found(ours, theirs, given), MOST):
        twins = {(link.torch, link.tensorflow) for link in links}
        if twins not in seen:
            seen.append(twins)
            yield links


def _found(ours: Side, theirs: Side, given: Mapping[str, str]) -> Iterator[list[Link]]:
    first = _Finder(ours, theirs, given)
    yield first.links
    partly = {link.how == "name" for link in first.links} == {True, False}
    for finder in [_Finder(ours, theirs, given, named=False)] if partly else []:
        if len(finder.links) == len(first.links):
            yield finder.links
    for number in (1, 2):
        for chosen in combinations(first.guesses, number):
            orders = (list(permutations(range(first.guesses[group])))[1:] for group in chosen)
            for turned in product(*orders):
                yield _Finder(ours, theirs, given, turns=dict(zip(chosen, turned, strict=True))).links
    finder = _Finder(Side(ours.layers, Flow()), Side(theirs.layers, Flow()), given)
    if len(finder.links) == len(first.links):
        yield finder.links


def find(ours: Side, theirs: Side, given: Mapping[str, str]) -> list[Link]:
    """The likeliest links of two sides, in torch's order. Layers without a twin are in none.

    Raises ParityError for a given path that there is not.
    """
    return next(found(ours, theirs, given))


class _Finder:
    """Finds `links`, and `guesses`: the groups that only an order tells apart, with their sizes, if they are few."""

    def __init__(
        self, ours: Side, theirs: Side, given: Mapping[str, str], turns: Turns | None = None, named: bool = True
    ) -> None:
        self._sides, self._turns = (ours.layers, theirs.layers), turns or {}
        self.guesses: dict[Any, int] = {}
        self._links: dict[str, Link] = {}
        self._alike = Alike((ours.flow, theirs.flow), self._colours())
        for pair in given.items():
            self._given(*pair)
        for path in ours.layers if named else ():
            if path in theirs.layers and path not in self._links and _alike(ours.layers[path], theirs.layers[path]):
                self._link(path, path, "name")
        self._all("shape")
        self._alike.refine()
        while self._all("flow") or self._open():
            self._alike.refine()
        self._same_paths()
        self.links = [self._links[path] for path in ours.layers if path in self._links]

    def _colours(self) -> list[dict[str, Any]]:
        """Layers with the same parameters have one colour, and of one kind, unless the sides have unequal kinds there.

        A layer of the user's own is one of any kind; and GroupNorm may stand where LayerNormalization does.
        """
        shapes = [{path: tuple(sorted(of[1])) for path, of in side.items()} for side in self._sides]
        kinds: list[dict[Any, list[str]]] = [{}, {}]
        for counted, side, having in zip(kinds, self._sides, shapes, strict=True):
            for path, of in sorted(side.items(), key=lambda item: item[1][0]):
                counted.setdefault(having[path], []).append(of[0])
        equal = {having for having, counted in kinds[0].items() if kinds[1].get(having) == counted}
        return [
            {path: (of[0] if having[path] in equal else "", having[path]) for path, of in side.items()}
            for side, having in zip(self._sides, shapes, strict=True)
        ]

    def _link(self, path: str, twin: str, how: str, rivals: Sequence[str] = ()) -> None:
        kind = shared(self._sides[0][path][0], self._sides[1][twin][0])
        self._links[path] = Link(path, twin, kind, how, tuple(other for other in rivals if other != twin))
        self._alike.fix(path, twin)

    def _given(self, path: str, twin: str) -> None:
        for side, name, having in zip(SIDES, (path, twin), self._sides, strict=True):
            if name not in having:
                close = difflib.get_close_matches(name, having, 1)
                hint = f"did you mean {close[0]}? " if close else ""
                raise ParityError(f"links: {side} has no layer {name!r}; {hint}there is {', '.join(having) or 'none'}")
        ours, theirs = self._sides[0][path], self._sides[1][twin]
        if not _alike(ours, theirs):
            told = f"{path} is {describe(ours)} and {twin} is {describe(theirs)}"
            raise ParityError(f"links: {told}; they are no twins")
        self._link(path, twin, "given")

    def _all(self, how: str) -> bool:
        """Link the only ones of their class; whether there are any."""
        classes = [(ours[0], theirs[0]) for ours, theirs in self._alike.classes() if len(ours) == 1]
        for path, twin in classes:
            self._link(path, twin, how)
        return bool(classes)

    def _open(self) -> bool:
        """Link the first class of several by their last names, or by their order; whether there is one."""
        for ours, theirs in self._alike.classes():
            names = [sorted(map(_tail, paths)) for paths in (ours, theirs)]
            if names[0] == names[1] and len(set(names[0])) == len(ours):
                for path, twin in zip(sorted(ours, key=_tail), sorted(theirs, key=_tail), strict=True):
                    self._link(path, twin, "name")
                return True
            group = self._sides[0][ours[0]], len(ours)
            if len(ours) <= FEW:
                self.guesses[group] = len(ours)
            first, second = _ordered(ours, theirs)
            turned = [second[place] for place in self._turns.get(group, range(len(second)))]
            for path, twin in zip(first, turned, strict=True):
                self._link(path, twin, "order", second)
            return True
        return False

    def _same_paths(self) -> None:
        """Link what is left and has the same path, though its shapes are others: so they are told side by side."""
        taken = {link.tensorflow for link in self._links.values()}
        for path, (kind, _) in self._sides[0].items():
            twin = self._sides[1].get(path)
            if path not in self._links and path not in taken and twin is not None and kind == twin[0]:
                self._link(path, path, "name")


def shared(one: str, other: str) -> str:
    """The kind of twins of these kinds: a layer of the user's own may be one of any, and of two others is none."""
    return one if other in (one, CUSTOM) else other if one == CUSTOM else CUSTOM


def _alike(one: Signature, other: Signature) -> bool:
    return sorted(one[1]) == sorted(other[1])


def _ordered(first: Sequence[str], second: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Both in order of calls, or of their last names or their first letters where these are the same."""
    for name in (_tail, lambda path: _tail(path)[:1]):
        if sorted(map(name, first)) == sorted(map(name, second)):
            return sorted(first, key=name), sorted(second, key=name)
    return first, second


def _tail(path: str) -> str:
    return path.rpartition(".")[2].lower()


def describe(signature: Signature) -> str:
    """A layer in a few words: "dense kernel (5, 3), bias (5)"."""
    kind, shapes = signature
    return f"{kind} {', '.join(f'{name} {dims(shape)}' for name, shape in shapes)}"


def by_order(links: Sequence[Link]) -> str:
    """In a few words, that these links are a guess."""
    first = links[0]
    others = f" and {len(links) - 1} more" if len(links) > 1 else ""
    rivals = (
        first.rivals if len(first.rivals) < FEW else (*first.rivals[: FEW - 1], f"{len(first.rivals) - FEW + 1} more")
    )
    return f"{first.torch} is {first.tensorflow} (or {' or '.join(rivals)}){others}, by the order of calls alone"


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
