"""Constants: variables that a model saves and nothing trains, such as an index or the mean of all pixels.

They are no parameters: each side keeps its own. Those that both sides have are compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from parity.compare.messages import dims
from parity.dtypes import Array

FEW = 3  # that a line names


@dataclass(frozen=True)
class Constants:
    """Names of twins, one of each side, with how they differ, "" if they do not; and those that have no twin.

    `alone` is side -> name and shape, in words.
    """

    twins: Mapping[tuple[str, str], str]
    alone: Mapping[str, tuple[str, ...]]

    @property
    def unequal(self) -> str:
        """Which twins differ, in a line; empty if none does."""
        told = [f"{' and '.join(dict.fromkeys(names))} {how}" for names, how in self.twins.items() if how]
        return f"constants differ: {_few(told, '; ')}" if told else ""

    @property
    def unshared(self) -> str:
        """Which have no twin, in a line; empty if all have."""
        told = [f"{side} {_few(names)}" for side, names in self.alone.items() if names]
        return f"constants that only one side has: {'; '.join(told)}" if told else ""


def compare(constants: Mapping[str, Mapping[str, Array]]) -> Constants:
    """Those of two sides: side -> name -> array. Twins have the same last name and shape, but for axes of one."""
    ours, theirs = constants.values()
    pairs = dict(_pairs(ours, theirs))
    twins = {(name, twin): _difference([*constants], ours[name], theirs[twin]) for name, twin in pairs.items()}
    taken = set(pairs), set(pairs.values())
    alone = {
        side: tuple(f"{name} {array.dtype} {dims(array.shape)}" for name, array in of.items() if name not in twinned)
        for (side, of), twinned in zip(constants.items(), taken, strict=True)
    }
    return Constants(twins, alone)


def _pairs(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> Iterator[tuple[str, str]]:
    """In order, those of one last name and shape, where both sides have as many."""
    groups: dict[object, tuple[list[str], list[str]]] = {}
    for place, side in enumerate((ours, theirs)):
        for name, array in side.items():
            last = name.replace("/", ".").rpartition(".")[2]
            groups.setdefault((last, np.squeeze(array).shape), ([], []))[place].append(name)
    for first, second in groups.values():
        if len(first) == len(second):
            yield from zip(first, second, strict=True)


def _difference(sides: Sequence[str], one: Array, other: Array) -> str:
    one, other = np.squeeze(one), np.squeeze(other)
    if np.array_equal(one, other):
        return ""
    gap = np.abs(one.astype(np.float64) - other.astype(np.float64))
    place = np.unravel_index(int(np.argmax(np.nan_to_num(gap, nan=np.inf))), gap.shape)
    where, (first, second) = dims(tuple(map(int, place))), sides
    return f"by {gap[place]:.1e} at {where}: {first} {one[place]}, {second} {other[place]}"


def _few(told: list[str] | tuple[str, ...], between: str = ", ") -> str:
    return between.join(told[:FEW]) + (f" and {len(told) - FEW} more" if len(told) > FEW else "")
