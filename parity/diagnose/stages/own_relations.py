"""Why two models with weights of their own differ: what one side's parameters are of the other's, whatever holds them.

What each was made from is found from the values, and taken back: a factor, a square matrix turned, rows in another
order, a parameter in another's place, or one that nothing was made from, given what nothing else was. A cause is what
brings the outputs together; parameters of one shape and one name but for its numbers are changed together.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from parity.compare.messages import few
from parity.diagnose import Cause
from parity.diagnose.layers.functions import owner
from parity.diagnose.layers.orders import RUNS_ON, arranged, left_out, ordered, turns
from parity.diagnose.layers.weights import FIXES
from parity.diagnose.relations import BUT_FOR, CONSTANT, JOINED, LAYOUTS, ORDERED, Origins, unused
from parity.diagnose.stages.own_orders import Change, Values, orders
from parity.dtypes import Array
from parity.pair.orders import permuted

MOST = 192  # changes that are tried


def changes(port: Values, source: Values, origins: Sequence[Origins]) -> Iterator[Change]:
    """Everything that may have happened to the port's parameters, each as the values with it taken back.

    `origins` are what each was made from. First what values themselves show, then orders that they do not show, then
    parameters in each other's place.
    """
    groups: dict[tuple[str, tuple[int, ...]], list[Origins]] = {}
    for of in origins:
        groups.setdefault((re.sub(r"\d+", "*", of.name), of.shape), []).append(of)
    for group in groups.values():
        for part in ([group] if len(group) > 1 else []) + [[of] for of in group]:
            yield from _of_values(part, port, source)
    yield from _ordered(origins, port, source)
    left = {name: source[name] for name in unused(source, origins)}
    for of in origins:
        lacking, array = not of.sources or CONSTANT in of.how, port[of.name]
        # What nothing was made from may be what this one lacks: all of it, or a second bias that was not added.
        for name, unread in left.items() if lacking or of.exact else ():
            for _, view in arranged(unread, of.shape):
                if lacking:
                    yield "weights not copied", f"without what the other side has in {name}", {of.name: view}
                elif array.ndim == 1:
                    yield (
                        "bias missing",
                        f"without what the other side adds in {name}",
                        {of.name: array + view.astype(np.float64)},
                    )
    yield from _left_out(origins, port, source)
    yield from orders(port)
    # Any two of a shape may be exchanged, which are many. Parts of one array, as query and key of both kernels in one,
    # are exchanged where it was cut.
    for one, other in sorted(combinations(origins, 2), key=lambda both: both[0].sources == both[1].sources):
        if one.shape == other.shape and not np.array_equal(port[one.name], port[other.name]):
            swapped = {one.name: port[other.name], other.name: port[one.name]}
            yield "weights swapped", f"in the place of {other.name}, and the other way round", swapped


def _left_out(every: Sequence[Origins], port: Values, source: Values) -> Iterator[Change]:
    """What was left in its order where several others have another: each as it is in theirs."""
    both = {}
    for of in every:
        array = port[of.name]
        views = [view for _, view in arranged(source[of.sources[0]], of.shape)] if len(of.sources) == 1 else []
        # The view that it is, or whose order it has; a layout that nothing was moved in needs no order.
        same = next((view for view in views if np.array_equal(view, array)), None)
        moved = next((view for view in views if permuted(view, array)), None) if same is None else same
        if moved is not None:
            both[of.name] = moved, array
    for left in left_out(both, {}):
        if 1 < len(left.moved) >= len(left.values):
            yield left.cause, left.told, left.values


def _of_values(group: list[Origins], port: Values, source: Values) -> Iterator[Change]:
    """Changes that take the same back in all parameters of a group."""
    words = [word for word in group[0].how if word not in LAYOUTS and word != ORDERED]
    words = ["as the other side has it", *words] if words and words[0].startswith(BUT_FOR) else words
    if words and all(of.plain is not None for of in group):
        yield group[0].cause, ", ".join(words), {of.name: of.plain for of in group if of.plain is not None}
    for others in zip(*(of.others for of in group), strict=False):
        yield group[0].cause, ", ".join(words), {of.name: other for of, other in zip(group, others, strict=True)}
    if all(RUNS_ON in of.how for of in group):
        for every in zip(*(turns(port[of.name]) for of in group), strict=False):
            yield "transposed", every[0][0], {of.name: array for of, (_, array) in zip(group, every, strict=True)}
    if all(ORDERED in of.how and JOINED not in of.how for of in group):
        whole = [[views for _, views in arranged(source[of.sources[0]], of.shape)] for of in group]
        for views in zip(*whole, strict=False):
            what, description = _order(views[0], port[group[0].name]) or ("order", ORDERED)
            yield what, description, {of.name: array for of, array in zip(group, views, strict=True)}
    shape = group[0].shape
    for first, second in combinations(range(len(shape)), 2):
        if shape[first] == shape[second] > 1:
            turned = {of.name: np.ascontiguousarray(port[of.name].swapaxes(first, second)) for of in group}
            yield "transposed", "transposed", turned


def _order(view: Array, array: Array) -> tuple[str, str] | None:
    """What the order is called in which an array has the numbers of another, and how it is told; None if by no name."""
    relations = (of for of in ordered("dense", "", view, array) if np.array_equal(of.made, array))
    if named := next(((of.cause, of.told) for of in relations), None):
        return named
    long = [axis for axis, length in enumerate(view.shape) if length > 1]
    for axes in (of for size in range(1, len(long) + 1) for of in combinations(long, size)):
        if np.array_equal(np.flip(view, axes), array):
            return "kernel backwards", f"backwards along ax{'e' if len(axes) > 1 else 'i'}s {', '.join(map(str, axes))}"
    return None


def _ordered(every: Sequence[Origins], port: Values, source: Values) -> Iterator[Change]:
    """Everything that has an order of one name, as it is without: all of it at once, then each layer in every block.

    A kernel and its bias, or query and key, are turned together or not at all.
    """
    alike: dict[tuple[str, str], dict[str, tuple[str, Array]]] = {}
    for of in every:
        if ORDERED not in of.how or JOINED in of.how:
            continue
        views = (view for _, view in arranged(source[of.sources[0]], of.shape))
        named = next(((order, view) for view in views if (order := _order(view, port[of.name]))), None)
        if named is not None:
            (name, words), view = named
            for layer in ("", re.sub(r"\d+", "*", owner(of.name))):
                alike.setdefault((name, layer), {})[of.name] = words, view
    for (name, _), members in sorted(alike.items(), key=lambda item: item[0][1] != ""):
        if len(members) > 1:
            yield name, next(iter(members.values()))[0], {at: view for at, (_, view) in members.items()}


def cause(change: Change, side: str, left: tuple[float, float]) -> Cause:
    """The cause that a change has proved."""
    name, description, values = change
    names = [*values]
    what = names[0] if name == "weights swapped" else few(names)
    return Cause(name, owner(names[0]), f"{side} has {what} {description}", f"{FIXES[name]} ({side})", *left)
