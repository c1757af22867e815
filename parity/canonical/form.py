"""A form: which canonical layers a model's own layers are, so that they match the other side's, and how to read them.

It is plain data, by the places of a model's own layers and parts: another process, which builds the model anew, reads
it alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from parity.canonical.layer import CanonicalParameter, Layer
from parity.canonical.transforms import Transform
from parity.canonical.weights import neutral
from parity.dtypes import Array

Source = tuple[int, int]  # the index of a layer among a model's own, and that of a parameter among the layer's parts


@dataclass(frozen=True)
class View:
    """An array of shape `before` with its axes split into `sizes`, these in `order`, and joined to `shape`.

    Every rearrangement that a port makes of a weight is one: a transposition, heads that are packed into one axis or
    have their own, a kernel that is flat.
    """

    before: tuple[int, ...]
    sizes: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def plain(self) -> bool:
        """Whether no number moves: row-major order stays, in another shape at most."""
        return self.order == tuple(range(len(self.order)))

    def there(self, array: Array) -> Array:
        """An array of shape `before` as one of `shape`; a view of it where NumPy can."""
        return array.reshape(self.sizes).transpose(self.order).reshape(self.shape)

    def back(self, array: Array) -> Array:
        """An array of `shape` as a contiguous one of shape `before`: the inverse of `there`, bit for bit."""
        turned = array.reshape([self.sizes[axis] for axis in self.order]).transpose(np.argsort(self.order))
        # In this order: `ascontiguousarray` makes an array of shape () one of shape (1,).
        return np.ascontiguousarray(turned).reshape(self.before)


@dataclass(frozen=True)
class Rows:
    """Some rows of a table of shape `before`, from `start` on, in another shape at most: those that the other side's
    shorter table has. The others are 0.

    The same methods as `View` has; how many rows there are is known by the size of `shape`.
    """

    before: tuple[int, ...]
    start: int
    shape: tuple[int, ...]

    @property
    def _rows(self) -> slice:
        return slice(self.start, self.start + math.prod(self.shape) // math.prod(self.before[1:]))

    @property
    def plain(self) -> bool:
        """True: the rows stay in their order."""
        return True

    def there(self, array: Array) -> Array:
        """The rows out of a table of shape `before`, as an array of `shape`."""
        return array[self._rows].reshape(self.shape)

    def back(self, array: Array) -> Array:
        """A table of shape `before` with these rows, and zeros in all others."""
        whole = np.zeros(self.before, array.dtype)
        whole[self._rows] = array.reshape(-1, *self.before[1:])
        return whole


@dataclass(frozen=True)
class Permuted:
    """An array of shape `before` with what stands along an axis in another order: `places` says where from."""

    before: tuple[int, ...]
    axis: int
    places: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of both: `before`."""
        return self.before

    def there(self, array: Array) -> Array:
        """An array in the other order."""
        return np.take(array, self.places, self.axis)

    def back(self, array: Array) -> Array:
        """The inverse of `there`."""
        return np.take(array, np.argsort(self.places), self.axis)


@dataclass(frozen=True)
class Reading:
    """How a canonical parameter is read from a model's own: each of `sources` by its view, the results joined by rows,
    and the whole by `view`.

    The rows of several sources alternate in `blocks`, as those of a cell's gates. Without views a lone source is taken
    as it is. Without sources it is what the model lacks, of `shape`: a bias of 0 or a gain of 1. `held` says that one
    of both sides lacks it.
    """

    parameter: str
    sources: tuple[Source, ...]
    views: tuple[View | Rows | Permuted, ...] = ()
    blocks: int = 1
    view: View | Rows | None = None
    shape: tuple[int, ...] = ()
    held: bool = False

    def join(self, arrays: Sequence[Array]) -> Array:
        """The canonical array of one array for each source, turned by its view: their rows interleave by blocks, as a
        cell's gates.
        """
        joined = arrays[0]
        if len(arrays) > 1:
            split = [array.reshape(self.blocks, -1, *array.shape[1:]) for array in arrays]
            joined = np.concatenate(split, axis=1).reshape(-1, *arrays[0].shape[1:])
        return self.view.there(joined) if self.view else joined

    def split(self, array: Array) -> list[Array]:
        """The inverse of `join`: of a canonical array, what each source has of it."""
        joined = self.view.back(array) if self.view else array
        if len(self.views) < 2:
            return [joined]
        rows = [view.shape[0] // self.blocks if view.shape else 1 for view in self.views]
        pieces = np.split(joined.reshape(self.blocks, -1, *joined.shape[1:]), np.cumsum(rows)[:-1].tolist(), axis=1)
        return [piece.reshape(view.shape) for view, piece in zip(self.views, pieces, strict=True)]


@dataclass(frozen=True)
class FormLayer:
    """A canonical layer: its path, its kind and its parameters."""

    path: str
    kind: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Form:
    """The canonical layers of a model; none where its own layers are the canonical ones.

    `opened` has the words of `canonical.opened` for the layers that are read as those that they are made of.
    """

    layers: tuple[FormLayer, ...] = ()
    opened: tuple[str, ...] = ()

    def of(self, own: Sequence[Layer], dtype: str) -> tuple[Layer, ...]:
        """The canonical layers of a model whose own these are; its own, without a form.

        `dtype` is that of the constants that stand in for parameters which the model lacks. Raises IndexError where the
        model has fewer layers or parts than the form names.
        """
        formed = (Layer(of.path, of.kind, tuple(_part(own, r, dtype) for r in of.readings)) for of in self.layers)
        return tuple(formed) or tuple(own)


def as_they_are(places: Sequence[int], own: Sequence[Layer]) -> tuple[FormLayer, ...]:
    """The layers at these indices of a model's own, read unchanged."""
    return tuple(
        FormLayer(
            own[at].path, own[at].kind, tuple(Reading(p.parameter, ((at, n),)) for n, p in enumerate(own[at].parts))
        )
        for at in places
    )


def _part(own: Sequence[Layer], reading: Reading, dtype: str) -> CanonicalParameter:
    """The canonical parameter that a reading gives of a model's own layers: a constant, a part as it is, or joined."""
    parts = [own[layer].parts[place] for layer, place in reading.sources]
    if not parts:
        value = np.full(reading.shape, neutral(reading.parameter), dtype)
        # What is written to it goes nowhere, and it reads as a fresh copy each time: nobody's change stays.
        lacking = Transform("lacking", value.copy, lambda _: (), value.copy)
        return CanonicalParameter(reading.parameter, (), (), lacking, reading.held)
    variables = tuple(variable for part in parts for variable in part.variables)
    names = tuple(name for part in parts for name in part.names)
    if not reading.views:
        return replace(parts[0], parameter=reading.parameter, held=reading.held)
    return CanonicalParameter(reading.parameter, variables, names, _Joined(reading, parts).transform(), reading.held)


class _Joined:
    """The transform of a reading of parts that have transforms of their own.

    The arrays that come and go are those of all parts' variables in one row; `_groups` says which are each part's.
    """

    def __init__(self, reading: Reading, parts: Sequence[CanonicalParameter]) -> None:
        self._reading, self._parts = reading, parts
        ends = np.cumsum([0, *(len(part.variables) for part in parts)])
        self._groups = [slice(*pair) for pair in pairwise(ends.tolist())]

    def transform(self) -> Transform:
        """The transform of the whole reading, whose name says what it does: users read it in the table of links."""
        name = " and ".join(dict.fromkeys(part.transform.name for part in self._parts))
        views = [view for view in (*self._reading.views, self._reading.view) if view]
        moved = [view for view in views if not isinstance(view, Permuted) and not view.plain]
        cut = [view for view in self._reading.views if isinstance(view, Rows)]
        names = [name] if name != "same" else []
        names += [f"rows from {view.start}" for view in cut]
        names += ["reordered" for view in self._reading.views if isinstance(view, Permuted)]
        names += ["joined"] if len(self._parts) > 1 else []
        names += ["turned"] if moved else []
        return Transform(", ".join(names) or "reshaped", self._pack, self._unpack, self._gradient)

    def _pack(self, *arrays: Array) -> Array:
        both = zip(self._parts, self._groups, strict=True)
        return self._join([part.transform.pack(*arrays[group]) for part, group in both])

    def _gradient(self, *arrays: Array | None) -> Array:
        """As `_pack`, with zeros for a part that nothing trains."""
        known = next(array for array in arrays if array is not None)
        gradients = []
        for part, group, view in zip(self._parts, self._groups, self._reading.views, strict=True):
            trained = any(array is not None for array in arrays[group])
            zeros = np.zeros(view.before, known.dtype)
            gradients.append(part.transform.gradient(*arrays[group]) if trained else zeros)
        return self._join(gradients)

    def _join(self, arrays: Sequence[Array]) -> Array:
        return self._reading.join([view.there(array) for view, array in zip(self._reading.views, arrays, strict=True)])

    def _unpack(self, array: Array) -> tuple[Array, ...]:
        """The inverse of `_pack`: the canonical array as one array for each variable of each part."""
        both = zip(self._parts, self._reading.views, self._reading.split(array), strict=True)
        return tuple(unpacked for part, view, piece in both for unpacked in part.transform.unpack(view.back(piece)))
