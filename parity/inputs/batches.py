"""Batches of the user's own as a strategy: cut and permuted by what a seed says, and as they are."""

from collections.abc import Iterable
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import optree
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.dtypes import Array, Inputs
from parity.errors import ParityError, named
from parity.inputs.arrays import accept
from parity.inputs.sampling import edged

BATCHES = 8  # that are taken of a loader, which may be endless
ROWS = 4  # of an example, at most, but for a whole batch
WHOLE = 64  # rows of that, at most
PLAIN = (np.ndarray, tuple, dict)  # one batch; any other iterable yields several


def strategy(inputs: Inputs) -> SearchStrategy[Any]:
    """Make a pair's `inputs` a strategy, if they are none: of arrays, alone or in a tuple or a dict, or of what yields
    such batches, one that draws from them.

    Raises ParityError for anything else. Batches are read, and judged, when something is first drawn.
    """
    if isinstance(inputs, SearchStrategy):
        return inputs
    if not isinstance(inputs, PLAIN) and not hasattr(inputs, "numpy") and not isinstance(inputs, Iterable):
        raise ParityError(
            f"inputs is {named(inputs)}; it must be a strategy, strategies.arrays(11) say, arrays whose first axis is "
            "the batch, alone or in a tuple or a dict, or yield such batches: a DataLoader, a tf.data.Dataset"
        )
    return OfBatches(inputs)


class OfBatches(SearchStrategy[Any]):
    """Some rows of a batch in another order; with edges a row of zeros among them, or the whole batch.

    It is read when something is first drawn: until then no framework has run.
    """

    ids: dict[Any, Any] = {}  # nothing is known of its integers  # noqa: RUF012 as `Drawn` has it

    def __init__(self, batches: Any) -> None:
        super().__init__()
        self._given = batches

    def do_draw(self, data: Any) -> Any:
        """Draw rows of one of the batches, or a whole one. Raises ParityError as `accept`."""
        batches, edges = self.batches, data.draw(edged(True))
        batch = batches[data.draw(st.integers(0, len(batches) - 1))]
        count = accept(batch)
        if edges and data.draw(st.integers(0, ROWS)) == ROWS:
            return optree.tree_map(lambda array: array[:WHOLE], batch)
        rows = data.draw(st.integers(1, min(ROWS, count)))
        seed = data.draw(st.integers(0, 2**16))
        # 0 leaves the rows in order: there shrinking ends, at the first rows of the first batch.
        order = np.random.default_rng(seed).permutation(count)[:rows] if seed else np.arange(rows)
        reordered = optree.tree_map(lambda array: np.take(array, order, 0), batch)
        return optree.tree_map(_zeros_last, reordered) if edges and seed % 2 and rows > 1 else reordered

    @cached_property
    def batches(self) -> list[Any]:
        """The first batches, of arrays; numbers of float64 as float32. Raises ParityError where there is none."""
        source = self._given
        whole = isinstance(source, PLAIN) or hasattr(source, "numpy")
        batches = [source] if whole else [_tuples(of) for of in islice(iter(source), BATCHES)]
        if not batches:
            raise ParityError("inputs yield no batch")
        return [optree.tree_map(_array, of) for of in batches]


def _tuples(batch: Any) -> Any:
    """A batch whose arrays a loader gives in a list."""
    return tuple(batch) if isinstance(batch, list) else batch


def _array(leaf: Any) -> Array:
    """A framework's tensor, or what NumPy makes an array of, as an array; float64 as float32."""
    array = leaf.detach().cpu().numpy() if hasattr(leaf, "detach") else np.asarray(leaf)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _zeros_last(array: Array) -> Array:
    """Numbers whose last row is zeros; a mask, of two numbers, stays what it is."""
    if array.dtype.kind != "f" or len(np.unique(array)) < 3:
        return array
    return np.concatenate([array[:-1], np.zeros_like(array[-1:])])
