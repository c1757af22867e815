"""A function of tensors, traced once where it can be.

Line for line beside `parity/backends/torch/running.py`.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar, cast

import optree
import tensorflow as tf
from tensorflow.python.framework import ops

from parity.backends import nesting

IDS = tf.TensorSpec((None, None), tf.int64)  # of any shape
Function = TypeVar("Function", bound=Callable[..., Any])


def _unconverted(function: Function) -> Function:
    """A function of which nothing is to become a graph's: AutoGraph would rewrite it, anew in each process."""
    return cast(Function, tf.autograph.experimental.do_not_convert(function))


spread = _unconverted(nesting.spread)
places = _unconverted(nesting.places)
tensors_only = _unconverted(nesting.tensors_only)


class Running:
    """Runs a function as a graph that is traced for any shapes; one that has to know them is traced for each.

    It is known by that it raises in the first, and does not in the second. Without a signature the first trace is for
    any number of rows; `alone`, as TensorFlow would, for the shapes of the first inputs. Only a function that cannot be
    traced as it is written, as it branches on a tensor's value, is rewritten by AutoGraph, which takes half as long
    as tracing and is done anew in each process.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        variables: Callable[[], Any] = list,  # noqa: ARG002 a graph reads variables itself
        ids: int = 0,
        alone: bool = False,
    ) -> None:
        signature = [IDS] * ids or None
        self._function, self.input_signature = function, signature
        self._any = [tf.function(function, signature, reduce_retracing=True, autograph=of) for of in (False, True)]
        self._begins = not (alone or signature is not None)
        self._each: dict[Any, Any] = {}  # partial, as TensorFlow warns of others that are traced again and again

    def __call__(self, *args: Any) -> Any:
        for place, graph in enumerate(self._any):
            try:
                with _without_stacks():
                    self._begin(graph, args)
                    results = graph(*args)
            except Exception:  # noqa: BLE001 what is no matter of AutoGraph or of shapes is raised again below
                continue
            self._any = self._any[place:]
            return results
        inputs: Any = args
        leaves, nesting = optree.tree_flatten(inputs)
        shapes = nesting, tuple((tuple(leaf.shape), leaf.dtype) for leaf in leaves)
        graph = self._each.setdefault(shapes, tf.function(partial(self._function)))
        results = graph(*args)
        self._any = []
        return results

    def _begin(self, graph: Any, args: Any) -> None:
        """Trace for any number of rows before the first call: TensorFlow would take the first batch's number."""
        if self._begins and not graph.experimental_get_tracing_count():
            graph.get_concrete_function(*optree.tree_map(_of_any_rows, args))


def _of_any_rows(tensor: tf.Tensor) -> tf.TensorSpec:
    """The signature of tensors like this one with any number of rows."""
    return tf.TensorSpec((None, *tensor.shape[1:]) if tensor.shape.rank else (), tensor.dtype)


@contextlib.contextmanager
def _without_stacks() -> Iterator[None]:
    """Inside, an operation of a new graph does not remember its Python stack: a seventh of what tracing takes.

    What fails inside is traced once more outside, so that the error says in which line.
    """
    create = ops._create_c_op
    ops._create_c_op = partial(create, extract_traceback=False)
    try:
        yield
    finally:
        ops._create_c_op = create
