"""Counterparts of containers: of modules that hold layers and have no parameters of their own.

Layers are linked by what they hold (`links`); what holds them is known by that alone. Where a difference is located, a
block of a model is told by the name that the first side has for it.
"""

from collections.abc import Iterable, Mapping, Sequence

from parity.pair.twins import Link


def node_paths(ours: Mapping[str, str], theirs: Mapping[str, str], links: Sequence[Link], side: str) -> tuple[str, ...]:
    """A path for every module of the second side, in its order: that of its counterpart in the first, if it has one.

    `ours` and `theirs` are each side's modules, path -> type. A container's counterpart is the one that holds exactly
    the counterparts of its layers. A module without one keeps its own path; where that is taken, " of `side`" is
    added, the second side's name.
    """
    names = {link.theirs: link.ours for link in links}
    twins = {link.ours: link.theirs for link in links}
    # The outermost of several that hold the same: a wrapper around one layer is no twin of that layer.
    enclosing = {_within(path, twins): path for path in reversed([path for path in ours if path not in twins])}
    for path in theirs:
        inside = frozenset(names[of] for of in _within(path, names))
        if path in names or path in ours or not inside:
            continue
        twin = enclosing.pop(inside, None)
        if twin is not None and twin not in theirs:
            names[path] = twin
    taken = set(names.values())
    return tuple(names.get(path, f"{path} of {side}" if path in taken else path) for path in theirs)


def _within(path: str, layers: Iterable[str]) -> frozenset[str]:
    """The layers below a path."""
    return frozenset(of for of in layers if of.startswith(f"{path}."))
