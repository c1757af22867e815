"""Gradients of a recorded run on JAX, by every value and through every use.

Its counterpart is `parity/backends/torch/backward.py`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from parity.backends.jax.seeing import seen
from parity.backends.nesting import places
from parity.backends.operations import Trace
from parity.dtypes import Inputs


class Pulling:
    """Runs a recorded run again, with a zero added to each value and to each of its uses: gradients are by these.

    JAX has no tape to ask for the gradient by a value inside a function; the derivative by an addend is the same.
    `known` is the identity of an array that no operation makes -> its value's place.
    """

    def __init__(self, trace: Trace, known: Mapping[int, int]) -> None:
        self._trace, self._known = trace, known
        takers = Counter(place for operation in trace.operations for _, place in operation.takes)
        trace.fixed = {at for at, value in enumerate(trace.values) if value.leaf.startswith(("input", "constant"))}
        floating = {at for at, of in enumerate(trace.values) if of.array is not None and of.array.dtype.kind == "f"}
        self._values = sorted(floating - trace.fixed)
        self._uses = [
            (number, place)
            for number, operation in enumerate(trace.operations)
            for place in dict.fromkeys(place for _, place in operation.takes)
            if place in floating and takers[place] > 1
        ]

    def into(self, run: Callable[[Any], Any], inputs: Inputs) -> None:
        """Put the gradients of what the run gives, a scalar, into the trace."""
        arrays = [self._trace.values[at].array for at in self._values]
        uses = [self._trace.values[at].array for _, at in self._uses]
        zeros = [[jnp.zeros(of.shape, of.dtype) for of in some if of is not None] for some in (arrays, uses)]
        by_values, by_uses = jax.grad(lambda zeros_in: self._again(run, inputs, *zeros_in))(zeros)
        for at, gradient in zip(self._values, by_values, strict=True):
            self._trace.gradients[at] = np.asarray(gradient)
        for use, gradient in zip(self._uses, by_uses, strict=True):
            self._trace.uses[use] = np.asarray(gradient)

    def _again(self, run: Callable[[Any], Any], inputs: Inputs, values: Sequence[Any], uses: Sequence[Any]) -> Any:
        """The run's output with these arrays added, in the order of `_values` and of `_uses`.

        Operations are told apart by their order and names, which are those of the recorded run.
        """
        added, through = dict(zip(self._values, values, strict=True)), dict(zip(self._uses, uses, strict=True))
        known, references = dict(self._known), list[Any]()  # the latter so that no identity comes again
        number = 0
        operations = self._trace.operations

        def taken(operands: Sequence[Any]) -> Sequence[Any]:
            others = []
            for operand in operands:
                place = known.get(id(operand))
                if place is not None and self._trace.values[place].leaf and place in added:
                    operand = operand + added[place]
                if place is not None and (number, place) in through:
                    operand = operand + through[number, place]
                others.append(operand)
            return others

        def tell(name: str, _: Sequence[Any], results: Sequence[Any], __: Mapping[str, Any]) -> Sequence[Any] | None:
            nonlocal number
            if number >= len(operations) or operations[number].name != name:
                return None  # it gave what it was given
            makes = operations[number].makes
            others = [one + added[at] if at in added else one for one, at in zip(results, makes, strict=False)]
            references.extend(others)
            known.update((id(one), at) for one, at in zip(others, makes, strict=False))
            number += 1
            return [*others, *results[len(others) :]]

        with seen(tell, taken):
            outputs = places(run(inputs))
        return next(iter(outputs.values()))
