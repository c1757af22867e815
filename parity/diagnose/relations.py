"""What each parameter of one model was made from in another, found from their values alone, whatever they are called.

Equal arrays, whole ones in another order of their axes, and then, by a table of every number's bits, any array each of
whose axes runs through the other model's numbers in some order: a part of a fused one, several joined, heads split off,
gates or rows in another order. What is no number of the other model may be one rounded, or multiplied, or added to.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np

from parity.diagnose.layers.functions import by_channel, of_each
from parity.diagnose.layers.orders import RESHAPED, RUNS_ON, TRANSPOSED, arranged
from parity.diagnose.layers.weight_relations import numbers
from parity.diagnose.strides import along, commonest, stride
from parity.dtypes import EPS, Array, round_to

CASTS = ("float32", "float16", "bfloat16")
THROUGH = {"float32": "", "float16": "rounded through float16", "bfloat16": "rounded through bfloat16"}
MOST = 2**26  # numbers of a model that are looked up one by one
NEARLY = 0.9  # of the numbers of an array that is one but for a few
UNITS = 4  # of the last place by which a product may be off
SUMS = 400  # pairs of arrays that are added up
Values = Mapping[str, Array]
Marks = dict[tuple[int, int, int], list[str]]  # fingerprint -> names of the arrays that have it


@dataclass(frozen=True)
class Origins:
    """A parameter of the port, the arrays of the source that it was made from, and how; no `sources` if unknown.

    `how` is empty where all bits are the same. `plain` is what the sources give in the parameter's shape and order,
    without rounding, factors or additions; `others` is what else may have been meant. `cause` names what happened to
    one that was multiplied or added to.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[str, ...] = ()
    how: tuple[str, ...] = ()
    plain: Array | None = None
    cause: str = "weights changed"
    others: tuple[Array, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether every number is one of the other model's, bit for bit."""
        return bool(self.sources) and not any(word for word in self.how if word not in LAYOUTS)


PART, JOINED, ORDERED = "a part", "joined", "in another order"
CONSTANT, UNKNOWN = "constant", "none of the other side's"
BUT_FOR = "but for"  # so many elements
UNTIED = "untied"  # one array of the source's is several of the port's
LAYOUTS = (TRANSPOSED, RESHAPED, RUNS_ON, PART, JOINED, CONSTANT, UNTIED)


def related(source: Values, port: Values) -> list[Origins]:
    """Find what each parameter of the port was made from, in the port's order; both are compared in float32.

    Whole arrays first, then number by number, if the source has no more than `MOST`, then sums and products of what
    is not used yet.
    """
    origins: dict[str, Origins] = {}
    values = {name: np.asarray(array, np.float32) for name, array in source.items()}
    wanted = {name: np.asarray(array, np.float32) for name, array in port.items()}
    marks = {cast: _marked(values, cast) for cast in CASTS}
    taken: set[str] = set()
    for name, array in wanted.items():
        whole = _constant(name, array, values, taken) if _is_constant(array) else _whole(name, array, values, marks)
        if whole is not None:
            origins[name] = whole
            taken |= {*whole.sources}
    left = {name: array for name, array in wanted.items() if name not in origins}
    if left and sum(array.size for array in values.values()) <= MOST:
        tables = cache(lambda cast: _Table(values, cast))
        for name, array in left.items():
            several = next(filter(None, (tables(cast).view(name, array) for cast in _casts(array))), None)
            if several is not None:
                origins[name] = several
                taken |= {*several.sources}
    unused = {name: array for name, array in values.items() if name not in taken}
    for name, array in left.items():
        if name not in origins:
            origins[name] = _made(name, array, unused) or _computed(name, array, values) or Origins(name, array.shape)
    every = [origins[name] for name in wanted]
    used = Counter(of.sources for of in every if _single(of))
    return [replace(of, how=(*of.how, UNTIED)) if _single(of) and used[of.sources] > 1 else of for of in every]


def _single(of: Origins) -> bool:
    """Whether a parameter was made from one whole array, and not of a constant."""
    return len(of.sources) == 1 and not {CONSTANT, PART} & {*of.how}


def tied(source: Values, origins: Sequence[Origins]) -> dict[str, str]:
    """Unused parameter of the source -> the used one that holds the same bits: a tied weight that was stored twice."""
    left = unused(source, origins)
    taken = [name for name in source if name not in left and not _is_constant(np.asarray(source[name]))]
    pairs = ((name, other) for name in left for other in taken if _equal(source[name], source[other]))
    return dict(pairs)


def unused(source: Values, every: Sequence[Origins]) -> list[str]:
    """The source's parameters that no parameter of the port was made from."""
    taken = {name for origins in every for name in origins.sources}
    return [name for name in source if name not in taken]


def _bits(array: Array) -> Array:
    """The float32 bits of an array's numbers, (n,) uint32, which tell 0 from -0 and compare NaN."""
    bits: Array = np.ascontiguousarray(array, np.float32).reshape(-1).view(np.uint32)
    return bits


def _is_constant(array: Array) -> bool:
    return bool(array.size) and bool((array == array.flat[0]).all())


def _constant(name: str, array: Array, values: Values, taken: set[str]) -> Origins | None:
    """The origin of an array of one repeated number: the first unused array of the source that holds the same.

    One number says little, so any such array may be it.
    """
    same = [
        of for of, other in values.items() if other.size == array.size and _equal(other.reshape(array.shape), array)
    ]
    source = next((of for of in same if of not in taken), next(iter(same), None))
    return Origins(name, array.shape, (source,), (CONSTANT,), array) if source else None


def _marked(values: Values, cast: str) -> Marks:
    """Fingerprint, which no order of the elements changes -> the source's arrays that have it, rounded by a cast."""
    marks: Marks = {}
    for name, array in values.items():
        marks.setdefault(_mark(round_to(array, cast)), []).append(name)
    return marks


def _mark(array: Array) -> tuple[int, int, int]:
    """An array's count, and the sums of its bits and of their squares as whole numbers (modulo 2^64)."""
    bits = _bits(array).astype(np.uint64)
    return array.size, int(bits.sum()), int((bits * bits).sum())


def _casts(array: Array) -> Iterator[str]:
    """The casts that an array may have gone through."""
    return (cast for cast in CASTS if cast == "float32" or _equal(round_to(array, cast), array))


def _equal(one: Array, other: Array) -> bool:
    return one.shape == other.shape and np.array_equal(_bits(one), _bits(other))


def _whole(name: str, array: Array, values: Values, marks: Mapping[str, Marks]) -> Origins | None:
    """An array of the source, all of it, with its axes in another order."""
    for cast in _casts(array):
        for source in sorted(marks[cast].get(_mark(array), ()), key=lambda of: values[of].shape != array.shape):
            for how, array_made in arranged(values[source], array.shape):
                if _equal(round_to(array_made, cast), array):
                    return Origins(name, array.shape, (source,), _words(how, THROUGH[cast]), array_made)
    return None


class _Table:
    """Every number of a model, rounded by a cast, and where it stands: in one array that has all, one after another."""

    def __init__(self, values: Values, cast: str) -> None:
        self._names, self._cast = list(values), cast
        self._sizes = {name: array.size for name, array in values.items()}
        self._all = np.concatenate([array.reshape(-1) for array in values.values()])
        self._bits = _bits(round_to(self._all, cast))
        self._ends = np.cumsum([array.size for array in values.values()])
        self._order = np.argsort(self._bits, kind="stable")
        self._sorted = self._bits[self._order]

    def view(self, name: str, array: Array) -> Origins | None:
        """An array each of whose axes runs through the model's numbers in some order, but for a few numbers."""
        at = self._places(array)
        steps = [step for step in (along(at, axis) for axis in range(array.ndim)) if step is not None]
        if not (at >= 0).any() or len(steps) < array.ndim:
            return None
        grid = sum(np.ix_(*steps)) if array.ndim else np.zeros((), np.int64)
        known = at >= 0
        # Every known number votes for where the first one stands; a few may have been altered.
        places = np.asarray(grid) + commonest((at - grid)[known])
        if places.min() < 0 or places.max() >= len(self._bits):
            return None
        same = self._bits[places] == _bits(array).reshape(array.shape)
        if same.mean() < NEARLY:
            return None
        sources = [self._names[place] for place in np.unique(np.searchsorted(self._ends, places, "right"))]
        how = [*self._told(steps, sources, array), THROUGH[self._cast]]
        how += [] if same.all() else [f"{BUT_FOR} {int((~same).sum())} of {array.size} elements"]
        return Origins(name, array.shape, tuple(sources), _words(*how), self._all[places])

    def _places(self, array: Array) -> Array:
        """Where each number stands in the model, in the array's shape; -1 where nowhere or at several places."""
        wanted = _bits(array)
        first = np.searchsorted(self._sorted, wanted)
        inside = first < len(self._sorted)
        inside[inside] = self._sorted[first[inside]] == wanted[inside]
        again = first + 1 < len(self._sorted)
        again[again] = self._sorted[first[again] + 1] == wanted[again]
        places = np.where(inside & ~again, self._order[np.minimum(first, len(self._order) - 1)], -1)
        return places.reshape(array.shape)

    def _told(self, steps: list[Array], sources: list[str], array: Array) -> Iterator[str]:
        """Words for how the places run through the source's arrays: joined, a part, in another order, transposed."""
        strides = [stride(step) for step in steps if len(step) > 1]
        straight = all((np.diff(step) > 0).all() and len({*np.diff(step)}) <= 1 for step in steps)
        if len(sources) > 1:
            yield JOINED
        elif array.size < self._sizes[sources[0]]:
            yield PART
        if len(sources) == 1 and not straight:
            yield ORDERED
        if strides != sorted(strides, reverse=True):
            yield TRANSPOSED


def _made(name: str, array: Array, values: Values) -> Origins | None:
    """The origin of an array that is one of the source's times a number, or plus one, or the sum of two of them."""
    if _is_constant(array):
        return None
    alike = {of: other for of, other in values.items() if other.size == array.size and not _is_constant(other)}
    for source, other in alike.items():
        for how, candidate in arranged(other, array.shape):
            for cause, description, function in numbers(candidate, array, array.shape):
                if _nearly(function(candidate), array):
                    return Origins(name, array.shape, (source,), _words(how, description), candidate, cause)
    for first, second in [*combinations(alike, 2)][:SUMS]:
        if values[first].shape == values[second].shape:
            for how, candidate in arranged(values[first] + values[second], array.shape):
                if _equal(candidate, array):
                    return Origins(name, array.shape, (first, second), _words(how, "added up"), candidate, "offset")
    return None


def _computed(name: str, array: Array, values: Values) -> Origins | None:
    """The origin of an array that is a function of each number of the source's, or has a factor for each channel."""
    vectors = {of: other for of, other in values.items() if other.ndim == 1}
    for source, other in values.items():
        for how, candidate in arranged(other, array.shape) if other.size == array.size else ():
            for cause, description, _ in of_each(candidate, array):
                return Origins(name, array.shape, (source,), _words(how, description), candidate, cause)
            for of in by_channel(candidate, array, vectors):
                others = tuple(one.astype(np.float32) for one in of.others)
                words, names = _words(how, of.told), (source, *of.names)
                return Origins(name, array.shape, names, words, candidate, "scale", others)
    return None


def _words(*words: str) -> tuple[str, ...]:
    return tuple(filter(None, words))


def _nearly(candidate: Array, array: Array) -> bool:
    """Whether no number is further off than `UNITS` roundings of the largest: a product in another order."""
    off = np.abs(candidate.astype(np.float64) - array)
    return bool((off <= UNITS * EPS["float32"] * np.abs(array).max(initial=0.0)).all())
