"""A function of tensors, traced once where it can be. Line for line beside torch.py."""

from collections.abc import Callable
from functools import partial
from typing import Any

import optree
import tensorflow as tf


class Running:
    """Runs a function as a graph that is traced for any shapes; one that has to know them is traced for each.

    It is known by that it raises in the first, and does not in the second.
    """

    def __init__(self, function: Callable[..., Any], signature: Any = None) -> None:
        self._function, self.input_signature = function, signature
        self._any = tf.function(function, signature, reduce_retracing=True)
        self._each: dict[Any, Any] = {}  # partial, as TensorFlow warns of others that are traced again and again
        self._fixed = False

    def __call__(self, *args: Any) -> Any:
        if not self._fixed:
            try:
                return self._any(*args)
            except Exception:  # noqa: BLE001 raised again by the other, if it is no matter of shapes
                pass
        given: Any = args
        leaves, nesting = optree.tree_flatten(given)
        shapes = nesting, tuple((tuple(leaf.shape), leaf.dtype) for leaf in leaves)
        graph = self._each.setdefault(shapes, tf.function(partial(self._function)))
        found = graph(*args)
        self._fixed = True
        return found
