"""Constants: variables that a model saves and nothing trains, such as an index or the mean of all pixels.

They are no parameters: each side keeps its own, and nothing is written to them. Those that both sides have are
compared, because a table of positions computed otherwise is a bug as much as a weight is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from parity.backends.protocol import Table
from parity.compare.messages import dims, few
from parity.compare.tables import rounded_alike, wider
from parity.dtypes import Array


@dataclass(frozen=True)
class Constants:
    """How the constants of two sides compare.

    `twins` is (first side's name, second side's) -> how the two differ, "" if they do not. `alone` is side -> those
    without a counterpart, each as its name, dtype and shape in words. `settled` is (name, name) -> which of two tables
    was given the other's numbers, where one side's were rounded to float32.
    """

    twins: Mapping[tuple[str, str], str]
    alone: Mapping[str, tuple[str, ...]]
    settled: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def unequal(self) -> str:
        """Which twins differ, in a line; empty if none does."""
        parts = [f"{' and '.join(dict.fromkeys(names))} {how}" for names, how in self.twins.items() if how]
        return f"constants differ: {few(parts, '; ')}" if parts else ""

    @property
    def unshared(self) -> str:
        """Which have no twin, in a line; empty if all have."""
        parts = [f"{side} {few(names)}" for side, names in self.alone.items() if names]
        return f"constants that only one side has: {'; '.join(parts)}" if parts else ""


def settle(
    models: Mapping[tuple[str, str], Any], sides: tuple[str, str], written: Callable[[str], Mapping[str, Array]]
) -> dict[tuple[str, str], str]:
    """Give both sides the same numbers where a table of one is the other's rounded to float32; what was done, in words.

    `models` is (side, dtype) -> model, with both sides in float64; the result has the tables' names, one of each side.
    A table computed in NumPy's float32 is no wider in a float64 model, where its twin is: that is a difference of
    rounding which no precision takes away. Both models then compute with one table in every precision. `written` runs
    a side's float64 model: the constants that its code writes down. It is asked only where a table of the other side
    has no twin and more digits than float32.
    """
    tables = [models[side, "float64"].tables() for side in sides]
    settled = _matched(models, sides, tables[0], tables[1])
    for place in range(2):
        taken = {names[place] for names in settled}
        left = {name: of for name, of in tables[place].items() if name not in taken and of.assign and wider(of.array)}
        if left:
            constants = {name: Table(array) for name, array in written(sides[1 - place]).items()}
            both = (left, constants) if place == 0 else (constants, left)
            settled |= _matched(models, sides, *both)
    return settled


def _matched(
    models: Mapping[tuple[str, str], Any], sides: tuple[str, str], ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> dict[tuple[str, str], str]:
    """As `settle`, of these tables: name -> table, side by side."""
    settled = {}
    for name, one in ours.items():
        for twin, other in theirs.items():
            if rounded_alike(one.array, other.array):
                settled[name, twin] = _given(models, (sides[0], name, one), (sides[1], twin, other))
                break
    return {names: reason for names, reason in settled.items() if reason}


def _given(models: Mapping[tuple[str, str], Any], one: tuple[str, str, Any], other: tuple[str, str, Any]) -> str:
    """Write one table's numbers into the other, in every dtype of its side; return what was done, "" if neither can.

    `one` and `other` are (side, name, float64 table) each. Both directions are
    tried, since not every table can be assigned (`Table.assign`).
    """
    for (side, name, table), (_, source, wanted) in ((one, other), (other, one)):
        if table.assign is None:
            continue
        for dtype in (dtype for of, dtype in models if of == side):
            tensor = models[side, dtype].tables()[name]
            tensor.assign(np.reshape(wanted.array, tensor.array.shape).astype(tensor.array.dtype))
        gap = float(np.abs(np.squeeze(table.array) - np.squeeze(wanted.array)).max())
        return f"{side}'s {name} was given {source}'s numbers, which float32 rounds otherwise, by {gap:.1e}"
    return ""


def compare(
    constants: Mapping[str, Mapping[str, Array]], settled: Mapping[tuple[str, str], str] | None = None
) -> Constants:
    """Match the constants of two sides, side -> name -> array, and compare those that are matched.

    Counterparts have the same last name, and the same shape once axes of length 1 are dropped; or else as many axes of
    the same lengths in another order, as a kernel's.
    """
    settled = settled or {}
    ours, theirs = constants.values()
    pairs = dict(_pairs(ours, theirs))
    twins = {(name, twin): _difference([*constants], ours[name], theirs[twin]) for name, twin in pairs.items()}
    taken = {*pairs, *(one for one, _ in settled)}, {*pairs.values(), *(other for _, other in settled)}
    alone = {
        side: tuple(f"{name} {array.dtype} {dims(array.shape)}" for name, array in of.items() if name not in twinned)
        for (side, of), twinned in zip(constants.items(), taken, strict=True)
    }
    return Constants(twins, alone, settled)


def _pairs(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> Iterator[tuple[str, str]]:
    """Pairs of names, one of each side: in order, those of one last name and shape, where both sides have as many.

    Of what is left, those whose axes stand in another order.
    """
    taken: set[tuple[int, str]] = set()
    for of_shape in (tuple, sorted):
        groups: dict[object, tuple[list[str], list[str]]] = {}
        for place, side in enumerate((ours, theirs)):
            for name, array in side.items():
                last = name.replace("/", ".").rpartition(".")[2]
                # Axes of one are where frameworks broadcast: (1, time, 1) here, (time,) there.
                key = last, tuple(of_shape(np.squeeze(array).shape))
                if (place, name) not in taken:
                    groups.setdefault(key, ([], []))[place].append(name)
        # As many on both sides, or no order says whose is whose.
        pairs = [both for of in groups.values() if len(of[0]) == len(of[1]) for both in zip(*of, strict=True)]
        taken |= {(place, name) for both in pairs for place, name in enumerate(both)}
        yield from pairs


def _difference(sides: Sequence[str], one: Array, other: Array) -> str:
    """Where two constants differ most, in words, by the order of axes that fits best; empty where they are equal."""
    one, other = np.squeeze(one), np.squeeze(other)
    ways = [other]
    if one.shape != other.shape:
        turned = (other.transpose(order) for order in permutations(range(other.ndim)))
        ways = [of for of in turned if of.shape == one.shape]
    if any(np.array_equal(one, of) for of in ways):
        return ""
    gaps = [np.abs(one.astype(np.float64) - of.astype(np.float64)) for of in ways]
    nearest = min(range(len(ways)), key=lambda at: float(np.nan_to_num(gaps[at], nan=np.inf).max()))
    gap, other = gaps[nearest], ways[nearest]
    place = np.unravel_index(int(np.argmax(np.nan_to_num(gap, nan=np.inf))), gap.shape)
    where, (first, second) = dims(tuple(map(int, place))), sides
    return f"by {gap[place]:.1e} at {where}: {first} {one[place]}, {second} {other[place]}"
