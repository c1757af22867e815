"""The operations of a run on JAX, seen as they happen, with their numbers; in a derivative, with its tracers."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax._src import core

# What only has others inside, which are seen in its place: its body.
BODIES = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "checkpoint": "jaxpr"}
CAST = "convert_element_type"  # of a number that code writes it is no operation, but a constant
# (operation's name, operands, results, settings) -> what stands for the results from then on; None leaves them.
Tell = Callable[[str, Sequence[Any], Sequence[Any], Mapping[str, Any]], Sequence[Any] | None]


class _Seen(core.Trace):
    """A trace of JAX's that runs each operation as the trace around it would, and calls `tell` with its numbers.

    Eager or inside a derivative, whose tracers are the operands then. Custom derivatives are run by their functions, so
    that the operations in them are seen.
    """

    requires_low = True

    def __init__(self, tell: Tell, taken: Callable[[Sequence[Any]], Sequence[Any]] | None) -> None:
        super().__init__()
        self._tell, self._taken, self._around = tell, taken, core.trace_ctx.trace
        self._numbers: dict[int, Any] = {}  # arrays of single numbers that code writes, by their identity

    def is_valid(self) -> bool:
        return True

    def stage_value(self, value: Any) -> Any:
        """Make an array of what is none: of a number that code writes, or of a constant of NumPy's."""
        return self._number(value, self._around.stage_value(value))

    def process_primitive(self, primitive: Any, tracers: Sequence[Any], params: Mapping[str, Any], /) -> Any:
        if body := BODIES.get(primitive.name):
            closed = params[body]
            with core.set_current_trace(self):
                inner = getattr(closed, "jaxpr", closed)
                return core.eval_jaxpr(inner, getattr(closed, "consts", ()), *tracers)
        if primitive.name == CAST and self._is_written(tracers[0]):
            with core.set_current_trace(self._around):
                return self._number(tracers[0], primitive.bind(*tracers, **params))
        with core.set_current_trace(self._around):
            operands = self._taken(tracers) if self._taken else tracers
            bound = primitive.bind(*operands, **params)
            results = list(bound) if primitive.multiple_results else [bound]
            others = self._tell(primitive.name, tracers, results, params)
        results = list(results if others is None else others)
        return results if primitive.multiple_results else results[0]

    def _number(self, value: Any, array: Any) -> Any:
        if self._is_written(value):
            self._numbers[id(array)] = array
        return array

    def _is_written(self, value: Any) -> bool:
        """Whether it is a single number that no operation has made."""
        return np.ndim(value) == 0 and (id(value) in self._numbers or not isinstance(value, jax.Array))

    def process_custom_jvp_call(self, primitive: Any, fun: Any, jvp: Any, tracers: Any, /, **_: Any) -> Any:  # noqa: ARG002 JAX's own signature
        with core.set_current_trace(self):
            return fun.call_wrapped(*tracers)

    def process_custom_vjp_call(self, primitive: Any, fun: Any, fwd: Any, bwd: Any, tracers: Any, /, **_: Any) -> Any:  # noqa: ARG002 as above
        with core.set_current_trace(self):
            return fun.call_wrapped(*tracers)


@contextlib.contextmanager
def seen(tell: Tell, taken: Callable[[Sequence[Any]], Sequence[Any]] | None = None) -> Iterator[None]:
    """While inside, `tell` is called for each operation, which runs on what `taken` makes of its operands."""
    with core.set_current_trace(_Seen(tell, taken)):
        yield
